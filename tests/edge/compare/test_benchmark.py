import subprocess
import sys

import pytest

from keras_transformer.edge.compare import memory
from keras_transformer.edge.compare.benchmark import benchmark, device_name
from keras_transformer.edge.runtime import Runner
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.zoo.errors import InputError, RunError


@pytest.fixture(scope="module")
def measured(files):
    return benchmark([files["float32"], files["int8"]], runs=7)


@pytest.mark.slow
def test_every_file_is_measured(measured, files):
    assert [file.path for file in measured.files] == [str(files["float32"]), str(files["int8"])]
    assert [file.precision for file in measured.files] == ["float32", "int8"]
    for file, path in zip(measured.files, (files["float32"], files["int8"]), strict=True):
        assert (file.size, file.signature, file.tokens) == (path.stat().st_size, "predict", 16)
        assert 0 < file.median_ms <= file.p90_ms
        assert file.ratio == file.median_ms / measured.files[0].median_ms
        assert file.peak_memory > 100_000
        assert file.partitions >= 1
        assert file.delegated_ops > 50
    assert (measured.threads, measured.runs, measured.device) == (1, 7, device_name())


def test_ops_outside_the_delegate_are_named(measured):
    float32, int8 = (file.outside_ops for file in measured.files)
    # The scales of a table's rows are looked up, too.
    assert (float32["GATHER"], int8["GATHER"]) == (1, 2)
    assert "FULLY_CONNECTED" not in float32 | int8
    # XNNPACK has no integer GELU.
    assert ("GELU" in float32, int8["GELU"]) == (False, 2)


def test_as_json(measured):
    value = measured.to_json()
    assert list(value) == ["device", "threads", "runs", "files"]
    assert list(value["files"][0]) == [
        "path", "precision", "signature", "tokens", "unit", "size", "median_ms", "p90_ms", "ratio",
        "peak_memory", "partitions", "delegated_ops", "outside_ops",
    ]  # fmt: skip


def test_no_files_and_foreign_files(tmp_path):
    with pytest.raises(InputError) as caught:
        benchmark([])
    assert str(caught.value) == "Expected at least one file to measure."
    path = tmp_path / "foreign.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3")
    with pytest.raises(InputError, match="it was made by another program"):
        benchmark([path])
    with pytest.raises(FileNotFoundError):
        benchmark([tmp_path / "none.tflite"])


def test_one_file_from_its_bytes(files):
    found = benchmark(files["int8"].read_bytes(), runs=1)
    [file] = found.files
    assert (file.path, file.size) == ("the file", files["int8"].stat().st_size)
    assert file.peak_memory > 100_000
    heads = repr(found).splitlines()[1]
    assert heads.startswith("file      precision  measured, tokens  median ms")
    two = benchmark([files["int8"].read_bytes(), Runner(files["int8"])], runs=1)
    assert [file.path for file in two.files] == ["file 1", str(files["int8"])]


@pytest.mark.parametrize(
    ("name", "value", "bounds"),
    [("threads", 0, "from 1 to 1024"), ("threads", 1025, "from 1 to 1024"),
     ("runs", 0, "at least 1"), ("runs", 1.5, "at least 1")],
)  # fmt: skip
def test_numbers_out_of_bounds(files, name, value, bounds):
    with pytest.raises(InputError) as caught:
        benchmark(files["int8"], **{name: value})
    assert str(caught.value) == f"Expected {name} to be {bounds}, got {name}={value}."


def test_a_failing_child_is_reported(files, monkeypatch):
    monkeypatch.setattr(memory, "__name__", "keras_transformer.edge.no_such_module")
    with pytest.raises(RunError, match=r"Measuring the memory of .* failed: .*no_such_module"):
        benchmark([files["float32"]], runs=1)


def test_where_the_system_tells_nothing(files, monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "STATUS", str(tmp_path / "status"))
    assert benchmark([files["float32"]], runs=1).files[0].peak_memory is None


@pytest.mark.parametrize(
    "module",
    ["edge.arm64.instructions", "edge.compare.benchmark", "edge.compare.memory", "cli.benchmark"],
)
def test_no_tensorflow_is_loaded(module):
    program = (
        f"import sys, keras_transformer.{module}; "
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0)


def test_a_file_that_others_changed(files):
    flatbuffer, description, attached = unpack(files["float32"])
    description["max_length"] = 3
    with pytest.raises(InputError, match="the last of its lengths to be 3, got 16"):
        benchmark(pack(flatbuffer, description, attached), runs=1)
