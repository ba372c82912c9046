"""Adaptation of trained weights: which of them a run changes, by how much, and through what.

Imports layers, models and the files of checkpoints.
"""
