"""An adapter of a tiny published model, and the merged model of the same run."""

import shutil

import pytest

import keras_transformer as kt
from tests.zoo.pretrained.tiny import REFERENCES
from tests.zoo.training.test_fine_tuning import write_words

OPTIONS = {
    "epochs": 2, "lora": 2, "lora_layers": "query,value", "learning_rate": 0.02, "baseline": False,
    "report": kt.Report(),
}  # fmt: skip


@pytest.fixture(scope="session")
def adapters(tmp_path_factory):
    """A folder with data, the base `bert`, and the checkpoints `adapter` and `merged`."""
    folder = tmp_path_factory.mktemp("adapters")
    write_words(folder)
    shutil.copytree(REFERENCES / "bert", folder / "bert")
    data = {name: folder / f"{name}.tsv" for name in ("train", "validation")}
    for name, adapter in (("merged", False), ("adapter", True)):
        kt.train(str(folder / "bert"), **data, out=folder / name, adapter=adapter, **OPTIONS)
    return folder
