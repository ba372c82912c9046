import dataclasses
import itertools

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.compare.parity import measure_parity
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.tflite.schema import check_kernels, check_ops, kernels
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.edge.models import LENGTH, VOCABULARY, calibration, random_model
from tests.slow import mostly_slow

# A value next to the middle of two steps can fall either way in the file, and the layers that
# follow carry that on; weights drawn at random leave many outputs small beside the largest.
# Between them these have every choice of the config.
FAMILIES = {
    "bert": {},
    "llama": {
        "pre_norm": True, "norm": "rms_norm", "use_bias": False, "activation": "silu",
        "gated": True, "positions": "rotary", "num_key_value_heads": 2, "pooling": "mean",
        "num_segments": 0,
    },
    "t5_pair": {
        "pair": True, "pre_norm": True, "positions": "t5", "activation": "relu", "gated": True,
        "pooling": "max",
    },
    "alibi": {
        "positions": "alibi", "activation": "gelu_tanh", "num_key_value_heads": 1,
        "pooling": "mean",
    },
    "paper": {
        "task_name": "regression", "positions": "sinusoidal", "scale_embeddings": True,
        "activation": "relu", "pooling": "max",
    },
    "modernbert": {
        "positions": "rotary", "pre_norm": True, "embedding_norm": True, "first_norm": False,
        "gated": True, "use_bias": False, "window": 3, "layer_pattern": "GL", "num_layers": 2,
        "rope_theta": 500.0, "local_rope_theta": 100.0, "pooling": "mean", "num_segments": 0,
    },
    "albert": {
        "embedding_dim": 64, "share_layers": True, "num_layers": 2, "pooler": "relu",
        "activation": "gelu_tanh",
    },
    "mpnet": {"position_bias": "t5", "num_segments": 0, "pooler": "none"},
}  # fmt: skip
SINGLY = {
    **{
        f"activation={name}": {"activation": name}
        for name in ("relu", "gelu_tanh", "silu", "hard_silu")
    },
    **{
        f"gated {name}": {"activation": name, "gated": True}
        for name in ("relu", "gelu", "gelu_tanh", "silu", "hard_silu")
    },
    **{f"positions={name}": {"positions": name} for name in ("rotary", "t5", "alibi")},
    **{f"pooling={name}": {"pooling": name} for name in ("mean", "max", "attention")},
    **{f"pre-norm {name}": {"pre_norm": True, "norm": name} for name in ("layer_norm", "rms_norm")},
    **{f"{heads} key-value heads": {"num_key_value_heads": heads} for heads in (1, 2)},
    "sinusoidal": {"positions": "sinusoidal", "scale_embeddings": True},
    "no bias": {"use_bias": False},
    "pair": {"pair": True},
    "regression": {"task_name": "regression"},
    "as long as wide": {"hidden_dim": 12, "pooling": "max"},
}


def check(settings, precision):
    trained = random_model(**settings)
    is_static = PRECISIONS[precision].is_static
    batches = calibration(pair=settings.get("pair", False)) if is_static else None
    converted = convert(trained, precision, calibration=batches)
    assert converted.precision == precision
    # A model without metrics is compared on calibration rows too.
    assert converted.parity.rows == (128 if is_static else 64)
    return converted


def is_possible(settings, precision):
    """The converter does not store rotations in 16 bits."""
    is_wide = (PRECISIONS[precision].activation_bits or 0) > 8
    return not (is_wide and settings.get("positions") == "rotary")


@pytest.mark.parametrize(
    ("family", "precision"),
    mostly_slow(
        itertools.product(FAMILIES, PRECISIONS),
        # One with each width of kernels and of rows; other tests convert to the other precisions.
        [
            ("llama", "dynamic_int8"), ("t5_pair", "int8"), ("modernbert", "int4"),
            ("albert", "int16x8"),
        ],
    ),
)  # fmt: skip
def test_families_convert(family, precision, tmp_path):
    if not is_possible(FAMILIES[family], precision):
        with pytest.raises(InputError, match="^Expected position"):
            check(FAMILIES[family], precision)
        return
    if (family, precision) == ("t5_pair", "static_int8"):
        # The products of a gate drawn at random have few large values, and one range for all of
        # them rounds the others away.
        remedy = r"--keep \"encoder/block_0/feed_forward/\*=float32\" 0.0% depart"
        with pytest.raises(RunError, match=remedy):
            check(FAMILIES[family], precision)
        return
    converted = check(FAMILIES[family], precision)
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(converted))
    flatbuffer, description, files = unpack(path)
    spec = PRECISIONS[precision]
    check_ops(flatbuffer)
    # The table of tokens, which this file does not multiply by, has 8 bits in any case.
    check_kernels(flatbuffer, spec.kernel_type)
    assert (description["precision"], description["max_length"]) == (precision, 12)
    assert description["lengths"] == [12]
    assert files["labels.txt"] == (b"" if family == "paper" else b"a\nb\nc\n")


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("choice", SINGLY)
def test_each_choice_converts_by_itself(choice, precision):
    if not is_possible(SINGLY[choice], precision):
        pytest.skip("its rotations are not stored in 16 bits")
    if precision == "int4" and "hidden_dim" in SINGLY[choice]:
        with pytest.raises(InputError, match="to be a multiple of 32 for int4, got 12 of"):
            check(SINGLY[choice], precision)
        return
    check(SINGLY[choice], precision)


