"""Targets that export a folder, for runtimes other than LiteRT.

Imports targets and all below it.
"""
