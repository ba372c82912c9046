"""Execution of built models: their weights, predictions over batches, and steps of generation.

Imports models, data and tokenizers.
"""