def test_a_trained_models_files_follow_it(runs, files):
    float32 = measure_parity(runs.trained.model, runs.trained, files["float32"].read_bytes())
    assert float32.relative < 1e-5
    int8 = measure_parity(runs.quantized.model, runs.quantized, files["int8"].read_bytes())
    # On 64 rows; `compare` looks at all.
    assert (int8.agreement, int8.steps <= 3) == (1.0, True)


@pytest.mark.parametrize("precision", mostly_slow(["float32", "int8"], ["int8"]))
def test_converting_twice_gives_equal_bytes(runs, files, precision):
    name = "int8" if precision == "int8" else "float"
    again = bytes(convert(Checkpoint.load(runs.folder / name), precision))
    assert again == files[precision].read_bytes()


def test_int8_needs_ranges(runs):
    with pytest.raises(InputError) as caught:
        convert(runs.trained, "int8")
    assert str(caught.value) == (
        "Expected calibration data to convert a float checkpoint to int8; give --calibration "
        "FILE, or train it on with keras-transformer quantize first."
    )


@pytest.mark.parametrize("precision", sorted(set(PRECISIONS) - {"int8"}))
def test_a_quantized_checkpoint_becomes_int8_only(runs, precision):
    with pytest.raises(InputError) as caught:
        convert(runs.quantized, precision)
    assert str(caught.value) == (
        f"Expected precision int8, for which this checkpoint was quantized, got "
        f"precision={precision}; convert the float checkpoint that it was made from."
    )


def test_wrong_options_are_refused(runs):
    with pytest.raises(InputError, match="Expected precision to be one of .*, got 'int9'"):
        convert(runs.trained, "int9")
    for lengths, wrong in (([600], 600), ([16, 513], 513), ([0, 16], 0), ([16, -1], -1)):
        with pytest.raises(InputError) as caught:
            convert(runs.trained, "float32", lengths=lengths)
        assert str(caught.value) == (
            f"Expected lengths from 1 to the model's 512, got length={wrong}."
        )


def test_no_file_reads_positions_that_were_never_trained(runs):
    longest = runs.trained.max_length
    assert longest < runs.trained.config.max_length
    for checkpoint, precision in ((runs.trained, "float32"), (runs.quantized, "int8")):
        with pytest.raises(InputError) as caught:
            convert(checkpoint, precision, lengths=[8, longest + 1])
        assert str(caught.value) == (
            f"Expected lengths up to the {longest} tokens that the model was trained on, as it "
            f"learned no positions beyond them, got length={longest + 1}; train it with a larger "
            "max_length."
        )
    # These are computed for any position.
    checkpoint = random_model(positions="rotary")
    assert checkpoint.max_length == LENGTH < 16
    assert Runner(convert(checkpoint, "float32", lengths=[16])).lengths == [16]


def test_another_length(runs, tmp_path):
    path = tmp_path / "short.tflite"
    path.write_bytes(bytes(convert(runs.trained, "float32", lengths=[8])))
    runner = Runner(path)
    assert (runner.max_length, runner.lengths) == (8, [8])
    shorter = dataclasses.replace(
        runs.trained, modality=dataclasses.replace(runs.trained.modality, max_length=8)
    )
    texts = ["rain " * 3, "drum and a song some more of this today"]
    np.testing.assert_allclose(runner.scores(texts), shorter.scores(texts), rtol=1e-4, atol=1e-5)
    assert runner.outputs(texts).truncated == [False, True]


def test_the_embedding_table_is_stored_in_8_bits(runs, files):
    flatbuffer, _, _ = unpack(files["int8"])
    graph = schema.Model.GetRootAs(flatbuffer, 0).Subgraphs(0)
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    shape = (runs.quantized.config.vocab_size, 32)
    [table] = [t for t in tensors if tuple(t.ShapeAsNumpy().tolist()) == shape]
    assert table.Type() == schema.TensorType.INT8
    assert {kernel.type for kernel in kernels(flatbuffer)} == {"INT8"}


@pytest.mark.slow
def test_int8_is_a_quarter_of_float32():
    """At BERT tiny's width, with 8000 word pieces."""
    wide = {
        "vocab_size": 8000, "hidden_dim": 128, "intermediate_dim": 512, "num_layers": 2,
        "num_heads": 2, "max_length": 64,
    }  # fmt: skip
    letters = np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), (8000, 6))
    vocabulary = [*VOCABULARY[:5], *map("".join, letters[5:])]
    trained = dataclasses.replace(
        random_model(**wide),
        modality=Text(tokenizer=Tokenizer(TokenizerConfig(), vocabulary), max_length=64),
    )
    small = bytes(convert(trained, "int8", calibration=calibration(), lengths=[64]))
    large = bytes(convert(trained, "float32", lengths=[64]))
    assert len(large) > 5_800_000
    assert len(small) <= 0.27 * len(large), len(small) / len(large)
