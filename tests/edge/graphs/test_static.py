import itertools

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.compare.parity import LIMITS, measure_parity
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.quantize.qat import quantized_model
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.targets.convert import convert, default_smooth
from keras_transformer.edge.tflite.schema import (
    check_kernels,
    check_ops,
    count_ops,
    kernels,
    output_step,
)
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import get_weights
from tests.edge.generators import (
    DECODERS,
    KINDS,
    LENGTH,
    LENGTHS,
    TRANSLATORS,
    VOCAB_SIZE,
    calibration,
    changes_for,
    generator,
    padded,
    random_ids,
)
from tests.slow import mostly_slow

CACHES = {"kv_cache_k_0", "kv_cache_v_0", "kv_cache_k_1", "kv_cache_v_1"}
MEMORY = {"memory_k_0", "memory_v_0", "memory_k_1", "memory_v_1"}
TOKENS = {"ids", "position"}
DECODER = {
    "decode": (TOKENS | CACHES, {"logits"} | CACHES),
    **{name: (TOKENS | CACHES, CACHES) for name in ("prefill", "prefill_8", "prefill_16")},
}
ENCODER_DECODER = {
    "decode": (TOKENS | CACHES | MEMORY | {"memory_mask"}, {"logits"} | CACHES),
    **{name: ({"ids"}, MEMORY) for name in ("encode", "encode_8", "encode_16")},
}


def opened(path):
    return Interpreter(model_content=unpack(path)[0])


def constants(flatbuffer):
    """What the file holds, each once: the bytes of its buffers."""
    model = schema.Model.GetRootAs(flatbuffer, 0)
    buffers = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength())]
    return {b.tobytes() for b in buffers if isinstance(b, np.ndarray)}


def tables(flatbuffer, *shapes):
    """Buffer, shape and type of each constant of one of the shapes, of all signatures."""
    model = schema.Model.GetRootAs(flatbuffer, 0)
    found = set()
    for s in range(model.SubgraphsLength()):
        graph = model.Subgraphs(s)
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            shape = tuple(np.atleast_1d(tensor.ShapeAsNumpy()).tolist())
            is_constant = model.Buffers(tensor.Buffer()).DataLength() > 0
            if is_constant and shape in shapes:
                found.add((tensor.Buffer(), shape, tensor.Type()))
    return found


@pytest.mark.parametrize("kind", mostly_slow(KINDS, ["transformer"]))
def test_signatures_and_tensors_have_the_documented_names(kind, written):
    expected = DECODER if kind in DECODERS else ENCODER_DECODER
    listed = opened(written(kind)).get_signature_list()
    found = {
        name: (set(tensors["inputs"]), set(tensors["outputs"])) for name, tensors in listed.items()
    }
    assert found == expected


@pytest.mark.parametrize("kind", ["llama", "transformer"])
def test_shapes_are_static(kind, written):
    interpreter = opened(written(kind))
    heads = 2 if kind == "llama" else 4
    cache = (1, LENGTH, heads, 8)
    for name, tensors in interpreter.get_signature_list().items():
        runner = interpreter.get_signature_runner(name)
        length = {"8": 8, "16": 16}.get(name.rpartition("_")[2], LENGTH)
        memory = (1, length, heads, 8) if name.startswith("encode") else cache
        shapes = {
            "ids": (1, 1 if name == "decode" else length), "position": (1,),
            "memory_mask": (1, LENGTH), "logits": (1, VOCAB_SIZE),
            **dict.fromkeys(CACHES, cache), **dict.fromkeys(MEMORY, memory),
        }  # fmt: skip
        details = {**runner.get_input_details(), **runner.get_output_details()}
        assert {*tensors["inputs"], *tensors["outputs"]} == set(details)
        for tensor, detail in details.items():
            is_integer = tensor in {"ids", "position", "memory_mask"}
            assert tuple(detail["shape"]) == shapes[tensor], (name, tensor)
            assert detail["dtype"] == (np.int32 if is_integer else np.float32), (name, tensor)


@pytest.mark.parametrize("kind", mostly_slow(TRANSLATORS, ["transformer"]))
def test_a_short_encode_gives_what_the_longest_gives(kind, written):
    interpreter = opened(written(kind))
    for length in LENGTHS[:-1]:
        for count in (1, length - 3, length):
            source = random_ids([count], seed=count)
            short = interpreter.get_signature_runner(f"encode_{length}")(ids=padded(source, length))
            full = interpreter.get_signature_runner("encode")(ids=padded(source))
            for name in MEMORY:
                np.testing.assert_allclose(
                    short[name][:, :count], full[name][:, :count], rtol=1e-4, atol=1e-5
                )


@pytest.mark.slow
@pytest.mark.parametrize("kind", mostly_slow(DECODERS, ["llama", "gemma"]))
def test_a_short_prefill_gives_what_the_longest_gives_at_once_or_in_parts(kind, written):
    interpreter = opened(written(kind))
    ids = np.stack(random_ids([16]))
    empty = {
        name: np.zeros(detail["shape"], "float32")
        for name, detail in interpreter.get_signature_runner("decode").get_input_details().items()
        if name in CACHES
    }

    def prefill(name, tokens, position, caches):
        runner = interpreter.get_signature_runner(name)
        return runner(ids=tokens, position=np.array([position], "int32"), **caches)

    full = prefill("prefill", padded(ids), 0, empty)
    once = prefill("prefill_16", ids, 0, empty)
    parts = prefill("prefill_8", ids[:, 8:], 8, prefill("prefill_8", ids[:, :8], 0, empty))
    for name in CACHES:
        for found in (once, parts):
            np.testing.assert_allclose(
                found[name][:, :16], full[name][:, :16], rtol=1e-4, atol=1e-5
            )
            assert not found[name][:, 16:].any()


