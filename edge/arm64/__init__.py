"""An emulated ARM64 machine: what a file's inference takes there, in instructions.

May import the device runtime; what runs on the machine itself has NumPy and LiteRT alone.
"""
