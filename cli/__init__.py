"""The command line: one click command a file, which calls the front door.

Imports everything.
"""
