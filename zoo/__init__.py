"""The model zoo: models, tasks, data, tokenizers, training, evaluation and generation.

Imports the layers, never edge or cli.
"""
