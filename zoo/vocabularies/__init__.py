"""Vocabularies learned from text, and the bulk tokenizers of training.

Imports tokenizers.
"""
