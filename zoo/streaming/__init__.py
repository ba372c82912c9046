"""Detection in streams of sound: windows over chunks, smoothed scores, and when one is reported.

Runs on devices: NumPy only.
"""
