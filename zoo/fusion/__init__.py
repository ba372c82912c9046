"""Several trained models that answer as one: their weights, and averages of their weights.

Imports what training does.
"""
