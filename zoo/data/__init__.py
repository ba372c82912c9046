"""Data on disk and batches of it: tables, plain text, pairs of sentences.

Imports modalities, tokenizers and NumPy.
"""
