"""The quickstart: the whole way on the embedded data.

Imports everything below.
"""
