"""The demo page's check of a file's graphs, run by Node: it refuses what `read_model` refuses."""

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.demo import demo
from keras_transformer.edge.runtime.checks.graph import read_model
from keras_transformer.edge.runtime.checks.tables import Damaged
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.targets.convert import convert
from tests.edge.generators import changes_for, generator
from tests.edge.models import calibration, random_model
from tests.edge.runtime.checks.changes import changed, constant, graph, set_field
from tests.edge.runtime.checks.test_graph import CHANGES, blockwise, kernel, last_tensor
from tests.fuzz.models import damaged_model
from tests.fuzz.mutate import damaged_bytes
from tests.slow import mostly_slow

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
WEB = Path(demo.__file__).parent / "web"


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A function from flatbuffers to the page's sentences, None for each that is whole."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(WEB, folder, dirs_exist_ok=True)
    # Node takes a file for a module only if it is told so.
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    program = Path(__file__).with_name("check_graphs.mjs")

    def check(flatbuffers):
        paths = [folder / f"{number}.bin" for number in range(len(flatbuffers))]
        for path, data in zip(paths, flatbuffers, strict=True):
            path.write_bytes(data)
        done = subprocess.run(
            ["node", str(program), str(folder), *map(str, paths)], capture_output=True, text=True,
            check=True, timeout=300,
        )  # fmt: skip
        return [json.loads(line) for line in done.stdout.splitlines()]

    return check


@pytest.fixture(scope="module")
def graphs():
    """Flatbuffers by precision, and of models that write."""
    trained = random_model()
    made = {
        name: convert(trained, name, calibration=calibration() if name == "int8" else None)
        for name in ("float32", "int8")
    }
    made["gpt"] = convert(generator("gpt", num_layers=1, **changes_for("int4")), "int4")
    made["transformer"] = convert(generator("transformer", num_layers=1), "dynamic_int8")
    return {name: unpack(bytes(one))[0] for name, one in made.items()}


def reason_of(flatbuffer):
    """Why Python refuses a flatbuffer, None where it does not."""
    try:
        read_model(flatbuffer)
    except Damaged as error:
        return str(error)
    return None


def opening(sentence):
    """A sentence up to what the two languages write differently: numbers and quotes."""
    return re.split(r"scales from|['\"\d]", sentence)[0]


@pytest.mark.slow
def test_whole_graphs(checked, graphs):
    assert checked(list(graphs.values())) == [None] * len(graphs)


@pytest.mark.slow
def test_what_does_not_fit(checked, graphs):
    """Each change of the runtime's own tests."""
    made = [changed(graphs["int8"], change) for change, _ in CHANGES]
    found = checked(made)
    for sentence, data, (_, reason) in zip(found, made, CHANGES, strict=True):
        wanted = f"The file is damaged: {reason_of(data)}."
        assert sentence is not None, reason
        # Of scales one that is wrong is shown.
        if "scales from" in wanted:
            assert sentence.startswith("The file is damaged: a tensor has scales from "), reason
        else:
            assert sentence.replace('"', "'") == wanted


def swapped(model):
    ops = graph(model).operators
    ops[0], ops[-1] = ops[-1], ops[0]


def strings(data, size):
    def add(model):
        tensor = schema.TensorT()
        tensor.type, tensor.shape, tensor.name = schema.TensorType.STRING, [size], b"text"
        tensor.buffer = constant(model, np.frombuffer(data, np.uint8))
        graph(model).tensors.append(tensor)

    return add


@pytest.mark.slow
def test_what_else_does_not_fit(checked, graphs):
    data = graphs["float32"]
    blocks = int(np.prod(kernel(schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))).shape))
    text = b"\1\0\0\0\x0c\0\0\0\x0d\0\0\0a"
    cases = {
        "before it is made": swapped,
        "there before it": lambda m: graph(m).operators.append(graph(m).operators[0]),
        "made by no op": lambda m: graph(m).operators.pop(),
        "given twice": lambda m: set_field(graph, "inputs", [*graph(m).inputs] * 2)(m),
        "buffers of other files": set_field(
            lambda m: m, "externalBuffers", [schema.ExternalBufferT()]
        ),
        "not UTF-8": set_field(last_tensor, "name", b"\xff\xfe"),
        "has 1 scales of blocks of 32": blockwise([1.0], 32),
        "of blocks of 0": blockwise([1.0] * (blocks // 32), 0),
        "that are not finite": blockwise([np.nan] * (blocks // 32), 32),
        "a constant of 2 strings has 13 bytes": strings(text, 2),
        "strings lie outside it": strings(text.replace(b"\x0d", b"\xff"), 1),
        "a constant of 1 strings has 4 bytes": strings(b"\xff\xff\xff\x7f", 1),
    }
    found = checked([changed(data, change) for change in cases.values()])
    for reason, sentence in zip(cases, found, strict=True):
        assert sentence is not None and sentence.endswith(f"{reason}."), (reason, sentence)
    assert checked([changed(data, strings(text, 1))]) == [None]


@pytest.mark.slow
def test_what_takes_too_much(checked, graphs):
    def wide(model):
        """An op makes a tensor of two gigabytes at least."""
        made = graph(model).tensors[graph(model).operators[0].outputs[0]]
        made.shape, made.shapeSignature = [1 << 30, 2], None

    def long(model):
        """A matmul of a wide input and many outputs, which take little memory."""
        for op in graph(model).operators:
            code = model.operatorCodes[op.opcodeIndex]
            if max(code.builtinCode, code.deprecatedBuiltinCode) == 9:
                for place in (op.inputs[0], op.outputs[0]):
                    tensor = graph(model).tensors[place]
                    tensor.shape, tensor.shapeSignature = [1, 1 << 24], None

    memory, work = checked([changed(graphs["float32"], change) for change in (wide, long)])
    assert re.match(r"The file is damaged: a graph takes \d+ bytes of memory, more than", memory)
    assert re.match(r"The file is damaged: a graph takes \d+ multiplications, more than", work)


@pytest.mark.slow
@pytest.mark.parametrize("damage", mostly_slow([damaged_model, damaged_bytes], [damaged_bytes]))
def test_random_damage(checked, graphs, damage):
    """The page and Python refuse the same files, and no error is of another kind."""
    rng = random.Random(0)
    whole = list(graphs.values())
    made = [damage(whole[number % len(whole)], rng) for number in range(200)]
    refused = 0
    for data, sentence in zip(made, checked(made), strict=True):
        reason = reason_of(data)
        if reason is None:
            # Costs are no part of `read_model`.
            assert sentence is None or " a graph takes " in sentence
            continue
        refused += 1
        assert sentence is not None, reason
        assert opening(sentence) == opening(f"The file is damaged: {reason}.")
    assert refused > 50


def test_the_page_checks_before_it_compiles():
    load = (WEB / "model.js").read_text(encoding="utf-8")
    assert load.index("checkGraphs(parts.flatbuffer)") < load.index("await loadAndCompile(")
