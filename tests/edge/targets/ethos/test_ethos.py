"""Files for Ethos-U: the compiler's report, and the host's part, run before it is compiled."""

import ctypes
import dataclasses
import re
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.convert.convert import Request
from keras_transformer.edge.precision import get_precision
from keras_transformer.edge.runtime.packed import TABLE, unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.targets.micro.micro import Micro
from keras_transformer.edge.targets.npus import NPUS
from keras_transformer.edge.targets.registry import get_target
from keras_transformer.edge.targets.target import About
from keras_transformer.edge.tflite.schema import count_ops
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import build, get_weights, set_weights
from tests.cli.calls import call, error_of
from tests.edge.models import LENGTH, calibration, random_model, random_rows
from tests.edge.targets.ethos import stand_ins

pytest.importorskip("ethosu", reason="Arm's compiler (the extra ethos-u) is not installed")
# After the check: only these need the compiler.
from keras_transformer.edge.targets.ethos.ethos import EthosU  # noqa: E402
from keras_transformer.edge.targets.ethos.fallback import check_fallback  # noqa: E402
from keras_transformer.edge.targets.ethos.faster import faster  # noqa: E402
from keras_transformer.edge.targets.ethos.prepare import prepare  # noqa: E402
from keras_transformer.edge.targets.ethos.replay import check_same  # noqa: E402
from keras_transformer.edge.targets.ethos.vela import compile_graph  # noqa: E402

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def writer(target="ethos-u55-256", **options):
    return EthosU(get_target(target), About(), **options)


@pytest.fixture(scope="module")
def checkpoint():
    return random_model(num_segments=0, pooling="mean")


@pytest.fixture(scope="module")
def integers(checkpoint):
    """The file that is compiled, as each of the targets makes it first."""
    request = Request(
        checkpoint=checkpoint, precision=get_precision("integer"), calibration=calibration()
    )
    return Micro.write(writer(), request)


@pytest.fixture(scope="module")
def graph(integers):
    return unpack(bytes(integers))[0]


@pytest.fixture(scope="module")
def made(checkpoint, integers, tmp_path_factory):
    """Returns the file for a target, compiled only once, and where it was saved."""
    found = {}

    def compiled(target, **options):
        key = (target, *options.items())
        if key not in found:
            artifact = writer(target, **options).compiled(integers, checkpoint)
            path = tmp_path_factory.mktemp("ethos") / "my-model.tflite"
            artifact.save(path)
            found[key] = artifact, path
        return found[key]

    return compiled


@pytest.mark.parametrize(
    ("target", "options", "left"),
    [
        ("ethos-u55-256", {}, {"GATHER": 1}),
        ("ethos-u55-256", {"host_lookup": True}, {}),
        ("ethos-u85-256", {}, {}),
        pytest.param("ethos-u65", {}, {"GATHER": 1}, marks=pytest.mark.slow),
        pytest.param("ethos-u65", {"host_lookup": True}, {}, marks=pytest.mark.slow),
        pytest.param("ethos-u85-256", {"host_lookup": True}, {}, marks=pytest.mark.slow),
    ],
)
def test_all_but_the_look_up_runs_on_the_npu(target, options, left, made):
    artifact, path = made(target, **options)
    flatbuffer, description, _ = unpack(path)
    ops = dict(count_ops(flatbuffer))
    assert ops == {"ethos-u": 1, **left}
    report = description["npu"]
    assert (report["cpu_ops"], report["ops"] - report["on_npu"]) == (left, len(left))
    assert report["on_npu"] >= 0.99 * report["ops"]
    # Products of a block, by hand: of each token with four kernels of 32 x 32 and two of 32 x 64,
    # and of attention; the means and the head are the rest.
    products = LENGTH * (4 * 32 * 32 + 2 * 32 * 64) + 2 * LENGTH * LENGTH * 32
    assert products < report["macs"] < 1.2 * products
    card = (path.parent / "MODEL_CARD.md").read_text()
    assert f"| ops on the NPU | {report['on_npu']} of {report['ops']} (" in card
    assert f"| cycles on the NPU | {report['cycles']:,}, " in card
    assert f"| SRAM of the NPU | {report['bytes']['sram']:,} bytes |" in card
    assert "| the file before it was compiled | on 64 texts against the checkpoint" in card
    assert "| latency |" not in card and "was not run on an NPU" in card
    assert {"int8"} == {one["type"] for one in report["outputs"]}


def test_nothing_here_runs_a_compiled_file(made):
    _, path = made("ethos-u55-256", host_lookup=True)
    with pytest.raises(InputError, match="is compiled for ethos-u55-256, which alone runs it"):
        Runner(path)
    for command in (["inspect", path], ["run", path, "w1"], ["benchmark", path]):
        assert "is compiled for ethos-u55-256, which alone runs it" in error_of(call(*command))[1]


def host_of(path, folder):
    """Compiles the host's part of a bundle to functions."""
    library = folder / "host.so"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, path.parent / "my_model_host.c", "-o", library], check=True)
    return ctypes.CDLL(str(library))


