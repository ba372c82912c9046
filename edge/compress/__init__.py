"""Pruning and clustering: a smaller or better compressible checkpoint.

Imports training and models.
"""
