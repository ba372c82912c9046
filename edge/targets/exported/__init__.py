"""Targets of folders, for runtimes other than LiteRT: written, described, run and compared.

Imports targets and all below it.
"""
