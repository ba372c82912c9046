"""Recipes: everything that determines the weights of a run, as small frozen parts.

Imports errors.
"""

from keras_transformer.zoo.recipe.compression import (
    RANGE_METHODS,
    Distill,
    Prune,
    Quantize,
    check_range_method,
    check_smooth,
)
from keras_transformer.zoo.recipe.parts import Data, Model, Optimizer, Tokenizer, Training
from keras_transformer.zoo.recipe.recipe import CHOICES, OPTIONS, Recipe

__all__ = [
    "CHOICES", "OPTIONS", "RANGE_METHODS", "Data", "Distill", "Model", "Optimizer", "Prune",
    "Quantize", "Recipe", "Tokenizer", "Training", "check_range_method", "check_smooth",
]  # fmt: skip
