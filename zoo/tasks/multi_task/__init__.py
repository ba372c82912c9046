"""Several tasks in one model: an encoder with a head for each.

Imports tasks, and what these import.
"""
