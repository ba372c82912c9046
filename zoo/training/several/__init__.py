"""Runs of models of several kinds that begin with trained weights of some.

Imports modalities and models.
"""
