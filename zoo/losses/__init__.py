"""Losses of the tasks, serializable with a saved model.

Imports data.
"""
