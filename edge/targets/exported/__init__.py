"""Folders for runtimes other than LiteRT: how they are described, run and compared.

Imports graphs and the checkpoint.
"""
