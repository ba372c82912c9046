"""Pictures and collections of them on disk, as arrays.

NumPy and Pillow alone, so that a device reads what training read.
"""
