"""PyTorch alone, in a process that has never heard of Keras, on what `convert` writes."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from safetensors.numpy import load_file, save_file

from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.storage.files import write_folder
from tests.edge.generators import generator
from tests.edge.models import random_model, random_rows
from tests.runtimes.exported import assert_close, assert_translates

# Not imported here: it would stay in the process of all tests.
pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")

# Answers each line, the names of a graph and of a file of tensors, with a file of outputs.
WITHOUT_KERAS = """
import json, sys
import torch
from safetensors.torch import load_file, save_file
folder = sys.argv[1]
graphs = json.load(open(folder + "/model.json"))["graphs"]
modules = {name: torch.jit.load(folder + "/" + graph["file"]) for name, graph in graphs.items()}
for line in sys.stdin:
    name, reads, writes = json.loads(line)
    tensors = load_file(reads)
    outputs = modules[name](*(tensors[tensor["name"]] for tensor in graphs[name]["inputs"]))
    names = [tensor["name"] for tensor in graphs[name]["outputs"]]
    save_file({key: value.contiguous() for key, value in zip(names, outputs)}, writes)
    assert not {"keras", "keras_transformer", "tensorflow"} & set(sys.modules)
    print("done", flush=True)
"""


class Torch:
    """A process of PyTorch's that holds the graphs of an exported folder."""

    def __init__(self, trained, folder):
        write_folder(folder / "export", convert(trained, target="torchscript").files, kind="export")
        self.files = [str(folder / name) for name in ("inputs", "outputs")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", WITHOUT_KERAS, str(folder / "export")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def graph(self, name):
        """A graph as a function from arrays by name to arrays by name."""

        def call(inputs):
            save_file(dict(inputs), self.files[0])
            self.process.stdin.write(json.dumps([name, *self.files]) + "\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "done\n"
            return load_file(self.files[1])

        return call


def test_a_classifier_in_batches_of_any_size_and_length(tmp_path):
    trained = random_model(pair=True)
    with Torch(trained, tmp_path) as process:
        for rows in (1, 7, 30):
            ids, segment_ids = random_rows(rows, pair=True, seed=rows).pad()
            inputs = {"ids": ids, "segment_ids": segment_ids}
            found = process.graph("predict")(inputs)["output"]
            assert_close(found, trained.model.predict_on_batch(inputs))


@pytest.mark.parametrize("kind", ["transformer", pytest.param("t5", marks=pytest.mark.slow)])
def test_a_translator(kind, tmp_path):
    trained = generator(kind, num_layers=1)
    with Torch(trained, tmp_path) as process:
        assert_translates(process.graph("encode"), process.graph("decode"), trained)
