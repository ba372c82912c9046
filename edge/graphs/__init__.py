"""Graphs to convert or export: TensorFlow functions over a Keras model.

Imports models, checkpoint and the runtime's names.
"""
