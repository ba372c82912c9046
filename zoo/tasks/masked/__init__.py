"""Masked language modeling: pre-training of encoders on plain text.

Imports tasks, and what these import.
"""
