"""Families of models, one file each: the paper, the sizes by catalogue name, published weights.

Imports nothing: it is data, which `catalog.FAMILIES` has in one table.
"""
