"""Publication of a file: the model card.

Imports the checkpoint and the names of signatures.
"""
