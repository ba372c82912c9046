"""Models: configs, the catalogue, building of Keras models, and their weights.

Imports the layers and modalities.
"""
