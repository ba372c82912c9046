"""Checks of files that nobody vouches for, made before LiteRT reads them.

Imports NumPy and the zoo's errors; `trial` runs LiteRT, in a process of its own.
"""
