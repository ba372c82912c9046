"""Training steps that need less memory.

Imports layers, losses and models.
"""
