"""Model families, one file each: the paper, the sizes by catalogue name, published weights.

Imports nothing: it is data, which `catalog.FAMILIES` collects in one table.
"""
