"""Greedy soups of one weight, whose best value is known."""

import numpy as np

from keras_transformer.zoo.fusion.soup import greedy_soup


def soup_of(values, best):
    """The mean and the members' places, where nearer to `best` is better."""

    def score(weights):
        return -abs(float(weights["w"][0]) - best)

    members = [{"w": np.array([value], "float32")} for value in values]
    mean, kept = greedy_soup(members, list(map(score, members)), score)
    return float(mean["w"][0]), kept


def test_members_that_help_are_added_from_the_best_on():
    # 3 is the best; with 6 it becomes 4.5, with 1 beside them 10 / 3, and 40 would only harm.
    assert soup_of([6.0, 40.0, 3.0, 1.0], best=3.9) == (np.float32(10 / 3), [2, 0, 3])


def test_the_best_alone_stays_as_it_is():
    assert soup_of([7.0, 2.0, 9.5], best=2.0) == (2.0, [1])


def test_a_member_that_changes_nothing_is_added():
    assert soup_of([2.0, 2.0], best=5.0) == (2.0, [0, 1])
