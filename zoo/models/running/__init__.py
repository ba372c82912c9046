"""Execution of built models: predictions over batches, and the steps of generation.

Imports models, data and tokenizers.
"""
