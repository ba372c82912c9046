"""The embedded sample data, made from Babel's CLDR tables, and a baseline on them.

Imports files.
"""