@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        pytest.param(kind, precision, marks=() if usual else pytest.mark.slow)
        for kind in ("transformer", "llama")
        for precision in PRECISIONS
        for usual in [kind == "llama" and precision == "int8"]
    ],
)
def test_every_precision_converts_with_builtins_and_narrow_kernels(kind, precision, written):
    spec = PRECISIONS[precision]
    if kind == "llama" and precision in ("integer", "int16x8"):
        with pytest.raises(InputError, match="^Expected positions .*rotary"):
            written(kind, precision)
        return
    if (kind, precision) == ("transformer", "int4"):
        # Weights drawn at random lose more in 4 bits than a file may.
        with pytest.raises(RunError, match="int4 file to follow the Keras model within 5% of rows"):
            written(kind, precision)
        return
    path = written(kind, precision)
    flatbuffer, description, _ = unpack(path)
    check_ops(flatbuffer)
    assert "CUSTOM" not in count_ops(flatbuffer)
    # The table is multiplied by for the logits, and has 8 bits in every file of integers.
    check_kernels(flatbuffer, spec.kernel_type, {("INT8", (VOCAB_SIZE, 32)): 1})
    assert (description["precision"], description["lengths"]) == (precision, [8, 16, 32])
    assert description["output_step"] == output_step(flatbuffer)
    # Where rows are rounded, logits are float.
    is_stored = spec.is_static and spec.row_bits is None
    assert (description["output_step"] is not None) == is_stored
    trained = generator(kind, **changes_for(precision))
    model = trained.model
    if spec.rounds_kernels:
        batches = calibration(kind) if spec.is_static else None
        smooth = default_smooth(trained, spec) if spec.is_static else "none"
        model = quantized_model(trained, batches, precision, smooth=smooth)
    parity = measure_parity(model, trained, path.read_bytes())
    parity.check(spec)
    if precision in ("int8", "static_int8"):
        assert {kernel.type for kernel in kernels(flatbuffer)} == {"INT8"}
    if precision == "static_int8":
        assert parity.most_steps <= LIMITS[precision].steps
        step = model.get_layer("logits_point")
        width = float(step.range_max) - float(step.range_min)
        assert description["output_step"] == pytest.approx(width / 255, rel=1e-5)


@pytest.mark.parametrize("kind", mostly_slow(["llama", "transformer"], ["transformer"]))
def test_the_int8_file_looks_up_and_multiplies_one_table(kind, written):
    flatbuffer, _, _ = unpack(written(kind, "int8"))
    [(_, shape, kind_of_tensor)] = tables(flatbuffer, (VOCAB_SIZE, 32), (32, VOCAB_SIZE))
    assert (shape, kind_of_tensor) == ((VOCAB_SIZE, 32), schema.TensorType.INT8)


@pytest.mark.parametrize(
    ("kind", "precision"),
    mostly_slow(
        itertools.product(["gpt", "transformer"], ["float32", "int8"]),
        [("transformer", "int8")],
    ),
)
def test_positions_that_no_input_reaches_are_left_out(kind, precision, written):
    """The model has twice as many as the file's inputs."""
    flatbuffer, _, _ = unpack(written(kind, precision))
    assert generator(kind).config.max_length == 2 * LENGTH
    assert tables(flatbuffer, (LENGTH, 32))
    assert not tables(flatbuffer, (2 * LENGTH, 32))


@pytest.mark.slow
@pytest.mark.parametrize("kind", mostly_slow(["gpt", "llama", "transformer"], ["llama"]))
def test_the_weights_of_a_float_file_stand_in_it_once(kind, written):
    flatbuffer, _, _ = unpack(written(kind))
    held = sum(map(len, constants(flatbuffer)))
    weights = sum(value.nbytes for value in get_weights(generator(kind).model).values())
    # Beside the weights there are the tables of fixed positions, and masks of each length.
    others = 2 * 4 * 2 * LENGTH * 32 + sum(LENGTH * length for length in LENGTHS)
    if kind == "llama":
        # The converter multiplies the last norm's scale into a copy of the table of logits.
        others += 4 * VOCAB_SIZE * 32
    assert held < 1.02 * weights + others
    one = sum(map(len, constants(unpack(written(kind, lengths=(LENGTH,)))[0])))
    assert held < 1.05 * one


@pytest.mark.slow
def test_more_lengths_add_a_graph_each_and_no_weights():
    trained = generator("transformer", hidden_dim=64, intermediate_dim=256)
    batches = calibration("transformer")
    one, three = (
        len(bytes(convert(trained, "int8", calibration=batches, lengths=lengths)))
        for lengths in ((LENGTH,), LENGTHS)
    )
    assert three < 1.2 * one, (one, three)
