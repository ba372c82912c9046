"""Small generating models with weights drawn at random, for tests of their files."""

import dataclasses
import functools

import keras
import numpy as np

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, SPECIAL_TOKENS, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig

LENGTH = 32
LENGTHS = (8, 16, 32)
# The bytes tokenizer's: five special tokens, then a byte each.
VOCAB_SIZE, FIRST = 261, 5
# Between them every kind of position, norm, activation and number of key-value heads.
KINDS = {
    "gpt": {"architecture": "decoder", "pre_norm": True, "activation": "gelu_tanh"},
    "llama": {
        "architecture": "decoder", "pre_norm": True, "positions": "rotary", "norm": "rms_norm",
        "activation": "silu", "gated": True, "num_key_value_heads": 2, "use_bias": False,
    },
    "transformer": {
        "architecture": "encoder-decoder", "positions": "sinusoidal", "activation": "relu",
        "scale_embeddings": True, "epsilon": 1e-6,
    },
    "alibi": {"architecture": "decoder", "positions": "alibi", "num_key_value_heads": 1},
    "t5": {
        "architecture": "encoder-decoder", "positions": "t5", "pre_norm": True,
        "norm": "rms_norm", "num_key_value_heads": 2,
    },
    "gemma": {
        "architecture": "decoder", "pre_norm": True, "positions": "rotary", "norm": "rms_norm",
        "qk_norm": True, "sandwich_norms": True, "window": 8, "layer_pattern": "LG",
        "rope_theta": 500.0, "local_rope_theta": 100.0, "num_key_value_heads": 1,
    },
    "pythia": {
        "architecture": "decoder", "pre_norm": True, "positions": "rotary",
        "rotary_fraction": 0.5, "parallel_residual": True, "tied_head": False,
        "rope_scaling": {
            "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_length": 24,
        },
    },
    "bart": {
        "architecture": "encoder-decoder", "embedding_norm": True, "logits_bias": True,
        "position_bias": "t5",
    },
}  # fmt: skip
DECODERS = ("gpt", "llama", "alibi", "gemma", "pythia")
TRANSLATORS = ("transformer", "t5", "bart")


def random_ids(lengths, seed=0):
    """A row of ids for each length."""
    rng = np.random.default_rng(seed)
    return [rng.integers(FIRST, VOCAB_SIZE, length).astype("int32") for length in lengths]


def changes_for(precision):
    """What a model of `KINDS` needs to be stored in a precision: blocks of 32 inputs."""
    return {"intermediate_dim": 64} if precision == "int4" else {}


def padded(rows, length=LENGTH):
    result = np.zeros((len(rows), length), "int32")
    for row, ids in zip(result, rows, strict=True):
        row[: len(ids)] = ids
    return result


@functools.cache
def generator(kind: str, **changes) -> Checkpoint:
    """An untrained model as a checkpoint holds it, with biases and scales that are not 0 and 1."""
    shape = {
        "vocab_size": VOCAB_SIZE, "max_length": 2 * LENGTH, "hidden_dim": 32,
        "intermediate_dim": 48, "num_layers": 2, "num_heads": 4,
    }  # fmt: skip
    config = TransformerConfig(**{**shape, **KINDS[kind], **changes})
    name = "translation" if config.architecture == "encoder-decoder" else "language-modeling"
    task = TASKS[name]()
    # How far an int8 file is off depends on the weights: each run meets the same ones.
    keras.utils.set_random_seed(0)
    model = build(config, task)
    rng = np.random.default_rng(0)
    weights = {
        path: value + rng.normal(0, 0.1, value.shape).astype("float32")
        for path, value in get_weights(model).items()
    }
    set_weights(model, weights)
    probes = {"ids": np.stack(random_ids([20] * 12, seed=1))}
    if name == "translation":
        probes["source_ids"] = padded(random_ids(range(3, 27, 2), seed=2))
    columns = {name: name for name in TASKS[name].columns}
    recipe = Recipe.of_task(
        TASKS[name], model="gpt_nano" if name == "language-modeling" else "transformer_tiny",
        train="train", validation="validation", **columns,
    )  # fmt: skip
    return Checkpoint(
        config=config, task=task, model=model, metrics={}, probes=probes, recipe=recipe,
        modality=Text(
            tokenizer=Tokenizer(
                TokenizerConfig(kind="bytes", lowercase=False, strip_accents=False)
            ),
            max_length=LENGTH,
        ),
    )  # fmt: skip


def calibration(kind: str) -> Batches:
    """Batches for the ranges of a random model."""
    columns = {"ids": random_ids([24] * 64, seed=3)}
    if kind in TRANSLATORS:
        columns["source_ids"] = random_ids(list(range(4, 28, 3)) * 8, seed=4)
    return Batches(columns, batch_tokens=512)


WRITER_LENGTH = 96


@functools.cache
def writer(kind: str = "llama", **changes) -> Checkpoint:
    """A random decoder with a sentencepiece tokenizer."""
    fixed = (*SPECIAL_TOKENS, *BYTE_PIECES)
    letters = "abcdefgh"
    words = ("\u2581", *letters, *(f"\u2581{a}{b}" for a in letters for b in letters))
    scores = (0.0,) * len(fixed) + tuple(-1.0 - 0.01 * place for place in range(len(words)))
    tokenizer = Tokenizer(TokenizerConfig(kind="sentencepiece"), Vocabulary(fixed + words, scores))
    size = {"vocab_size": tokenizer.vocab_size, "max_length": WRITER_LENGTH}
    trained = generator(kind, **size, **changes)
    rng = np.random.default_rng(1)
    probes = rng.integers(len(fixed), tokenizer.vocab_size, (8, 40)).astype("int32")
    modality = Text(tokenizer=tokenizer, max_length=WRITER_LENGTH)
    return dataclasses.replace(trained, modality=modality, probes={"ids": probes})


def quantized_writer(precision: str, kind: str) -> Checkpoint:
    """The checkpoint that quantize would have made of a writer, ranges and all."""
    trained = writer(kind)
    ids = np.random.default_rng(3).integers(FIRST, trained.config.vocab_size, (64, 24))
    rows = Batches({"ids": list(ids.astype("int32"))}, batch_tokens=512)
    return dataclasses.replace(
        trained, model=quantized_model(trained, rows, precision),
        bits=dict(PRECISIONS[precision].bits),
    )  # fmt: skip
