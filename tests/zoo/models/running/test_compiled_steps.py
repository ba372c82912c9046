"""Greedy decoding as one XLA program, beside the loop that takes a step at a time."""

import numpy as np
import pytest
from keras import ops

from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.generation.decoding import Decoding
from keras_transformer.zoo.generation.loop import generate
from keras_transformer.zoo.models.running.compiled_steps import CompiledSteps
from keras_transformer.zoo.models.running.decoding_steps import KerasSteps
from tests.slow import mostly_slow
from tests.zoo.models.running.test_stepwise import ROOM, model_of, padded_sources, some_ids

FORBIDDEN = (0, 1)
IDS = some_ids(rows=5, length=4)


@pytest.fixture(
    scope="module",
    params=mostly_slow(["decoder", "encoder-decoder"], ["encoder-decoder"]),
)
def sides(request):
    """The steps one at a time, and compiled: each shape is compiled once."""
    model, config = model_of(request.param, seed=2, positions="learned", pre_norm=True)
    return KerasSteps(model, config, ROOM), CompiledSteps(model, config, ROOM)


def start(steps):
    if steps.config.architecture == "decoder":
        return steps.prefill(IDS[:, :-1])
    sources = [row[row != 0] for row in padded_sources()]
    return steps.encode([*sources, *sources[:2]])


def written(steps, stops=(), max_tokens=9):
    return generate(
        steps, start(steps), IDS[:, -1], Decoding(max_tokens=max_tokens), stop_ids=stops,
        forbidden_ids=FORBIDDEN,
    )  # fmt: skip


def test_it_equals_the_loop_of_single_steps(sides, monkeypatch):
    singly, compiled = sides
    calls = []
    greedy = compiled.greedy
    monkeypatch.setattr(compiled, "greedy", lambda *values: calls.append(1) or greedy(*values))
    rows = [one.ids.tolist() for one in written(singly)]
    # The token by which rows end in the most different places.
    stops = {max(range(2, 20), key=lambda i: len({row.index(i) for row in rows if i in row}))}
    finished = set()
    for options in ({}, {"max_tokens": 1}, {"stops": stops}, {"stops": stops, "max_tokens": 4}):
        expected, found = (written(side, **options) for side in sides)
        for one, other in zip(found, expected, strict=True):
            assert one.ids.tolist() == other.ids.tolist()
            assert (one.ids.dtype, one.finished) == (np.int32, other.finished)
            # Sums of a few float32 log probabilities.
            assert one.log_probability == pytest.approx(other.log_probability, rel=1e-4)
            finished.add((one.finished, len(one.ids)))
    assert len(calls) == 4
    assert len({length for ended, length in finished if ended}) >= 2


def test_logits_that_are_no_numbers(sides):
    compiled = sides[1]
    positions = compiled.model.get_layer("position_embedding").weights[0]
    before = ops.convert_to_numpy(positions.value)
    values = before.copy()
    values[5] = np.nan
    positions.assign(values)
    # XLA's maximum passes over what is not a number.
    message = "^Expected a finite number as the model's highest logit, got (nan|-inf)"
    with pytest.raises(RunError, match=message):
        written(compiled)
    positions.assign(before)
