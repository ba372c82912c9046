"""The house rules of imports and files, read from the syntax tree of every module."""

import ast
import functools
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms import MAX_FILES_IN_A_ROOM, ROOMS

ROOT = Path(__file__).parent.parent
LAYERS = "keras_transformer"
ZOO, EDGE, CLI = (f"{LAYERS}.{name}" for name in ("zoo", "edge", "cli"))
FOLDERS = {LAYERS: "keras_transformer", ZOO: "zoo", EDGE: "edge", CLI: "cli"}
# Outside cli/, where a command imports TensorFlow only when it runs, an import inside a function
# needs a reason.
LOCAL_IMPORTS = {
    # Importing tfmot switches the process to Keras 2 wherever `tf.keras` is written.
    ("edge/quantize/trained_ranges.py", "keras_transformer"),
    *((f"edge/compress/{one}.py", "keras_transformer") for one in ("magnitude", "clustering")),
    *(("edge/compress/importance.py", package) for package in ("jax", "tensorflow")),
    # A `.tflite` is opened where TensorFlow is not installed.
    ("edge/load.py", "keras_transformer"),
    # Half of the time in which the runtime loads; a file is opened with it, and not before.
    ("edge/runtime/interpreters.py", "keras_transformer"),
    ("edge/runtime/runner.py", "keras_transformer"),  # one task of a file is a runner itself
    # Only a file that reads strings needs it, on a host that has it.
    ("edge/runtime/interpreters.py", "tensorflow_text"),
    ("edge/runtime/checks/trial_process.py", "tensorflow_text"),
    # Extras, which a model on the hub or in a file of PyTorch needs.
    *(("zoo/pretrained/source.py", "huggingface_hub"), ("zoo/pretrained/tensors.py", "torch")),
    # Extras, which pictures, sounds, addresses and chat templates need.
    ("zoo/columns/arrow.py", "pyarrow"),
    *(("zoo/columns/remote.py", one) for one in ("aiohttp", "fsspec")),
    *(("zoo/media/pictures.py", "PIL"), ("zoo/media/sounds.py", "soundfile")),
    *(("zoo/chat/template.py", "jinja2"), ("zoo/evaluation/word_errors.py", "jiwer")),
    # The models train on other backends where TensorFlow is not installed.
    *((f"zoo/models/running/{one}.py", "tensorflow") for one in ("decoding_steps", "unset")),
    *(("zoo/pretrained/load.py", "tensorflow"), ("zoo/vocabularies/learn.py", "tensorflow")),
    ("edge/runtime/checks/trial_process.py", "resource"),  # Windows has no limits of memory
    # Tasks measure files, too, which Keras' seconds would double; only training needs it.
    ("zoo/models/heads.py", "keras_transformer"),
    ("zoo/losses/divergence.py", "keras"),
    *(
        (f"zoo/tasks/{task}.py", package)
        for task in "classification embedding generating multi_label regression masked/"
        "masked_language_modeling tagging/token_classification answering/question_answering "
        "matching/contrastive".split()
        for package in ("keras", "keras_transformer")
    ),
    *(
        (f"zoo/tasks/{task}.py", "keras_transformer")
        for task in "labelled_data language_modeling translation tagging/windowed_data "
        "multi_task/multi_task multi_task/multi_data masked/masked_data matching/"
        "contrastive_data transcription/transcription_data".split()
    ),
    # It is not needed to write a file, and loads where it is installed.
    ("edge/targets/litertlm/lm_replay.py", "litert_lm"),
    # An exported folder is loaded by one of three runtimes, and the others need not be there.
    ("edge/targets/exported/replay.py", "onnxruntime"),
    ("edge/targets/exported/replay.py", "torch"),
    ("edge/targets/exported/replay.py", "tensorflow"),
}
MAX_LINES = 320
MODULES = [
    (package, path) for package, folder in FOLDERS.items()
    for path in sorted((ROOT / folder).glob("**/*.py"))
]  # fmt: skip
FILES = [path for _, path in MODULES] + sorted((ROOT / "tests").glob("**/*.py"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yields each imported name in full; `package` is where relative imports start."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: package.count(".") + 2 - node.level]
            module = ".".join([*(parents if node.level else []), *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


@functools.cache
def imported(path: Path, package: str) -> list[str]:
    return [*imports(parsed(path), package)]


def local_imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yields the names that are imported inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(node, package)


def owner(name: str) -> str | None:
    """Returns which of our packages `name` belongs to, None when it is somebody else's."""
    owners = [package for package in FOLDERS if f"{name}.".startswith(f"{package}.")]
    return max(owners, key=len, default=None)


def top(name: str) -> str:
    return name.split(".")[0]


def test_imports_are_read_in_full():
    source = """
import keras.ops as ops
from keras_transformer import zoo
from . import config
from .config import Config
from ..quantization import QuantPoint
def build():
    from keras_transformer.edge.quantize.qat import quantize
"""
    tree = ast.parse(source)
    local = ["keras_transformer.edge.quantize.qat.quantize"]
    assert list(local_imports(tree, ZOO)) == local
    assert list(imports(tree, ZOO)) == [
        "keras.ops",
        "keras_transformer.zoo",
        "keras_transformer.zoo.config",
        "keras_transformer.zoo.config.Config",
        "keras_transformer.quantization.QuantPoint",
        *local,
    ]
    assert [owner(name) for name in imports(tree, ZOO)] == [None, ZOO, ZOO, ZOO, LAYERS, EDGE]


def test_packages_are_the_ones_that_are_installed():
    configured = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    for package, folder in FOLDERS.items():
        assert f"\n    {package} = {folder}\n" in configured


def room_of(path: Path) -> str:
    """Returns the folder of a module, `layers`, `cli`, or the file itself at the top."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in ("keras_transformer", "cli"):
        return "layers" if parts[0] == "keras_transformer" else "cli"
    return ".".join(parts[:-1] if len(parts) > 2 else parts)


def room_named(name: str) -> str:
    """Returns the room of an imported name of ours, given in full."""
    parts = name.split(".")[1:]
    if parts[:1] == ["cli"]:
        return "cli"
    if parts[:1] not in (["zoo"], ["edge"]):
        return "layers"
    known = [room for room in ROOMS if f"{'.'.join(parts)}.".startswith(f"{room}.")]
    return max(known, key=len, default=".".join(parts))


IN_ROOMS = [
    (package, path)
    for package, path in MODULES
    if package in (ZOO, EDGE) and len(path.relative_to(ROOT).parts) + (path.stem != "__init__") > 2
]


def test_every_room_is_in_the_table():
    found = {room_of(path) for _, path in IN_ROOMS}
    assert found == set(ROOMS) - {"layers"}


def test_rooms_stand_above_those_that_they_import():
    order = list(ROOMS)
    wrong = [
        f"{room} imports {other}"
        for room, rules in ROOMS.items()
        for other in rules.rooms.split()
        if order.index(other) >= order.index(room)
    ]
    assert wrong == []


def test_import_arrows():
    """Modules import the rooms and packages that the table names."""
    wrong = [
        f"{named(path)} imports {name}"
        for package, path in IN_ROOMS
        for name in imported(path, package)
        if owner(name) is not None
        and room_named(name) not in {room_of(path), *ROOMS[room_of(path)].rooms.split()}
    ]
    assert wrong == []


def test_rooms_import_the_packages_that_the_table_names():
    modules = [*IN_ROOMS, *((package, path) for package, path in MODULES if package == LAYERS)]
    wrong = [
        f"{named(path)} imports {name}"
        for package, path in modules
        for name in imported(path, package)
        if owner(name) is None
        and top(name) not in {*ROOMS[room_of(path)].packages.split(), *sys.stdlib_module_names}
    ]
    assert wrong == []


def test_the_layers_and_the_zoo_know_nothing_above_them():
    above = {LAYERS: (ZOO, EDGE, CLI), ZOO: (EDGE, CLI), EDGE: (CLI,)}
    wrong = [
        f"{named(path)} imports {name}"
        for package, path in MODULES
        for name in imported(path, package)
        if owner(name) in above.get(package, ())
    ]
    assert wrong == []


def test_the_device_loads_only_device_safe_rooms():
    wrong = [
        f"{room} imports {other}"
        for room, rules in ROOMS.items()
        if rules.device
        for other in rules.rooms.split()
        if not ROOMS[other].device
    ]
    frameworks = {"tensorflow", "keras", "jax", "torch", "safetensors"}
    assert wrong == []
    unsafe = [
        room
        for room, rules in ROOMS.items()
        if rules.device and frameworks & set(rules.packages.split())
    ]
    assert unsafe == []


def test_rooms_stay_small():
    sizes = Counter(room_of(path) for _, path in IN_ROOMS if path.stem != "__init__")
    assert {room: size for room, size in sizes.items() if size > MAX_FILES_IN_A_ROOM} == {}


def test_packages_are_imported_by_their_installed_names():
    wrong = [
        f"{named(path)} imports {name}"
        for path in FILES
        for name in imported(path, LAYERS)
        if top(name) in {"zoo", "edge", "cli"}
    ]
    assert wrong == []


def test_rooms_say_what_they_are_for():
    wrong = [
        named(path)
        for _, path in MODULES
        if path.name == "__init__.py" and not ast.get_docstring(parsed(path))
    ]
    assert wrong == []


def test_nothing_is_pickled():
    wrong = [
        f"{named(path)} imports {name}"
        for path in FILES
        for name in imported(path, LAYERS)
        if top(name) in {"pickle", "cloudpickle", "dill"}
    ]
    assert wrong == []


def test_keras_is_never_reached_through_tensorflow():
    def reaches(path: Path) -> bool:
        tree = parsed(path)
        return any(name.startswith("tensorflow.keras") for name in imported(path, LAYERS)) or any(
            isinstance(node, ast.Attribute) and node.attr == "keras"
            and isinstance(node.value, ast.Name)
            and node.value.id in {"tf", "tensorflow"}
            for node in ast.walk(tree)
        )

    assert [named(path) for path in FILES if reaches(path)] == []


def test_local_imports_stand_only_in_commands():
    wrong = [
        f"{named(path)} imports {name} inside a function"
        for package, path in MODULES
        if package != CLI
        for name in local_imports(parsed(path), package)
        if (named(path), top(name)) not in LOCAL_IMPORTS
    ]
    assert wrong == []


def test_files_stay_short():
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


@pytest.mark.parametrize(
    "module",
    [
        "keras_transformer",
        "keras_transformer.edge.runtime.runner",
        "keras_transformer.zoo.generation.loop",
        "keras_transformer.zoo.generation.text",
    ],
)
def test_the_device_path_loads_no_training_framework(module):
    program = (
        f"import sys, {module}; "
        "print(sorted({'tensorflow', 'keras', 'tf_keras', 'jax', 'torch'} & set(sys.modules)))"
    )
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (fresh.stdout, fresh.stderr, fresh.returncode) == ("[]\n", "", 0)
