"""Answering tasks: a span of a context for each question.

Imports tasks, and what these import.
"""
