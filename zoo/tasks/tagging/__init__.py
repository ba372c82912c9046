"""Tagging tasks: one target for each word of a row.

Imports tasks, and what these import.
"""
