"""Instructions of files on emulated cores: the same in each run, and not more than they were."""

import dataclasses
import functools
import re
import shutil
import subprocess

import pytest

from keras_transformer.edge.arm64.cores import CORES
from keras_transformer.edge.arm64.functions import Functions
from keras_transformer.edge.arm64.instructions import count_instructions, invocations
from keras_transformer.edge.arm64.machine import QEMU, check_tools, qemu_version, versions
from keras_transformer.edge.arm64.plugin import CLASSES, check_plugins, compile_plugin
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.storage.temporary import temporary_folder
from tests.arm64 import emulated
from tests.edge.models import calibration, random_model
from tests.slow import mostly_slow

# Of the model below, millions, with these versions; others have other kernels.
LITERT, QEMU_SERIES = "2.3.0", "7.2"
EXPECTED = {
    "cortex-a53": {
        "float32": 1.785, "float16": 1.797, "dynamic_int8": 1.280, "int8": 1.529,
        "static_int8": 1.555, "integer": 1.566, "int16x8": 56.283, "int4": 1.756,
        "channel_int4": 1.691,
    },
    "cortex-a55": {
        "float32": 1.656, "float16": 1.667, "dynamic_int8": 0.685, "int8": 0.663,
        "static_int8": 0.542, "integer": 0.606, "int16x8": 56.283, "int4": 0.709,
        "channel_int4": 0.717,
    },
    "cortex-a76": {
        "float32": 1.170, "float16": 1.182, "dynamic_int8": 0.678, "int8": 0.662,
        "static_int8": 0.424, "integer": 0.489, "int16x8": 56.283, "int4": 0.702,
        "channel_int4": 0.710,
    },
    "cortex-a715": {
        "float32": 1.292, "float16": 1.303, "dynamic_int8": 0.566, "int8": 0.604,
        "static_int8": 0.404, "integer": 0.478, "int16x8": 56.283, "int4": 0.629,
        "channel_int4": 0.512,
    },
}  # fmt: skip


@functools.cache
def file(precision):
    """A classifier of 16 tokens, 2 blocks of width 128."""
    model = random_model(num_layers=2, hidden_dim=128, intermediate_dim=512, num_segments=1)
    batches = calibration() if PRECISIONS[precision].is_static else None
    return bytes(convert(model, precision, calibration=batches))


@pytest.fixture(scope="module")
def machine():
    try:
        check_tools(QEMU, "gcc", "readelf")
        check_plugins()
    except InputError as error:
        pytest.skip(str(error))
    return emulated()


@pytest.fixture(scope="module")
def counted(machine):
    """The counts of a file on a core, once each."""
    return functools.cache(
        lambda precision, core: count_instructions(file(precision), core, note=print)
    )


def test_each_run_takes_the_same_to_the_digit(counted, machine):
    [first] = counted("int8", "cortex-a76").files
    flatbuffer, _, _ = unpack(file("int8"))
    with temporary_folder() as folder:
        plugin = compile_plugin(folder)
        runs = invocations(machine, CORES["cortex-a76"], plugin, flatbuffer, 3)
    for classes, functions in runs:
        assert (dict(classes), dict(functions.most_common())) == (first.classes, first.functions)


def test_what_is_counted(counted):
    found = counted("int8", "cortex-a76")
    [one] = found.files
    assert found.core == "cortex-a76"
    assert found.versions == {"qemu": qemu_version(), **versions()}
    assert (one.path, one.precision, one.signature, one.tokens, one.unit, one.ratio) == (
        "the file", "int8", "predict", 12, "tokens", 1.0
    )
    assert one.size == len(file("int8"))
    assert tuple(one.classes) == CLASSES
    assert one.instructions == sum(one.classes.values()) == sum(one.functions.values())
    # 16 multiply-adds an instruction; the kernels' rows are tokens and 4 of padding at most. Of the
    # last block, keys and values alone are those of all 12 tokens.
    square, wide = 128 * 128, 128 * 512
    products = (12 * (4 * square + 2 * wide) + 12 * 2 * square + 2 * square + 2 * wide) / 16
    assert products <= one.classes["sdot"] <= 1.5 * products
    assert one.classes["smmla"] == 0
    assert any(re.match("kai_|xnn_", name) for name in list(one.functions)[:2])
    assert found.to_json()["files"][0] == dataclasses.asdict(one)
    first, second = found.grids()
    assert first.rows[0][3] == f"{one.instructions / 1e6:.3f}"
    assert [row[1] for row in second.rows] == list(one.functions)[:8]


@pytest.mark.parametrize(
    ("precision", "core"),
    mostly_slow(
        [(precision, core) for precision in PRECISIONS for core in CORES],
        [("int8", "cortex-a76")],
    ),
)
def test_no_more_instructions_than_before(counted, precision, core):
    if versions()["litert"] != LITERT or not qemu_version().startswith(f"{QEMU_SERIES}."):
        pytest.skip(f"The counts are of LiteRT {LITERT} and QEMU {QEMU_SERIES}.")
    [one] = counted(precision, core).files
    millions = one.instructions / 1e6
    # What is fewer is a gain, whose number is to be put here.
    assert millions == pytest.approx(EXPECTED[core][precision], rel=0.02), [*one.functions][:8]


def test_without_a_file_or_with_ops_that_are_not_there(machine):
    with pytest.raises(InputError) as caught:
        count_instructions([], "cortex-a76")
    assert str(caught.value) == "Expected at least one file to measure."
    flatbuffer, description, files = unpack(file("int8"))
    description["custom_ops"] = ["FastWordpiece"]
    with pytest.raises(InputError, match="the file has those of TensorFlow Text, which"):
        count_instructions(pack(flatbuffer, description, files), "cortex-a76")


def test_an_unknown_core():
    with pytest.raises(InputError) as caught:
        count_instructions(b"", "cortex-m4")
    assert str(caught.value) == (
        "Expected core to be one of cortex-a53, cortex-a55, cortex-a76, cortex-a715, got "
        "'cortex-m4'."
    )


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_functions_by_their_addresses(tmp_path):
    library = compile_plugin(tmp_path)
    maps = f"1000-2000 r--p 0 00:00 1 {library}\n2000-9000 r-xp 1000 00:00 1 {library}\nno line\n"
    named = Functions(maps)
    # Another program's reading of the same file.
    table = subprocess.run(["nm", library], capture_output=True, text=True, check=True).stdout
    [place] = [
        int(line.split()[0], 16) for line in table.splitlines() if line.endswith(" called")
    ]
    assert named.at(0x1000 + place) == named.at(0x1004 + place) == "called"
    assert named.at(0x1000) == "? in count.so"
    assert named.at(0x9000) == "?"
