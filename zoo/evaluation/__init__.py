"""Evaluation: metrics of predictions and generated texts, the same for Keras models and files.

Imports data and generation.
"""
