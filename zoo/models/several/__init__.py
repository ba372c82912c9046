"""Encoders of several kinds of rows at once, built of the encoder of each kind.

They are imported by `models.build` on first use.
"""
