"""Adaptation of trained weights: which of them a run changes, by how much, and through what.

Imports layers and models.
"""
