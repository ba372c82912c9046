"""Tasks: the head, the loss and the metric that selects the best epoch.

Imports data, models, vocabularies, generation and evaluation.
"""
