import numpy as np
import pytest

from keras_transformer.zoo.data.batches import MAX_EDGES, Batches, SampledBatches
from keras_transformer.zoo.errors import InputError


def encoded(lengths):
    """Row i holds i + 1 in every place, so that a row is known by its ids."""
    return {
        "ids": [np.full(n, i + 1, np.int32) for i, n in enumerate(lengths)],
        "segment_ids": [(np.arange(n) > n // 2).astype(np.int32) for n in lengths],
    }


def some_lengths(rows=500, longest=60, seed=0):
    return np.random.default_rng(seed).geometric(0.08, rows).clip(2, longest)


def assert_equal(batches, others):
    batches, others = list(batches), list(others)
    assert len(batches) == len(others)
    for one, other in zip(batches, others, strict=True):
        assert list(one.inputs) == list(other.inputs)
        for name, ids in one.inputs.items():
            np.testing.assert_array_equal(ids, other.inputs[name])
        np.testing.assert_array_equal(one.targets, other.targets)
        np.testing.assert_array_equal(one.index, other.index)


def test_whole_small_case():
    rows = encoded([3, 1, 2])
    batches = Batches(rows, np.array([7, 8, 9]), batch_tokens=6, bucket=None)
    assert batches.edges == [3]
    first, second = batches.in_order()
    np.testing.assert_array_equal(first.index, [1, 2])
    np.testing.assert_array_equal(first.inputs["ids"], np.array([[2, 0, 0], [3, 3, 0]], np.int32))
    np.testing.assert_array_equal(first.inputs["segment_ids"], np.zeros((2, 3), np.int32))
    np.testing.assert_array_equal(first.targets, [8, 9])
    np.testing.assert_array_equal(second.inputs["ids"], np.array([[1, 1, 1]], np.int32))
    np.testing.assert_array_equal(second.inputs["segment_ids"], np.array([[0, 0, 1]], np.int32))
    assert first.inputs["ids"].dtype == first.inputs["segment_ids"].dtype == np.int32


@pytest.mark.parametrize("options", [{}, {"bucket": 8}, {"bucket": None}, {"padded_to": 64}])
@pytest.mark.parametrize("order", ["epoch", "in_order"])
def test_every_row_is_there_once_and_padded_with_zero(options, order):
    lengths = some_lengths()
    rows = encoded(lengths)
    targets = np.arange(len(lengths)) * 10
    batches = Batches(rows, targets, batch_tokens=256, **options)
    made = list(batches.epoch(3) if order == "epoch" else batches.in_order())
    assert len(made) == len(batches)
    index = np.concatenate([batch.index for batch in made])
    np.testing.assert_array_equal(np.sort(index), np.arange(len(lengths)))
    for batch in made:
        count, length = batch.inputs["ids"].shape
        assert length in batches.edges
        assert count * length <= 256
        np.testing.assert_array_equal(batch.targets, batch.index * 10)
        expected_ids = np.zeros((count, length), np.int32)
        expected_segments = np.zeros((count, length), np.int32)
        for i, row in enumerate(batch.index):
            expected_ids[i, : lengths[row]] = rows["ids"][row]
            expected_segments[i, : lengths[row]] = rows["segment_ids"][row]
        np.testing.assert_array_equal(batch.inputs["ids"], expected_ids)
        np.testing.assert_array_equal(batch.inputs["segment_ids"], expected_segments)


def test_in_order_is_by_length():
    lengths = some_lengths()
    made = list(Batches(encoded(lengths), None, batch_tokens=256).in_order())
    assert all(batch.targets is None for batch in made)
    assert np.all(np.diff(lengths[np.concatenate([batch.index for batch in made])]) >= 0)


def test_epochs_differ_and_repeat():
    lengths = some_lengths()
    targets = np.arange(len(lengths))
    batches = Batches(encoded(lengths), targets, batch_tokens=256, seed=5)
    again = Batches(encoded(lengths), targets, batch_tokens=256, seed=5)
    assert_equal(batches.epoch(1), again.epoch(1))
    first = np.concatenate([batch.index for batch in batches.epoch(1)])
    second = np.concatenate([batch.index for batch in batches.epoch(2)])
    other_seed = Batches(encoded(lengths), targets, batch_tokens=256, seed=6)
    third = np.concatenate([batch.index for batch in other_seed.epoch(1)])
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, third)
    assert len(list(batches.epoch(1))) == len(list(batches.epoch(2))) == len(batches)


@pytest.mark.parametrize("start", [0, 1, 7, -1])
def test_epoch_goes_on_from_a_batch(start):
    lengths = some_lengths()
    batches = Batches(encoded(lengths), np.arange(len(lengths)), batch_tokens=256)
    start = len(batches) if start == -1 else start
    assert_equal(batches.epoch(2, start=start), list(batches.epoch(2))[start:])


def test_edges_are_few_multiples_that_never_pass_the_longest_row():
    lengths = some_lengths(longest=61)
    lengths[0] = 61
    batches = Batches(encoded(lengths), None, batch_tokens=512, bucket=4)
    assert len(batches.edges) <= MAX_EDGES
    assert batches.edges == sorted(set(batches.edges))
    assert all(edge % 4 == 0 for edge in batches.edges[:-1])
    assert batches.edges[-1] == 61


def test_edges_match_the_lengths_there_are():
    lengths = [5] * 100 + [20] * 100 + [50] * 100
    batches = Batches(encoded(lengths), None, batch_tokens=100, bucket=1)
    assert batches.edges == [5, 20, 50]


def test_a_few_rows_get_no_bucket_of_their_own():
    lengths = [19] * 2 + [20] * 98
    assert Batches(encoded(lengths), None, batch_tokens=1000, bucket=1).edges == [20]


def test_buckets_save_most_of_the_padding():
    lengths = some_lengths(rows=5000, longest=64)
    bucketed = Batches(encoded(lengths), None, batch_tokens=2048)
    padded = Batches(encoded(lengths), None, batch_tokens=2048, padded_to=64)
    tokens = sum(batch.inputs["ids"].size for batch in bucketed.in_order())
    assert tokens < 1.25 * lengths.sum()
    assert sum(batch.inputs["ids"].size for batch in padded.in_order()) == 64 * 5000


def test_a_row_longer_than_the_budget_stands_alone():
    made = list(Batches(encoded([10, 10]), None, batch_tokens=4).in_order())
    assert [batch.inputs["ids"].shape for batch in made] == [(1, 10), (1, 10)]


def test_batches_of_a_bucket_are_even():
    made = list(Batches(encoded([10] * 21), None, batch_tokens=100).in_order())
    assert [len(batch.index) for batch in made] == [7, 7, 7]


def test_empty_rows_and_very_long_rows():
    made = list(Batches(encoded([0, 0]), None, batch_tokens=4).in_order())
    np.testing.assert_array_equal(made[0].inputs["ids"], np.zeros((2, 1), np.int32))
    lengths = np.random.default_rng(0).integers(1, 10_000, 300)
    batches = Batches(encoded(lengths), None, batch_tokens=20_000, bucket=1)
    assert len(batches.edges) == MAX_EDGES
    assert batches.edges[-1] == lengths.max()


BAD_OPTIONS = [
    ({"batch_tokens": 0}, "Expected batch_tokens to be at least 1, got batch_tokens=0."),
    ({"bucket": 0}, "Expected bucket to be at least 1, got bucket=0."),
    (
        {"padded_to": 4},
        "Expected padded_to to be at least the longest row's 5 tokens, got padded_to=4.",
    ),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options(options, message):
    with pytest.raises(InputError) as error:
        Batches(encoded([5]), None, **{"batch_tokens": 8, **options})
    assert str(error.value) == message


def test_no_rows():
    with pytest.raises(InputError, match="Expected at least one row to make batches of, got none"):
        Batches(encoded([]), None, batch_tokens=8)


@pytest.mark.parametrize("targets", [np.zeros(1), [np.ones(2, np.int32)]], ids=["one", "many"])
def test_targets_must_match(targets):
    with pytest.raises(ValueError, match="Expected one target a row, got 1 targets and 2 rows"):
        Batches(encoded([1, 2]), targets, batch_tokens=8)


def test_one_of_each_shape():
    batches = Batches(encoded(some_lengths()), None, batch_tokens=200, seed=3)
    met = [batch.inputs["ids"].shape for batch in batches.one_of_each_shape()]
    assert len(met) == len(set(met)) > len(batches.edges)
    assert set(met) == {batch.inputs["ids"].shape for batch in batches.epoch(5)}
    assert [length for _, length in met] == sorted(length for _, length in met)


def test_fingerprint_tells_what_decides_the_epochs():
    def fingerprint(lengths=(3, 4, 9), targets=(0, 1, 0), batch_tokens=20, **options):
        targets = None if targets is None else np.array(targets)
        batches = Batches(encoded(lengths), targets, batch_tokens=batch_tokens, **options)
        return batches.fingerprint()

    same = fingerprint()
    assert fingerprint() == same
    others = [
        fingerprint(lengths=(3, 5, 8)),
        fingerprint(targets=(0, 1, 1)),
        fingerprint(targets=None),
        fingerprint(batch_tokens=4),
        fingerprint(bucket=9),
        fingerprint(padded_to=12),
        fingerprint(seed=1),
    ]
    assert len({same, *others}) == 1 + len(others)


def ragged(lengths, first):
    """Rows of those lengths with the numbers from `first` on, none of them 0."""
    ends = np.cumsum(lengths)
    numbers = np.arange(first, first + sum(lengths), dtype=np.int32)
    return [numbers[end - n : end] for n, end in zip(lengths, ends, strict=True)]


def test_columns_and_targets_are_padded_each_to_its_own_width():
    columns = {"source_ids": ragged([4, 5, 2], 1), "ids": ragged([2, 3, 3], 11)}
    targets = ragged([2, 3, 3], 21)
    batches = Batches(columns, targets, batch_tokens=20, bucket=2)
    assert batches.edges == [5]
    (batch,) = batches.in_order()
    np.testing.assert_array_equal(batch.index, [2, 0, 1])
    assert list(batch.inputs) == ["source_ids", "ids"]
    np.testing.assert_array_equal(
        batch.inputs["source_ids"], [[10, 11, 0, 0, 0], [1, 2, 3, 4, 0], [5, 6, 7, 8, 9]]
    )
    # The longest has three ids, and a width is a multiple of two.
    np.testing.assert_array_equal(
        batch.inputs["ids"], [[16, 17, 18, 0], [11, 12, 0, 0], [13, 14, 15, 0]]
    )
    np.testing.assert_array_equal(
        batch.targets, [[26, 27, 28, -1], [21, 22, -1, -1], [23, 24, 25, -1]]
    )
    assert batch.targets.dtype == np.int32
    assert batch.num_targets == 8


@pytest.mark.parametrize("bucket", [1, 4, 8, None])
def test_widths_are_few_and_no_more_than_needed(bucket):
    rng = np.random.default_rng(1)
    lengths = {name: some_lengths(rows=300, seed=i) for i, name in enumerate(("a", "b"))}
    lengths["targets"] = (lengths["b"] + rng.integers(-1, 2, 300)).clip(1)
    rows = {name: ragged(values, 1) for name, values in lengths.items()}
    longest = np.max(list(lengths.values()), axis=0)
    targets = rows["targets"]
    columns = {name: rows[name] for name in ("a", "b")}
    batches = Batches(columns, targets, batch_tokens=300, bucket=bucket, seed=2)
    widths = {edge: set() for edge in batches.edges}
    seen = []
    for batch in batches.epoch(0):
        edge = min(e for e in batches.edges if e >= longest[batch.index].max())
        made = {**batch.inputs, "targets": batch.targets}
        widths[edge].add(tuple(values.shape[1] for values in made.values()))
        for name, values in made.items():
            assert values.size <= 300
            expected = np.full_like(values, -1 if name == "targets" else 0)
            for i, row in enumerate(batch.index):
                expected[i, : lengths[name][row]] = rows[name][row]
            np.testing.assert_array_equal(values, expected)
        assert batch.num_targets == lengths["targets"][batch.index].sum()
        seen += batch.index.tolist()
    assert sorted(seen) == list(range(300))
    below = 0
    for edge, shapes in widths.items():
        assert len(shapes) == 1
        inside = (longest > below) & (longest <= edge)
        for name, width in zip(("a", "b", "targets"), *shapes, strict=True):
            needed = lengths[name][inside].max()
            assert needed <= width <= edge
            if bucket is None:
                assert width == edge
            elif width < edge:
                assert width % bucket == 0 and width - needed < bucket
        below = edge


def test_targets_of_a_row_count_for_its_length():
    batches = Batches({"ids": ragged([1, 1], 1)}, ragged([5, 6], 1), batch_tokens=12, bucket=3)
    assert batches.edges == [6]
    (batch,) = batches.in_order()
    assert (batch.inputs["ids"].shape, batch.targets.shape) == ((2, 3), (2, 6))


def test_targets_are_counted_by_the_row_where_each_has_one():
    columns = encoded([3, 1, 2])
    for targets in (None, np.array([0, 1, 0])):
        (batch,) = Batches(columns, targets, batch_tokens=100).in_order()
        assert batch.num_targets == 3


def test_fingerprint_tells_columns_and_ragged_targets_apart():
    def fingerprint(a=(1, 2), b=(2, 1), targets=(2, 2), names=("a", "b"), first=1):
        columns = dict(zip(names, (ragged(a, 1), ragged(b, 5)), strict=True))
        return Batches(columns, ragged(targets, first), batch_tokens=20).fingerprint()

    others = [
        fingerprint(names=("b", "a")),
        fingerprint(names=("a", "c")),
        fingerprint(first=2),
        fingerprint(targets=(1, 2)),
        fingerprint(targets=(2, 1)),
        fingerprint(b=(1, 2)),
        Batches({"a": ragged((1, 2), 1)}, ragged((2, 2), 1), batch_tokens=20).fingerprint(),
    ]
    assert len({fingerprint(), *others}) == 1 + len(others)


def test_sampled_batches_are_made_anew_in_every_epoch():
    def sample(epoch):
        return Batches({"ids": ragged([1 + epoch, 2, 3], 1)}, batch_tokens=4, seed=7)

    batches = SampledBatches(sample)
    assert len(batches) == len(sample(0))
    assert batches.fingerprint() == sample(0).fingerprint() != sample(1).fingerprint()
    shapes = [batch.inputs["ids"].shape for batch in batches.one_of_each_shape()]
    assert shapes == [batch.inputs["ids"].shape for batch in sample(0).one_of_each_shape()]
    for epoch in (0, 1, 2):
        for start in (0, 1):
            made = list(batches.epoch(epoch, start=start))
            expected = list(sample(epoch).epoch(epoch, start=start))
            for one, other in zip(made, expected, strict=True):
                np.testing.assert_array_equal(one.inputs["ids"], other.inputs["ids"])
                np.testing.assert_array_equal(one.index, other.index)
