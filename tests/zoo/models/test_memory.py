"""What does not fit in memory is refused before it is built, by a number that is too low."""

import math
import time

import numpy as np
import pytest

import keras_transformer as kt
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models import counts, memory
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.catalog import CATALOG, SIZES

TINY = dict(vocab_size=50, hidden_dim=16, intermediate_dim=32, num_layers=2, num_heads=2)


@pytest.mark.parametrize("name", CATALOG)
def test_parameters_are_those_of_the_catalogue_without_norms_and_biases(name):
    counted, known = memory.parameters_of(CATALOG[name]), SIZES[name].parameters
    # Nor are convolutions counted, a part of the small models that have them; of a small Whisper
    # they are projections of frames.
    least = {"cct": 0.7, "whisper": 0.9}.get(name.partition("_")[0], 0.95)
    assert least * known < counted <= known


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gpt_tiny", {"tied_head": False}),
        ("gpt_tiny", {"tied_head": False, "logits_bias": True, "qkv_bias": False}),
        ("bert_tiny", {"embedding_dim": 64, "num_layers": 6}),
        ("bert_tiny", {"embedding_dim": 256, "share_layers": True, "num_layers": 6}),
        ("transformer_tiny", {"tied_head": False, "position_bias": "t5"}),
        ("transformer_tiny", {"encoder_layers": 5}),
    ],
)
def test_parameters_follow_the_settings(name, changes):
    config = CATALOG[name].replace(**{"vocab_size": 500, **changes})
    least, built = memory.parameters_of(config), counts.parameters(build(config))
    assert 0.95 * built < least <= built


def test_logits_of_their_own_are_counted_once():
    config = CATALOG["gpt_tiny"].replace(**TINY, max_length=32)
    tied, untied = build(config), build(config.replace(tied_head=False))
    weights = [sum(math.prod(one.shape) for one in m.trainable_weights) for m in (tied, untied)]
    steps = [memory.step_bytes(m, 40, 8, 0) for m in (tied, untied)]
    assert steps[1] - steps[0] == 4 * (weights[1] - weights[0])
    assert counts.multiply_adds(tied, 8) == counts.multiply_adds(untied, 8)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_dim": 1_099_511_627_776}, {"num_layers": 3_000_000}, {"vocab_size": 2**40},
        {"max_length": 2**40}, {"intermediate_dim": 2**50}, {"num_heads": 2**40, "head_dim": 64},
        {"num_segments": 2**40}, {"hidden_dim": 2**62}, {"max_length": 2**40, "positions": "t5"},
        {"rank": 2**40, "intermediate_dim": 2**40}, {"embedding_dim": 2**50},
    ],
)  # fmt: skip
def test_absurd_sizes_are_refused_at_once(changes):
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"GB of memory, got one of at least [\d.,]+ GB; make"):
        kt.build("bert_tiny", **{**TINY, **changes})
    assert time.perf_counter() - start < 5


def test_a_number_beyond_the_machines_integers():
    with pytest.raises(InputError, match=r"below 2\*\*63, got hidden_dim=100"):
        kt.build("bert_tiny", hidden_dim=10**300)


def test_the_machines_memory_decides(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "machine_bytes", lambda: 2_500_000)
    with pytest.raises(InputError, match=r"0\.0 GB of memory, got one of at least 0\.0 GB"):
        kt.build("bert_tiny", **{**TINY, "num_layers": 3})
    monkeypatch.undo()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_LIMITS", (str(limit), str(tmp_path / "none")))
    limit.write_text("max\n")
    assert memory.machine_bytes() > 10**8
    limit.write_text("12345\n")
    assert memory.machine_bytes() == 12345


def test_a_step_needs_its_weights_and_what_its_layers_put_out(monkeypatch):
    config = CATALOG["gpt_tiny"].replace(**TINY, max_length=32)
    model = build(config)
    weights = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    # Query, key, value, output; up and down; two heads' scores over 8 positions; the logits.
    values = 2 * (4 * 16 + 32 + 16 + 2 * 8) + 50
    assert memory.step_bytes(model, 40, 8, 4) == 4 * (5 * weights + 40 * values)
    memory.check_training(model, 40, 8, 4)
    with pytest.raises(InputError, match="on batches of 1,000,000,000 tokens .* at least 1,"):
        memory.check_training(model, 10**9, 8, 4)
    monkeypatch.setattr(memory, "_has_gpu", lambda: True)
    memory.check_training(model, 10**9, 8, 4)


def test_the_largest_batch_is_known_before_it_is_made():
    rows = [np.ones(length, "int32") for length in (1, 2, 3, 8, 8, 8, 30)]
    batches = Batches({"ids": rows}, batch_tokens=32, bucket=4)
    shapes = [batch.inputs["ids"].shape for batch in batches.epoch(0)]
    assert batches.largest() == max(shapes, key=math.prod)