@needs_gcc
@pytest.mark.parametrize("host_lookup", [False, True], ids=["mask", "rows"])
def test_the_host_in_c_and_the_graph_compute_what_the_file_does(
    host_lookup, graph, made, tmp_path
):
    _, path = made("ethos-u55-256", **({"host_lookup": True} if host_lookup else {}))
    host = host_of(path, tmp_path)
    prepared, ends = prepare(graph, host_mask=True, host_lookup=host_lookup)
    prepared = faster(prepared)
    assert count_ops(prepared)["MEAN"] == 0 < count_ops(graph)["MEAN"]
    predict = Interpreter(model_content=prepared).get_signature_runner("predict")
    plain = Interpreter(model_content=graph).get_signature_runner("predict")
    ids, _ = random_rows(50, seed=3).pad(LENGTH)
    width = 0 if ends.table is None else ends.table.shape[1]
    for row in ids.astype(np.int32):
        mask, rows = np.empty(LENGTH, np.int8), np.empty((LENGTH, width), np.int8)
        host.my_model_mask(row.ctypes, mask.ctypes)
        inputs = {"mask": mask[None]}
        if host_lookup:
            host.my_model_rows(row.ctypes, rows.ctypes)
            inputs["rows"] = rows[None]
        else:
            inputs["ids"] = row[None]
        stored = predict(**inputs)["output"]
        assert stored.dtype == np.int8
        outputs = np.empty(stored.size, np.float32)
        host.my_model_outputs(np.ascontiguousarray(stored).ctypes, outputs.ctypes)
        # In every bit: the host's numbers are what DEQUANTIZE made of the same integers.
        np.testing.assert_array_equal(outputs, plain(ids=row[None])["output"][0])


@needs_gcc
def test_an_id_that_the_table_lacks_is_padding(made, tmp_path):
    _, path = made("ethos-u55-256", host_lookup=True)
    host, table = host_of(path, tmp_path), np.frombuffer(unpack(path)[2][TABLE], np.int8)
    width = 32
    ids = np.array([1, -1, len(table) // width, 2**31 - 1, *[0] * (LENGTH - 4)], np.int32)
    rows = np.empty((LENGTH, width), np.int8)
    host.my_model_rows(ids.ctypes, rows.ctypes)
    table = table.reshape(-1, width)
    np.testing.assert_array_equal(rows, table[[1, *[0] * (LENGTH - 1)]])


@pytest.mark.parametrize(
    ("target", "options"),
    [("ethos-u55-256", {}), ("ethos-u55-256", {"host_lookup": True}), ("ethos-u85-256", {})],
)
def test_the_example_compiles(target, options, made, tmp_path):
    compiler = shutil.which("arm-none-eabi-g++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("neither arm-none-eabi-g++ nor g++ is installed")
    _, path = made(target, **options)
    stand_ins.write(tmp_path)
    section = '__attribute__((section(".bss.sram")))'
    flags = [f"-DMY_MODEL_{name}_SECTION={section}" for name in ("ARENA", "FAST")]
    flags += ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fno-rtti", "-fno-exceptions"]
    main = path.parent / "my_model_main.cpp"
    subprocess.run([compiler, *flags, "-fsyntax-only", "-I", tmp_path, main], check=True)
    text = main.read_text()
    assert ("sizeof(my_model_fast), 1, 1)" in text) == (unpack(path)[1]["npu"]["fast_bytes"] > 0)
    assert 'my_model_tokenize(text, strlen(text), ids, MY_MODEL_LENGTH);' in text
    ops = (path.parent / "my_model_ops.h").read_text()
    assert "resolver->AddEthosU() == kTfLiteOk" in ops
    assert f"my_model_arena_bytes = {unpack(path)[1]['arena_bytes']};" in ops


def test_inputs_are_where_the_header_says(made):
    _, path = made("ethos-u55-256", host_lookup=True)
    flatbuffer, _, _ = unpack(path)
    header = (path.parent / "my_model_host.h").read_text()
    places = {name: int(place) for name, place in re.findall(r"MODEL_INPUT_(\w+) (\d)", header)}
    graph = schema.Model.GetRootAs(flatbuffer).Subgraphs(0)
    tensors = [graph.Tensors(graph.Inputs(place)) for place in range(graph.InputsLength())]
    ranks = [len(tensor.ShapeAsNumpy()) for tensor in tensors]
    # The mask has a value for each id, the rows a vector.
    assert places == {"MASK": ranks.index(2), "ROWS": ranks.index(3)}


def test_an_op_that_would_fall_back_is_named(graph, integers):
    compiled = compile_graph(graph, NPUS["ethos-u55-256"])
    assert compiled.ops - compiled.on_npu == 4
    places = integers.description["layers"]["predict"]
    with pytest.raises(InputError) as error:
        check_fallback(compiled.flatbuffer, "ethos-u55-256", NPUS["ethos-u55-256"], places)
    found = re.fullmatch(
        r"Expected every op to run on ethos-u55-256 \(GATHER may stay on the CPU\), got NOT_EQUAL "
        r"of (.+), which would stay on the CPU; convert for the target micro, or take a model "
        r"without it\.", str(error.value),
    )  # fmt: skip
    assert found[1] in places


def test_a_graph_that_computes_otherwise_is_seen(graph):
    prepared, ends = prepare(graph, host_mask=True)
    ids, _ = random_rows(8, seed=3).pad(LENGTH)
    check_same(graph, prepared, ends, {"ids": ids})
    turned = type(ends)(
        mask=type(ends.mask)(padding=1, token=ends.mask.token, masked=ends.mask.masked), table=None
    )
    with pytest.raises(RunError, match="got a difference of "):
        check_same(graph, prepared, turned, {"ids": ids})


def test_no_rows_are_looked_up_where_there_are_no_ids(graph):
    prepared, _ = prepare(graph, host_lookup=True)
    with pytest.raises(InputError, match="looks up one row for each id, got 0 look-ups by id"):
        prepare(prepared, host_lookup=True)
    images = SimpleNamespace(name="image", rows="images", text=None)
    reason = writer(host_lookup=True).loads(SimpleNamespace(head_names=(), modality=images))
    assert reason.endswith("only for a model of texts, which looks up ids, got one of images.")


def test_a_graph_that_the_compiler_rejects(graph):
    with pytest.raises(RunError, match="Arm's compiler cannot compile the graph: "):
        compile_graph(graph[:200], NPUS["ethos-u55-256"])


def test_sram_above_the_limit(checkpoint, integers, made):
    artifact, _ = made("ethos-u55-256", host_lookup=True)
    needed = artifact.description["npu"]["bytes"]["sram"]
    enough = writer(arena_limit=needed, host_lookup=True)
    assert bytes(enough.compiled(integers, checkpoint)) == bytes(artifact)
    with pytest.raises(InputError) as error:
        writer(arena_limit=needed - 1, host_lookup=True).compiled(integers, checkpoint)
    assert f"within arena_limit={needed - 1} bytes, got {needed} bytes;" in str(error.value)
    assert "take shorter inputs with --lengths, or a model of fewer heads" in str(error.value)
    # Pictures and sounds have one shape: for them the option is an error itself.
    with pytest.raises(InputError, match="got 9 bytes; take a model of fewer positions [(]larger"):
        writer(arena_limit=8).check_arena(9, "the SRAM", is_variable=False)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"arena_limit": 0}, "Expected arena_limit to be a number of bytes above 0, got 0."),
        ({"system_config": "Mars"}, "Ethos_U55_High_End_Embedded, .*got system_config='Mars'"),
        ({"memory_mode": "Tape"}, "Sram_Only, Shared_Sram, .*got memory_mode='Tape'"),
        (
            {"system_config": "Ethos_U85_SYS_DRAM_Mid"},
            "to be one of Ethos_U55_Deep_Embedded, Ethos_U55_High_End_Embedded, got",
        ),
        # It has no DRAM, where this mode has the arena.
        ({"memory_mode": "Dedicated_Sram"}, "that Ethos_U55_.* has .*memory_mode='Dedicated_Sram'"),
    ],
)
def test_options_that_are_none(options, sentence):
    with pytest.raises(InputError, match=sentence):
        writer(**options)


