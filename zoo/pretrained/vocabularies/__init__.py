"""Tokenizers that others published: the ids of their own files."""
