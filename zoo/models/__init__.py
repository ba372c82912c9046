"""Models: configs, the catalogue, building of Keras models, their weights and decoding steps.

Imports the layers and modalities.
"""