def test_the_memory_mode_decides_cycles(checkpoint, integers, made):
    flash, _ = made("ethos-u55-256")
    sram = writer(memory_mode="Sram_Only").compiled(integers, checkpoint)
    first, second = (one.description["npu"] for one in (flash, sram))
    assert (first["memory"], second["memory"]) == ("Shared_Sram", "Sram_Only")
    # Weights in the SRAM are not waited for.
    assert second["cycles"] < first["cycles"]


@needs_gcc
@pytest.mark.parametrize(
    ("task", "steps"), [("regression", ["times", "plus"]), ("embedding", ["to_length_1"])]
)
@pytest.mark.slow
def test_units_and_length_1_are_the_hosts(task, steps, tmp_path):
    checkpoint = random_model(task, num_segments=0)
    if task == "regression":
        units = dataclasses.replace(checkpoint.task, mean=3.0, deviation=0.5)
        model = build(checkpoint.config, units)
        set_weights(model, get_weights(checkpoint.model))
        checkpoint = dataclasses.replace(checkpoint, task=units, model=model)
    artifact = convert(
        checkpoint, "integer", target="ethos-u85-256", calibration=calibration()
    )
    path = tmp_path / "my-model.tflite"
    artifact.save(path)
    report = unpack(path)[1]["npu"]
    assert [name for name, _ in report["steps"]] == steps
    [output] = report["outputs"]
    stored = np.random.default_rng(0).integers(-128, 128, output["shape"], np.int8)
    numbers = np.empty(stored.size, np.float32)
    host_of(path, tmp_path).my_model_outputs(stored.ctypes, numbers.ctypes)
    expected = (stored.astype(float).ravel() - output["zero"]) * output["scale"]
    expected = expected * 0.5 + 3.0 if task == "regression" else expected / np.linalg.norm(expected)
    np.testing.assert_allclose(numbers, expected, rtol=1e-5)
