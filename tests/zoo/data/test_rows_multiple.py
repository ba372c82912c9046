"""Batches whose rows several devices share."""

import numpy as np
import pytest

from keras_transformer.zoo.data.batches import Batches, SampledBatches
from tests.zoo.data.test_batches import assert_equal, encoded, some_lengths


@pytest.mark.parametrize("multiple", [2, 8, 12])
def test_rows_are_in_multiples_but_once_a_bucket(multiple):
    lengths = some_lengths()
    batches = Batches(encoded(lengths), batch_tokens=1024, bucket=8)
    before = batches.fingerprint()
    batches.in_multiples_of(multiple)
    assert batches.fingerprint() != before
    made = list(batches.epoch(1))
    assert len(made) == len(batches)
    index = np.concatenate([batch.index for batch in made])
    np.testing.assert_array_equal(np.sort(index), np.arange(len(lengths)))
    odd = [batch.inputs["ids"].shape[1] for batch in made if len(batch.index) % multiple]
    assert sorted(odd) == sorted(set(odd))
    for batch in made:
        rows, length = batch.inputs["ids"].shape
        assert rows * length <= max(1024, multiple * length)


def test_a_multiple_of_one_changes_nothing():
    columns, targets = encoded(some_lengths()), np.arange(500)
    batches = Batches(columns, targets, batch_tokens=256)
    same = Batches(columns, targets, batch_tokens=256)
    same.in_multiples_of(1)
    assert same.fingerprint() == batches.fingerprint()
    assert_equal(same.epoch(0), batches.epoch(0))


def test_sampled_batches_are_in_multiples_in_every_epoch():
    def sample(epoch):
        return Batches(encoded([4] * (30 + epoch)), batch_tokens=64, bucket=4, seed=epoch)

    batches = SampledBatches(sample)
    batches.in_multiples_of(8)
    sizes = [len(batch.index) for batch in batches.epoch(3)]
    assert sorted(sizes) == [1, 16, 16]
