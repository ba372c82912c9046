"""What becomes of a text's characters before pieces are looked up: folding, tables, splitters.

Imports only NumPy and the standard library, so that it runs on a device.
"""
