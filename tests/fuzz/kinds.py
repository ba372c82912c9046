"""The kinds of input that are fuzzed: how one is made of a whole input, and what reads it.

What reads it is imported where it is used: only checkpoints need Keras, which takes seconds.
"""

import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy

from tests.fuzz import published
from tests.fuzz.archives import damaged_archive
from tests.fuzz.models import damaged_model
from tests.fuzz.mutate import damaged_bytes, damaged_json, damaged_value
from tests.fuzz.names import CHECKPOINT, FILES, TABLES, TEXTS
from tests.fuzz.seals import seal_file, seal_folder

# A step of what is done with an input, each of which may raise what users see as one sentence.
Step = Callable[[], object]


class Kind(NamedTuple):
    """A kind of input.

    Attributes:
        whole: name of one among the seeds that is whole.
        make: writes one into an empty folder, of the seeds, and returns its path.
        read: yields what is done with it.
    """

    whole: str

    make: Callable[[Path, Path, random.Random], Path]
    read: Callable[[Path, random.Random], Iterator[Step]]


def _make_data(seeds, folder, rng):
    name = rng.choice(TABLES)
    path = folder / name
    path.write_bytes(damaged_bytes((seeds / name).read_bytes(), rng, most=6))
    return path


def _read_data(path, rng):
    from keras_transformer.zoo.tasks.registry import TASKS

    columns = {"label": "number"} if rng.random() < 0.2 else None
    if path.name == "text.txt":
        yield lambda: TASKS["language-modeling"]().read(path)
    elif path.name.startswith("pairs"):
        yield lambda: TASKS["translation"]().read(path, {"source": "en", "target": "de"})
    elif columns:
        yield lambda: TASKS["regression"]().read(path, {"text": "text", **columns})
    else:
        yield lambda: TASKS["classification"]().read(path)


def _make_recipe(seeds, folder, rng):
    path = folder / "recipe.json"
    path.write_bytes(damaged_json((seeds / "recipe.json").read_bytes(), rng))
    return path


def _read_recipe(path, rng):
    from keras_transformer.zoo.recipe import Recipe
    from keras_transformer.zoo.tasks.registry import TASKS

    yield lambda: Recipe.from_json(path.read_bytes(), str(path), tasks=TASKS)


def _make_vocabulary(seeds, folder, rng):
    source = seeds / rng.choice(("wordpiece", "sentencepiece"))
    shutil.copytree(source, folder / "tokenizer")
    path = folder / "tokenizer" / rng.choice([one.name for one in sorted(source.iterdir())])
    change = damaged_json if path.suffix == ".json" else damaged_bytes
    path.write_bytes(change(path.read_bytes(), rng))
    return path.parent


def _read_vocabulary(path, rng):
    from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

    def use():
        tokenizer = Tokenizer.load(path)
        ids = tokenizer.encode(list(TEXTS), max_length=8).ids
        return [tokenizer.decode(row) for row in ids]

    yield use


def _make_safetensors(seeds, folder, rng):
    path = folder / "weights.safetensors"
    path.write_bytes(_damaged_weights((seeds / CHECKPOINT / path.name).read_bytes(), rng))
    return path


def _damaged_weights(data, rng):
    """Damages the header's bytes, its values, or the whole."""
    size = int.from_bytes(data[:8], "little")
    action = rng.randrange(3)
    if action == 0:
        return damaged_bytes(data, rng)
    header = data[8 : 8 + size]
    if action == 1:
        header = damaged_bytes(header, rng)
    else:
        value = damaged_value(json.loads(header), rng)
        header = json.dumps(value).encode()
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def _read_safetensors(path, rng):
    from keras_transformer.zoo.storage.files import weights_from_bytes

    yield lambda: weights_from_bytes(path.read_bytes())


