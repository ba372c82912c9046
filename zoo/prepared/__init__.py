"""Rows of any number, prepared once in a folder and mapped from there.

See `store`.
"""
