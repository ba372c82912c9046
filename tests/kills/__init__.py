"""Runs that are killed at file operations and by the clock, and resumed; run by hand."""