def _make_checkpoint(seeds, folder, rng):
    path = folder / CHECKPOINT
    shutil.copytree(seeds / CHECKPOINT, path)
    names = sorted(one.name for one in path.iterdir())
    for name in rng.sample(names, rng.choice((1, 1, 2))):
        file = path / name
        if rng.random() < 0.05:
            file.unlink()
        elif name.endswith(".json"):
            file.write_bytes(damaged_json(file.read_bytes(), rng))
        elif name == "weights.safetensors" and rng.random() < 0.3:
            values = safetensors.numpy.load(file.read_bytes())
            chosen = rng.choice(sorted(values))
            shape = rng.choice([(), (0,), (1,), (3, 5), values[chosen].shape[::-1]])
            values[chosen] = np.full(shape, 0.5, "float32")
            file.write_bytes(safetensors.numpy.save(values))
        elif name.endswith(".safetensors"):
            file.write_bytes(_damaged_weights(file.read_bytes(), rng))
        else:
            file.write_bytes(damaged_bytes(file.read_bytes(), rng))
    seal_folder(path)
    return path


def _read_checkpoint(path, rng):
    from keras_transformer.zoo.checkpoint import Checkpoint

    def use():
        checkpoint = Checkpoint.load(path)
        checkpoint.predict(list(TEXTS))
        return repr(checkpoint)

    yield use


def _make_tflite(seeds, folder, rng):
    """Damages the graphs or the description; what is attached is another kind."""
    data = (seeds / rng.choice(FILES)).read_bytes()
    graphs, description, files = taken_apart(data)
    action = rng.random()
    if action < 0.4:
        graphs = damaged_model(graphs, rng)
    elif action < 0.75:
        # Most of the bytes are weights; what LiteRT trusts stands among the rest.
        graphs = damaged_bytes(graphs, rng) if rng.random() < 0.3 else _damaged_tables(graphs, rng)
    else:
        description = damaged_json(description, rng)
    path = folder / "model.tflite"
    path.write_bytes(seal_file(graphs, description, files))
    return path


def _damaged_tables(graphs, rng):
    """Changes bytes that are no weights: those with zeros nearby."""
    changed = bytearray(graphs)
    for _ in range(rng.randint(1, 3)):
        for _ in range(1000):
            place = rng.randrange(len(changed) - 8) // 4 * 4
            if b"\0\0" in changed[place : place + 8]:
                break
        changed[place : place + 8] = damaged_bytes(bytes(changed[place : place + 8]), rng, 1)[
            :8
        ].ljust(8, b"\0")
    return bytes(changed)


def taken_apart(data: bytes) -> tuple[bytes, bytes, dict[str, bytes]]:
    """Returns graphs, description and attached files of a whole file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    description = files.pop("model.json")
    return data[: json.loads(description)["flatbuffer_bytes"]], description, files


def _make_archive(seeds, folder, rng):
    graphs, description, files = taken_apart((seeds / rng.choice(FILES)).read_bytes())
    path = folder / "model.tflite"
    path.write_bytes(damaged_archive(graphs, description, files, rng))
    return path


def _read_file(path, rng):
    from keras_transformer.edge.runtime.runner import Runner

    def use():
        runner = Runner(path)
        if runner.generates:
            return runner.generate(list(TEXTS), max_tokens=3)
        return runner.predict(list(TEXTS))

    yield use
    if rng.random() < INSPECTED:
        from keras_transformer.edge.compare.inspect import inspect

        yield lambda: inspect(path)


# The share of files that `inspect` reads too, in a process that starts for each.
INSPECTED = 0.2
KINDS = {
    "data": Kind("train.tsv", _make_data, _read_data),
    "recipes": Kind("recipe.json", _make_recipe, _read_recipe),
    "vocabularies": Kind("wordpiece", _make_vocabulary, _read_vocabulary),
    "safetensors": Kind("checkpoint/weights.safetensors", _make_safetensors, _read_safetensors),
    "checkpoints": Kind("checkpoint", _make_checkpoint, _read_checkpoint),
    "tflite": Kind("int8.tflite", _make_tflite, _read_file),
    "archives": Kind("float32.tflite", _make_archive, _read_file),
    "kept_tokenizers": Kind(f"{published.KEPT}/t5", published.make_kept, _read_vocabulary),
    "published_tokenizers": Kind(
        f"{published.TOKENIZERS}/t5", published.make_tokenizer, published.read_tokenizer
    ),
    "published_models": Kind(
        f"{published.MODELS}/bert", published.make_model, published.read_model
    ),
}
