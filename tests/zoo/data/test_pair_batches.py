import numpy as np

from keras_transformer.zoo.data.pair_batches import PairBatches
from keras_transformer.zoo.modalities.modality import InputSpec

SPECS = (
    InputSpec(name="ids"), InputSpec(name="frame", dtype="float32", shape=(2,)),
)  # fmt: skip
COUNT = 20


def pairs(seed=0, tokens=64):
    """Pairs whose rows repeat the pair's number, seconds with 100 added, and their targets."""
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 9, 2 * COUNT)
    numbers = [n + 1 for n in range(COUNT)] + [n + 101 for n in range(COUNT)]
    columns = {
        "ids": [np.full(n, number, "int32") for n, number in zip(lengths, numbers, strict=True)],
        "frame": [np.array([number, -number], "float32") for number in numbers],
    }
    targets = np.arange(1, COUNT + 1, dtype="float32")
    return PairBatches(columns, targets, specs=SPECS, batch_tokens=tokens, bucket=4, seed=seed)


def test_seconds_follow_their_firsts_and_all_pairs_occur():
    seen = []
    for batch in pairs().epoch(0):
        ids, frames = batch.inputs["ids"], batch.inputs["frame"]
        assert len(ids) == len(frames) == 2 * len(batch.targets) and ids.size <= 64
        assert batch.num_targets == len(batch.targets)
        first, second = np.split(ids, 2)
        np.testing.assert_array_equal(first[:, 0], batch.targets)
        np.testing.assert_array_equal(second[:, 0], batch.targets + 100)
        np.testing.assert_array_equal(frames[:, 0], ids[:, 0])
        seen += batch.index.tolist()
    assert sorted(seen) == list(range(COUNT))


def test_shapes_are_met_beforehand():
    batches = pairs()
    shapes = {batch.inputs["ids"].shape for batch in batches.one_of_each_shape()}
    found = [batch.inputs["ids"].shape for epoch in (0, 1) for batch in batches.epoch(epoch)]
    assert set(found) == shapes
    assert len(found) == 2 * len(batches)
    rows, length = batches.largest()
    assert rows * length == max(rows * length for rows, length in shapes)


def test_an_epoch_continues_where_it_stopped():
    whole = [batch.index.tolist() for batch in pairs().epoch(2)]
    assert [batch.index.tolist() for batch in pairs().epoch(2, start=3)] == whole[3:]
    assert pairs().fingerprint() == pairs().fingerprint() != pairs(seed=1).fingerprint()


def test_a_batch_has_a_pair_at_least():
    assert len(pairs(tokens=1)) == COUNT
