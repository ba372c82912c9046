"""The embedded sample data, generated from Babel's CLDR tables, and baselines on them.

Imports files.
"""
