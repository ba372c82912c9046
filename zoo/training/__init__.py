"""Training: the loop, its states, optimizers, and fine-tuning of a checkpoint.

Imports checkpoint, tasks and their dependencies.
"""
