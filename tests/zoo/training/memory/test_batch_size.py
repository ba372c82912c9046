"""`batch_tokens="auto"`: the largest batch that fits, found once and recorded."""

import json
import os
import subprocess
import sys

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training.memory.batch_size import largest_batch
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny

# A device of 12 MB of its own: the tokens of the steps that are measured, and their memory.
PROGRAM = """
import json, sys
from pathlib import Path
from keras_transformer.zoo.distributed.step import KeptStep
from keras_transformer.zoo.training import largest_batch
from keras_transformer.zoo.training.memory import batch_size
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny
for name, value in (("device_bytes", 12_000_000), ("usable_bytes", 12_000_000)):
    setattr(largest_batch, name, lambda value=value: value)
batch_size.LEAST_TOKENS, batch_size.LEAST_STEPS = 32, 1
seen, memory = [], KeptStep.memory
def measured(self, inputs, targets):
    seen.append((inputs["ids"].size, memory(self, inputs, targets)))
    return seen[-1][1]
KeptStep.memory = measured
shapes, call = {}, KeptStep.__call__
def counted(self, inputs, targets):
    shapes.setdefault(self, set()).add(inputs["ids"].shape)
    return call(self, inputs, targets)
KeptStep.__call__ = counted
recipe = tiny.language_recipe(Path(sys.argv[1]), batch_tokens="auto", max_length=4, epochs=1)
found = train_recipe(recipe).recipe.data.batch_tokens
[(step, several)] = shapes.items()
print(json.dumps([found, seen, [len(several), step._step._cache_size()]]))
"""


def test_the_largest_power_of_two_that_fits_is_found():
    def bytes_of(tokens):
        # Above 4,000 tokens more than a line through smaller sizes says.
        return 1000 + 2 * tokens + (5000 if tokens > 4000 else 0)

    def endless(tokens):
        return 1000

    assert largest_batch(bytes_of, endless, 1000 + 2 * 2048) == 2048
    assert largest_batch(bytes_of, endless, 1000 + 2 * 8192) == 4096
    assert largest_batch(bytes_of, lambda tokens: 16 * 1024 // tokens, 10**9) == 1024
    assert largest_batch(bytes_of, endless, 10**9) == 2**16
    with pytest.raises(InputError, match="on 256 tokens fits in 0.0 GB, got one of 0.0 GB"):
        largest_batch(bytes_of, endless, 1000)


def test_a_run_records_the_batch_that_it_found(tables, tmp_path):
    heard = tiny.Heard()
    recipe = tiny.language_recipe(tables, batch_tokens="auto", max_length=4, epochs=2)
    trained = train_recipe(recipe, tmp_path / "out", report=heard)
    tokens = trained.recipe.data.batch_tokens
    assert tokens >= 256
    assert f"(--batch-tokens {tokens})" in " ".join(heard.notes)
    saved = Recipe.from_json((tmp_path / "out" / "recipe.json").read_text(encoding="utf-8"))
    assert saved.data.batch_tokens == tokens
    # Resumed with the same options, it is the run that ended.
    again = train_recipe(recipe, tmp_path / "out", resume=True, report=(heard := tiny.Heard()))
    assert again.recipe == trained.recipe
    assert "whole already" in " ".join(heard.notes)


@pytest.mark.slow
def test_steps_are_measured_on_a_device_of_its_own(tables):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tables)], capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found, seen, (num_shapes, num_compiled) = json.loads(result.stdout.splitlines()[-1])
    assert seen[0] < seen[1] and seen[0][1] < seen[1][1]
    assert found == 32 or (seen[-1][1] <= 12_000_000 and seen[-1][0] <= found), (found, seen)
    assert num_compiled == num_shapes


def test_auto_is_a_word_for_batches_alone(tables):
    with pytest.raises(InputError, match="Expected bucket to be an integer, got bucket='auto'"):
        tiny.recipe(tables, bucket="auto")
