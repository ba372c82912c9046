"""Rows of two kinds that match, such as images and their captions: an encoder for each kind.

Imports tasks, and what these import.
"""
