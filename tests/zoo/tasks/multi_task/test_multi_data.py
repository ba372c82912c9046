"""Batches of several tasks: how many of each, in which order, and what they hold."""

import itertools
from collections import Counter

import numpy as np
import pytest

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.tasks.multi_task.multi_data import MultiBatches


def batches(count, seed=0):
    """As many batches of four rows of three ids, which say their row."""
    rows = [np.full(3, row + 5, "int32") for row in range(4 * count)]
    return Batches({"ids": rows}, np.arange(4 * count), batch_tokens=12, seed=seed)


def names(made, number, **more):
    return [next(iter(batch.targets)) for batch in made.epoch(number, **more)]


@pytest.mark.parametrize(
    ("power", "counts"), [(1.0, [16, 4, 1]), (0.5, [12, 6, 3]), (0.0, [7, 7, 7])]
)
def test_tasks_are_drawn_by_their_sizes_to_a_power(power, counts):
    sizes = {"a": 16, "b": 4, "c": 1}
    made = MultiBatches(
        {name: batches(size) for name, size in sizes.items()}, power, 0, inputs=["ids"]
    )
    # By hand: 21 batches by 16, 4 and 1 to the power.
    assert len(made) == sum(counts)
    for number in range(3):
        assert Counter(names(made, number)) == dict(zip(sizes, counts, strict=True))
    assert names(made, 0) != names(made, 1)


def test_an_epoch_of_power_1_has_every_row_once():
    made = MultiBatches({"a": batches(5), "b": batches(2)}, 1.0, 0, inputs=["ids"])
    seen = {"a": [], "b": []}
    for batch in made.epoch(3):
        [(name, targets)] = batch.targets.items()
        assert batch.num_targets == len(targets) == 4
        np.testing.assert_array_equal(batch.inputs["ids"][:, 0], targets + 5)
        seen[name] += targets.tolist()
    assert {name: sorted(rows) for name, rows in seen.items()} == {
        "a": list(range(20)), "b": list(range(8))
    }  # fmt: skip


def test_a_small_task_is_seen_again_and_a_large_one_in_part():
    made = MultiBatches({"a": batches(12), "b": batches(2)}, 0.0, 0, inputs=["ids"])
    assert made.counts == {"a": 7, "b": 7}
    epochs = []
    for number in range(2):
        seen = {"a": Counter(), "b": Counter()}
        for batch in made.epoch(number):
            [(name, targets)] = batch.targets.items()
            seen[name].update(targets.tolist())
        assert set(seen["a"].values()) == {1} and len(seen["a"]) == 28
        assert set(seen["b"].values()) == {3, 4}
        epochs.append(set(seen["a"]))
    # Another part in the next epoch.
    assert epochs[0] != epochs[1]


def test_an_epoch_goes_on_from_any_batch():
    made = MultiBatches({"a": batches(3), "b": batches(5)}, 0.5, 7, inputs=["ids"])
    whole = list(made.epoch(2))
    for start in range(len(whole) + 1):
        rest = list(made.epoch(2, start=start))
        assert len(rest) == len(whole) - start
        for one, other in zip(rest, whole[start:], strict=True):
            assert one.targets.keys() == other.targets.keys()
            np.testing.assert_array_equal(one.inputs["ids"], other.inputs["ids"])


def test_single_texts_are_of_the_first_segment_of_a_model_of_pairs():
    made = MultiBatches({"a": batches(1), "b": batches(1)}, 1.0, 0, inputs=["ids", "segment_ids"])
    for batch in itertools.chain(made.epoch(0), made.one_of_each_shape()):
        np.testing.assert_array_equal(batch.inputs["segment_ids"], np.zeros((4, 3)))


def test_the_fingerprint_is_of_all_rows_and_of_the_draw():
    def of(power=1.0, seed=0, count=2):
        parts = {"a": batches(count), "b": batches(3)}
        return MultiBatches(parts, power, seed, inputs=["ids"]).fingerprint()

    assert of() == of()
    assert len({of(), of(power=0.0), of(seed=1), of(count=1)}) == 4
