"""Recipes: everything that determines the weights of a run, as small frozen parts.

Imports errors.
"""

from keras_transformer.zoo.recipe.compression import (
    Distill,
    Prune,
    Quantize,
    check_percentile,
    check_smooth,
)
from keras_transformer.zoo.recipe.parts import Data, Model, Optimizer, Tokenizer, Training
from keras_transformer.zoo.recipe.recipe import CHOICES, OPTIONS, Recipe

__all__ = [
    "CHOICES", "OPTIONS", "Data", "Distill", "Model", "Optimizer", "Prune", "Quantize", "Recipe",
    "Tokenizer", "Training", "check_percentile", "check_smooth",
]  # fmt: skip
