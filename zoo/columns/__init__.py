"""Columns of many rows, each in one piece of memory that may be a file's.

See `texts` and `ragged`.
"""
