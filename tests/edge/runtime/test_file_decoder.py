from unittest import mock

import numpy as np
import pytest
from ai_edge_litert.compiled_model import CompiledModel

from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from tests.edge.generators import (
    DECODERS,
    KINDS,
    LENGTH,
    TRANSLATORS,
    generator,
    padded,
    random_ids,
)
from tests.slow import mostly_slow


def steps_of(path):
    return Runner(path).steps


def close(found, expected):
    """Equal to 1e-4 of the numbers' size."""
    size = np.sqrt(np.mean(np.square(expected)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * size)


def uncached(kind, ids, sources):
    """The Keras model's logits (rows, T, V), all positions at once."""
    inputs = {"ids": np.stack(ids)}
    if kind in TRANSLATORS:
        inputs["source_ids"] = padded(sources)
    return np.asarray(generator(kind).model.predict_on_batch(inputs))


@pytest.mark.parametrize("kind", mostly_slow(KINDS, ["t5"]))
def test_each_step_gives_the_models_logits_until_the_cache_is_full(kind, written):
    steps = steps_of(written(kind, lengths=(LENGTH,)))
    assert (steps.has_memory, steps.lengths) == (kind in TRANSLATORS, [LENGTH])
    assert (steps.source_length, steps.cache_length) == (LENGTH, LENGTH)
    ids, sources = random_ids([LENGTH] * 4), random_ids([1, 8, 19, LENGTH], seed=9)
    expected = uncached(kind, ids, sources)
    cache = steps.encode(sources) if steps.has_memory else steps.prefill(np.zeros((4, 0), "int32"))
    for place in range(LENGTH):
        tokens = np.array([row[place] for row in ids], "int32")
        logits, cache = steps.step(tokens, cache)
        assert logits.dtype == np.float32
        close(logits, expected[:, place])


@pytest.mark.parametrize("kind", mostly_slow(DECODERS, ["llama", "gpt"]))
@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 31, 32])
def test_a_prompt_of_any_length_is_read_at_once(kind, count, written):
    steps = steps_of(written(kind))
    ids = random_ids([LENGTH] * 2, seed=count)
    expected = uncached(kind, ids, None)
    cache = steps.prefill(np.stack(ids)[:, :count])
    assert [row.position for row in cache] == [count, count]
    # What padding left behind the prompt is written over, one position in each step.
    for place in range(count, min(count + 3, LENGTH)):
        tokens = np.array([row[place] for row in ids], "int32")
        logits, cache = steps.step(tokens, cache)
        close(logits, expected[:, place])


@pytest.mark.parametrize("kind", ["llama", "transformer"])
def test_a_cache_is_not_changed_by_steps_from_it_or_from_others(kind, written):
    steps = steps_of(written(kind))
    sources = random_ids([6, 9])

    def fresh(row, tokens):
        """Logits after tokens that follow a source or prompt, with an interpreter of its own."""
        alone = steps_of(written(kind))
        cache = start(alone, row)
        for token in tokens:
            logits, cache = alone.step(np.array([token]), cache)
        return logits[0]

    def start(steps, row):
        return steps.encode(sources[row : row + 1]) if steps.has_memory else steps.prefill(
            sources[row][None]
        )

    # Rows that are held, each with what it has read; steps start from any of them, in any order.
    held = [(row, [], start(steps, row)) for row in (0, 1)]
    rng = np.random.default_rng(0)
    for _ in range(24):
        row, tokens, cache = held[rng.integers(len(held))]
        token = int(rng.integers(5, 200))
        logits, longer = steps.step(np.array([token]), cache)
        held.append((row, [*tokens, token], longer))
        np.testing.assert_array_equal(logits[0], fresh(row, [*tokens, token]))
        # The row behind the interpreter's own goes on from where it was, too.
        if rng.random() < 0.3:
            del held[rng.integers(2, len(held))]
    assert max(len(tokens) for _, tokens, _ in held) > 2


@pytest.mark.parametrize("kind", ["llama", "transformer"])
def test_rows_are_selected_in_any_order_and_again(kind, written):
    steps = steps_of(written(kind))
    rows = random_ids([6] * 3)
    cache = steps.encode(rows) if steps.has_memory else steps.prefill(np.stack(rows))
    tokens = np.array([10, 20, 30], "int32")
    expected, cache = steps.step(tokens, cache)
    chosen = np.array([2, 0, 2, 1])
    selected, _ = steps.step(tokens[chosen], steps.select(cache, chosen))
    for row, parent in zip(selected, chosen, strict=True):
        alone, _ = steps.step(tokens[[parent]], [cache[parent]])
        np.testing.assert_array_equal(row, alone[0])
    assert expected.shape == (3, 261)


def test_a_row_goes_on_after_an_interrupt_while_another_one_is_loaded(written):
    steps = steps_of(written("llama"))
    first, other = (steps.prefill(ids[None]) for ids in random_ids([6, 9]))
    _, longer = steps.step(np.array([10]), first)
    copy, copied = np.copyto, []

    def interrupted(target, source):
        copied.append(copy(target, source))
        if len(copied) == 2:
            raise KeyboardInterrupt

    with mock.patch("numpy.copyto", interrupted), pytest.raises(KeyboardInterrupt):
        steps.step(np.array([20]), other)
    found, _ = steps.step(np.array([30]), longer)
    alone = steps_of(written("llama"))
    _, expected = alone.step(np.array([10]), alone.prefill(random_ids([6, 9])[0][None]))
    expected, _ = alone.step(np.array([30]), expected)
    np.testing.assert_array_equal(found, expected)


def test_a_host_may_have_each_cache_written_in_place(written):
    path = written("llama")
    model = CompiledModel.from_buffer(unpack(path)[0])
    names, number = model.get_signature_list()["decode"], model.get_signature_index("decode")
    inputs = dict(zip(names["inputs"], model.create_input_buffers(number), strict=True))
    outputs = dict(zip(names["outputs"], model.create_output_buffers(number), strict=True))
    outputs |= {name: one for name, one in inputs.items() if name in outputs}
    steps, sizes = steps_of(path), model.get_input_tensor_details("decode")
    cache = steps.prefill(np.zeros((1, 0), "int32"))
    for name in inputs.keys() & outputs.keys():
        inputs[name].write(np.zeros(sizes[name]["shape"], np.float32))
    for place, token in enumerate(random_ids([LENGTH])[0]):
        inputs["ids"].write(np.array([[token]], np.int32))
        inputs["position"].write(np.array([place], np.int32))
        model.run_by_index(number, list(inputs.values()), list(outputs.values()))
        expected, cache = steps.step(np.array([token]), cache)
        found = outputs["logits"].read(expected.size, np.float32)
        np.testing.assert_array_equal(found, expected[0])


def test_the_shortest_length_that_fits(written):
    steps = steps_of(written("gpt"))
    lengths = [steps.reader_length(count) for count in (1, 8, 9, 16, 17, 32)]
    assert lengths == [8, 8, 16, 16, 32, 32]
