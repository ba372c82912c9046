"""Keras models in several threads and in forks."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.running.compiled_steps import CompiledSteps
from keras_transformer.zoo.models.running.decoding_steps import KerasSteps
from keras_transformer.zoo.models.running.predict import predict
from tests.zoo.models.running.test_stepwise import ROOM, model_of, some_ids


class Alone:
    """A model that notes how many threads were in it at once."""

    predict_function, inputs = object(), []

    def __init__(self):
        self.inside, self.most = [], 0

    def predict_on_batch(self, inputs):
        self.inside.append(1)
        self.most = max(self.most, len(self.inside))
        time.sleep(0.005)
        self.inside.pop()
        return inputs["ids"]


def batches(seed=0):
    return Batches({"ids": list(some_ids(rows=3, seed=seed))}, batch_tokens=64)


def test_one_thread_at_a_time_predicts_with_a_model():
    models = Alone(), Alone()
    with ThreadPoolExecutor(8) as pool:
        for model in models:
            found = list(pool.map(lambda seed, m=model: predict(m, batches(seed)), range(8)))
            assert model.most == 1
            for seed, outputs in enumerate(found):
                np.testing.assert_array_equal(outputs, some_ids(rows=3, seed=seed))


def told(function):
    """What a fork of this process is told when it calls a function."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            function()
        except RunError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text.replace(str(os.getpid()), "PARENT").replace(str(child), "CHILD")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_is_told_to_use_another_model(learned):
    _, trained = learned
    decoder, config = model_of("decoder")
    steps = KerasSteps(decoder, config, ROOM)
    sources = KerasSteps(*model_of("encoder-decoder"), ROOM)
    for function in (
        lambda: trained.predict(["a text"]),
        lambda: steps.prefill(np.zeros((1, 0), "int32")),
        lambda: sources.encode([np.array([3])]),
    ):
        assert told(function) == (
            "Expected a Keras model to be used by the process that made it, got one of process "
            "PARENT in its fork CHILD; start processes by spawn, or run a .tflite file, which may "
            "be forked."
        )


def test_no_step_goes_past_the_cache():
    decoder, config = model_of("decoder")
    steps, tokens = KerasSteps(decoder, config, ROOM), np.array([3])
    cache = steps.prefill(some_ids(rows=1, length=ROOM - 1))
    _, full = steps.step(tokens, cache)
    with pytest.raises(InputError, match=f"cache's {ROOM}, got T=1 from position={ROOM}"):
        steps.step(tokens, full)
    with pytest.raises(InputError, match=f"got T={ROOM + 1} from position=0"):
        steps.prefill(some_ids(rows=1, length=ROOM + 1))
    with pytest.raises(InputError, match=f"got T=2 from position={ROOM - 1}"):
        CompiledSteps(decoder, config, ROOM).greedy(tokens, cache, 2, None, None)
