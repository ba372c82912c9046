"""A new modality is a file with it, a file with its embedding, and an entry of a table for each."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from keras_transformer.edge.compare.compare import compare, compare_layers
from keras_transformer.edge.compare.inspect import inspect
from keras_transformer.edge.compare.benchmark import benchmark
from keras_transformer.edge.load import load
from keras_transformer.edge.quantize.ranges import calibration_batches
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.registry import MODALITIES
from keras_transformer.zoo.models.inputs import EMBEDDINGS
from tests.zoo import tiny
from tests.zoo.modalities import toy_embeddings, toy_modalities
