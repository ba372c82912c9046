"""Models: configs, the catalogue, the Keras model of a config, its weights and decoding steps.

Imports the layers and modalities.
"""
