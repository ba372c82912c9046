"""Vocabulary learning, and the bulk tokenizers of training.

Imports tokenizers.
"""
