"""Training on JAX where TensorFlow is not installed, as on a machine with a GPU."""

import json
import os
import subprocess
import sys

PROGRAM = """
import json, sys
for name in ("tensorflow", "tensorflow_text", "tf_keras"):
    sys.modules[name] = None
import numpy as np
import keras_transformer as kt
from keras_transformer.zoo.models.catalog import get_config

config = get_config("bert_tiny").replace(num_layers=1)
rows = (["good day", "bad night", "good night", "bad day"], ["good", "bad", "good", "bad"])
options = dict(train=rows, validation=rows, steps=3, token_dropout=0.1, baseline=False)
checkpoint = kt.train(config, out="out", vocab_size=40, **options)
scores = kt.load("out").scores(rows[0])
np.testing.assert_array_equal(scores, checkpoint.scores(rows[0]))
print(json.dumps([scores.shape, open("out/vocab.txt").read().split()]))
"""


def test_a_model_learns_its_words_trains_saves_and_loads(tmp_path):
    fresh = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert fresh.returncode == 0, fresh.stderr
    shape, pieces = json.loads(fresh.stdout.splitlines()[-1])
    assert shape == [4, 2]
    assert {"good", "bad", "day", "night"} <= set(pieces)
