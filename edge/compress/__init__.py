"""Pruning, clustering, and the losses of distillation.

Imports tasks, training and models.
"""
