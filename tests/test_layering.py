"""The house rules of imports and files, read from the syntax tree of every module."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS, ZOO, EDGE, CLI = (
    "keras_transformer",
    "keras_transformer.zoo",
    "keras_transformer.edge",
    "keras_transformer.cli",
)
FOLDERS = {LAYERS: "keras_transformer", ZOO: "zoo", EDGE: "edge", CLI: "cli"}
MAY_IMPORT = {
    LAYERS: {LAYERS},
    ZOO: {ZOO, LAYERS},
    EDGE: {EDGE, ZOO, LAYERS},
    CLI: {CLI, EDGE, ZOO},
}
# Outside cli/, where a command imports TensorFlow only when it runs, an import inside a function
# needs a reason.
LOCAL_IMPORTS = {
    # Importing tfmot switches the process to Keras 2 wherever `tf.keras` is written.
    ("edge/ranges.py", "tensorflow_model_optimization"),
    ("edge/magnitude.py", "tensorflow_model_optimization"),
    ("edge/clustering.py", "tensorflow_model_optimization"),
    # A `.tflite` is opened where TensorFlow is not installed.
    ("edge/predictor.py", "keras_transformer"),
    # Only a file that reads strings needs it, on a host that has it.
    ("edge/runtime.py", "tensorflow_text"),
    # It is not needed to write a file, and loads where it is installed.
    ("edge/lm_replay.py", "litert_lm"),
    # An exported folder is loaded by one of three runtimes, and the others need not be there.
    ("edge/replay.py", "onnxruntime"),
    ("edge/replay.py", "torch"),
    ("edge/replay.py", "tensorflow"),
    # Its compiled kernels take seconds to load, and byte tokenizers do without them.
    ("zoo/vocabulary.py", "tensorflow_text"),
}
MAX_LINES = 320
MODULES = [
    (package, path)
    for package, folder in FOLDERS.items()
    for path in sorted((ROOT / folder).glob("**/*.py"))
]
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
    from keras_transformer.edge.qat import quantize
"""
    tree = ast.parse(source)
    local = ["keras_transformer.edge.qat.quantize"]
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


def test_import_arrows():
    wrong = [
        f"{named(path)} imports {name}"
        for package, path in MODULES
        for name in imports(parsed(path), package)
        if owner(name) not in MAY_IMPORT[package] | {None}
    ]
    assert wrong == []


def test_layers_import_keras_and_nothing_else():
    allowed = {"keras", "numpy", "keras_transformer"} | sys.stdlib_module_names
    wrong = [
        f"{named(path)} imports {name}"
        for package, path in MODULES
        if package == LAYERS
        for name in imports(parsed(path), package)
        if top(name) not in allowed
    ]
    assert wrong == []


def test_packages_are_imported_by_their_installed_names():
    wrong = [
        f"{named(path)} imports {name}"
        for path in FILES
        for name in imports(parsed(path), LAYERS)
        if top(name) in {"zoo", "edge", "cli"}
    ]
    assert wrong == []


def test_init_files_are_empty():
    wrong = [
        named(path)
        for package, path in MODULES
        if path.name == "__init__.py" and package != LAYERS and path.stat().st_size > 0
    ]
    assert wrong == []


def test_nothing_is_pickled():
    wrong = [
        f"{named(path)} imports {name}"
        for path in FILES
        for name in imports(parsed(path), LAYERS)
        if top(name) in {"pickle", "cloudpickle", "dill"}
    ]
    assert wrong == []


def test_keras_is_never_reached_through_tensorflow():
    def reaches(path: Path) -> bool:
        tree = parsed(path)
        return any(name.startswith("tensorflow.keras") for name in imports(tree, LAYERS)) or any(
            isinstance(node, ast.Attribute)
            and node.attr == "keras"
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
        "keras_transformer.edge.runtime",
        "keras_transformer.zoo.generate",
        "keras_transformer.zoo.text_generation",
    ],
)
def test_the_device_path_loads_no_training_framework(module):
    program = (
        f"import sys, {module}; "
        "print(sorted({'tensorflow', 'keras', 'tf_keras', 'jax', 'torch'} & set(sys.modules)))"
    )
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (fresh.stdout, fresh.stderr, fresh.returncode) == ("[]\n", "", 0)
