"""Embeddings of the modalities: a model's inputs as vectors, one file each.

They are the entries of `models.inputs.EMBEDDINGS`, which are imported on first use.
"""
