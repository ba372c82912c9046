import numpy as np
import pytest

from keras_transformer.edge.choose.pareto import TIE, Point, pareto_front, recommend


def random_points(seed, count=12):
    """Points of few distinct values, so that many are equal in something."""
    rng = np.random.default_rng(seed)
    return [
        Point(
            name=f"p{place}", drop=float(rng.integers(-2, 5)) / 2,
            latency=float(rng.choice([1.0, 1.02, 1.04, 1.2, 3.0])),
            size=int(rng.integers(1, 5)), gzip_size=int(rng.integers(1, 5)),
        )
        for place in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_the_front_is_what_brute_force_finds(seed):
    points = random_points(seed)
    table = np.array([(p.drop, p.latency, p.size, p.gzip_size) for p in points])
    beaten = [
        any((table[b] <= table[a]).all() and (table[b] < table[a]).any() for b in range(12))
        for a in range(12)
    ]
    expected = [p.name for p, is_beaten in zip(points, beaten, strict=True) if not is_beaten]
    assert [p.name for p in pareto_front(points)] == expected
    assert expected


def test_two_files_that_are_equal_in_everything_are_both_on_the_front():
    one = Point(name="a", drop=0.0, latency=1.0, size=1, gzip_size=1)
    other = Point(name="b", drop=0.0, latency=1.0, size=1, gzip_size=1)
    assert pareto_front([one, other]) == [one, other]


@pytest.mark.parametrize("seed", range(30))
def test_the_recommendation_is_what_brute_force_finds(seed):
    points = random_points(seed)
    chosen = recommend(points, "p0", 0.5).name
    allowed = [p for p in points if p.drop <= 0.5 or p.name == "p0"]
    # Every pair is compared by the rule's words: nobody that is allowed may be better.
    limit = (1 + TIE) * min(p.latency for p in allowed)
    unbeaten = [
        p.name
        for p in allowed
        if p.latency <= limit
        and not any(
            q.latency <= limit and (q.size, q.latency) < (p.size, p.latency) for q in allowed
        )
    ]
    assert chosen in unbeaten


def test_where_nothing_else_fits_the_nearest_is_named():
    points = [
        Point(name="float32", drop=0.0, latency=4.0, size=4, gzip_size=4),
        Point(name="int4", drop=3.0, latency=1.0, size=1, gzip_size=1),
        Point(name="int8", drop=0.75, latency=2.0, size=2, gzip_size=2),
    ]
    choice = recommend(points, "float32", 0.5)
    assert (choice.name, choice.nearest) == ("float32", points[2])
    assert recommend(points, "float32", 0.75).name == "int8"
    assert recommend(points, "float32", 3.0).name == "int4"
    assert recommend(points[:1], "float32", 0.0).nearest is None


def test_of_files_as_fast_the_smallest_is_taken():
    def point(name, latency, size):
        return Point(name=name, drop=0.0, latency=latency, size=size, gzip_size=size)

    small = point("small", 1.04, 1)
    assert recommend([point("big", 1.0, 4), small], "big", 0.0).name == "small"
    slow = point("slow", 1.06, 1)
    assert recommend([point("big", 1.0, 4), slow], "big", 0.0).name == "big"
