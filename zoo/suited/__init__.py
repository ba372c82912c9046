"""Options of a run from scratch that follow from its training rows, of each kind.

Imports how files of pictures and sounds are read.
"""
