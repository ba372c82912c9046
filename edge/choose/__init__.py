"""Choosing a file: sensitivity, search, the Pareto front and the report.

Imports convert, compress and quantize.
"""
