"""Metrics of predictions and generated texts, the same for a Keras model and a file.

Imports data and generation.
"""
