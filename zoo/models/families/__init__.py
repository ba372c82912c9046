"""Model families, one file each: the paper, the sizes by catalogue name, published weights.

It is data, which `catalog.FAMILIES` collects in one table; it imports nothing but errors.
"""
