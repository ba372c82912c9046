"""Batches of one number of rows for each padded length, whose left rows join the next one's."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest

from keras_transformer.zoo.data.batches import NO_TARGET, Batches, SampledBatches
from keras_transformer.zoo.data.pair_batches import PairBatches
from keras_transformer.zoo.modalities.modality import InputSpec
from tests.zoo import tiny
from tests.zoo.data.test_batches import assert_equal, encoded, some_lengths

COMPILED = """
import json, sys
from keras_transformer.zoo.distributed import step
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training import train_recipe as training

made, compiled = [], step.KeptStep._compiled
step.KeptStep._compiled = lambda self: made.append(compiled(self)) or made[-1]
batches, training_batches, counts = [], training.training_batches, []
training.training_batches = lambda *given: batches.append(training_batches(*given)) or batches[-1]
for whole in (False, True):
    recipe = Recipe.from_file(sys.argv[1]).replace(whole_batches=whole)
    training.train_recipe(recipe, baseline=False)
    shapes = {batch.inputs["ids"].shape for batch in batches[-1].epoch(0)}
    counts.append([made.pop()._cache_size(), len(shapes), len(batches[-1].edges)])
print(json.dumps(counts))
"""


def drawn_lengths(rng):
    """Lengths of rows of any distribution, perhaps with few rows of some lengths."""
    kind, rows, longest = rng.integers(4), int(rng.integers(1, 400)), int(rng.integers(1, 70))
    if kind == 0:
        return rng.geometric(rng.uniform(0.02, 0.5), rows).clip(1, longest)
    if kind == 1:
        return rng.integers(1, longest + 1, rows)
    if kind == 2:
        return rng.choice(rng.integers(1, longest + 1, 3), rows)
    return np.append(np.ones(rows, int), rng.integers(1, longest + 1, 2))


@pytest.mark.parametrize("multiple", [1, 4])
@pytest.mark.parametrize("seed", range(60))
def test_each_row_is_there_once_in_few_shapes(seed, multiple):
    rng = np.random.default_rng((seed, multiple))
    lengths = drawn_lengths(rng)
    rows, tokens, bucket = encoded(lengths), int(rng.integers(1, 600)), int(rng.integers(1, 9))
    batches = Batches(rows, np.arange(len(lengths)), batch_tokens=tokens, bucket=bucket, seed=seed)
    batches.in_multiples_of(multiple, whole=True)
    first = {(len(one.index), one.inputs["ids"].shape[1]) for one in batches.one_of_each_shape()}
    longest = max(length for _, length in first)
    assert len(first) <= len(batches.edges) + 1
    # All rows that are left come at last to the longest length, and these alone may differ.
    sizes = defaultdict(set)
    for size, length in first:
        sizes[length].add(size)
    assert all(len(found) == 1 for length, found in sizes.items() if length != longest)
    assert len(sizes[longest]) <= 2
    lives = []
    for epoch in range(3):
        made = list(batches.epoch(epoch))
        assert len(made) == len(batches)
        seen = Counter()
        for batch in made:
            count, length = batch.inputs["ids"].shape
            assert (count, length) in first
            assert count * length <= max(tokens, multiple * length)
            if length != longest:
                # Full: another multiple of rows would be too many.
                assert count % multiple == 0
                assert count + multiple > max(multiple, tokens // length)
            for place, row in enumerate(batch.index.tolist()):
                seen[row] += 1
                # Row i has i + 1 in all places of its own, and nothing else.
                ids = batch.inputs["ids"][place]
                assert (ids == row + 1).sum() == lengths[row] == np.count_nonzero(ids)
                assert batch.targets[place] == row
        assert seen == Counter(range(len(lengths)))
        lives.append(Counter(batch.inputs["ids"].shape for batch in made))
    assert lives[0] == lives[1] == lives[2]
    rows_of, length_of = batches.largest()
    assert (rows_of, length_of) in first
    assert rows_of * length_of == max(size * length for size, length in first)


def test_other_rows_join_the_next_length_in_each_epoch():
    lengths = np.repeat([4, 8], [30, 30])
    batches = Batches(encoded(lengths), batch_tokens=32, bucket=4)
    batches.in_multiples_of(1, whole=True)
    # 30 rows of 4 are 3 full batches of 8 and 6 that are left; 36 of 8 are 9 of 4.
    assert [len(batch.index) for batch in batches.in_order()] == [8] * 3 + [4] * 9

    def moved(epoch):
        made = [batch for batch in batches.epoch(epoch) if batch.inputs["ids"].shape[1] == 8]
        return {row for batch in made for row in batch.index.tolist() if lengths[row] == 4}

    assert [len(moved(epoch)) for epoch in range(3)] == [6, 6, 6]
    assert moved(0) != moved(1) and moved(0) == moved(0)
    # They are among the others, not in batches of their own.
    alone = [
        batch for batch in batches.epoch(0)
        if batch.inputs["ids"].shape[1] == 8 and (lengths[batch.index] == 4).all()
    ]  # fmt: skip
    assert not alone


def test_a_column_has_room_for_the_rows_that_join():
    # The rows of the longer length have short sources, the shorter ones have long sources.
    sizes = [(6, 2)] * 5 + [(3, 12)] * 5
    columns = {
        name: [np.full(size[place], row + 1, np.int32) for row, size in enumerate(sizes)]
        for place, name in enumerate(("source_ids", "ids"))
    }
    targets = [ids * 10 for ids in columns["ids"]]
    batches = Batches(columns, targets, batch_tokens=24, bucket=2)
    batches.in_multiples_of(1, whole=True)
    moved = 0
    for batch in batches.epoch(0):
        for place, row in enumerate(batch.index):
            for name, array in batch.inputs.items():
                assert np.count_nonzero(array[place]) == len(columns[name][row])
            own = batch.targets[place] != NO_TARGET
            np.testing.assert_array_equal(batch.targets[place][own], targets[row])
            moved += row < 5 and batch.inputs["ids"].shape[1] == 12
    assert moved == 1


def test_an_epoch_begins_at_any_batch():
    batches = Batches(encoded(some_lengths()), np.arange(500), batch_tokens=256, seed=1)
    batches.in_multiples_of(1, whole=True)
    whole = list(batches.epoch(2))
    for start in (1, 17, len(whole)):
        assert_equal(batches.epoch(2, start=start), whole[start:])


def test_rows_of_a_mixture_are_there_as_often():
    rows = np.array([0, 0, 3, 3, 3, 5, 9, 9, 20, 44])
    batches = Batches(encoded(some_lengths()), batch_tokens=64, rows=rows)
    batches.in_multiples_of(1, whole=True)
    index = np.concatenate([batch.index for batch in batches.epoch(0)])
    np.testing.assert_array_equal(np.sort(index), rows)


def test_wrapped_batches_are_whole_too():
    def sample(epoch):
        return Batches(encoded([4] * 9 + [8] * 9), batch_tokens=32, bucket=4, seed=epoch)

    sampled = SampledBatches(sample)
    sampled.in_multiples_of(1, whole=True)
    assert sorted(len(batch.index) for batch in sampled.epoch(3)) == [3, 3, 4, 8]
    columns = {"ids": [np.full(n, 1, np.int32) for n in ([4] * 9 + [8] * 9) * 2]}
    pairs = PairBatches(
        columns, np.arange(18), specs=[InputSpec(name="ids")], batch_tokens=64, bucket=4
    )
    pairs.in_multiples_of(1, whole=True)
    assert sorted(len(batch.index) for batch in pairs.epoch(3)) == [3, 3, 4, 8]


@pytest.mark.parametrize(
    ("multiple", "fingerprint", "rows"),
    [
        (1, "5cfe286dfb94d1d9ee4d1d4cd9cf00dfde64b554bfff447260cffc6d5d5df39e",
         "708e2dc969fc57bf9e9813aceff5318720528e81c5bca27ebc9acc847a58e3e3"),
        (8, "28cb0198e79729432d5f299569fb8872d5f3dedb7e2f156944acd69b281b0c00",
         "6f1c27bb09564bdb5533553065c69d8a811b73358ea1fe398317a666cbf6c438"),
    ],
)  # fmt: skip
def test_without_them_batches_are_what_they_were(multiple, fingerprint, rows):
    batches = Batches(encoded(some_lengths()), np.arange(500), batch_tokens=256, seed=3)
    batches.in_multiples_of(multiple, whole=True)
    assert batches.fingerprint() != fingerprint
    batches.in_multiples_of(multiple)
    assert batches.fingerprint() == fingerprint
    # The hashes are of batches before there was such an option.
    digest = hashlib.sha256()
    for epoch in range(3):
        for batch in batches.epoch(epoch):
            digest.update(batch.index.tobytes())
            digest.update(batch.inputs["ids"].tobytes())
    assert digest.hexdigest() == rows


@pytest.mark.slow
def test_jax_compiles_a_step_for_each_length_and_one_more(tables, tmp_path):
    path = tmp_path / "recipe.json"
    recipe = tiny.recipe(tables, bucket=2, batch_tokens=64, epochs=1)
    path.write_text(recipe.to_json(), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-c", COMPILED, str(path)], capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
             "XLA_FLAGS": "--xla_backend_optimization_level=0"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (before, shapes_before, _), (after, shapes, lengths) = json.loads(
        result.stdout.splitlines()[-1]
    )
    assert (before, after) == (shapes_before, shapes)
    assert after <= lengths + 1 < before
