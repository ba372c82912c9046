"""Nothing replaces what belongs to a live object; what has to be changed has a hook of its own."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [
    path
    for folder in ("keras_transformer", "zoo", "edge", "cli", "tests")
    for path in sorted((ROOT / folder).glob("**/*.py"))
]
# Methods and parts that layers, models and variables own.
OWNED = {
    "blocks", "build", "call", "compute_mask", "embeddings", "fit", "kernel_bits", "predict",
    "predict_on_batch", "stateless_call", "test_on_batch", "train_on_batch", "train_step",
    "_trainable",
}  # fmt: skip
# Classes of ours whose documented attribute has one of these names.
HOOKS = {("run", "train_step")}


def replacements(tree: ast.AST):
    """Yields what is assigned to that belongs to another object, or to another module's table."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        context = getattr(node, "ctx", None)
        if not isinstance(context, ast.Store | ast.Del):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr"):
                if len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
                    if node.args[1].value in OWNED:
                        yield ast.unparse(node)
            continue
        owner = ast.unparse(node.value) if hasattr(node, "value") else ""
        if isinstance(node, ast.Attribute) and node.attr in OWNED:
            if owner not in ("self", "cls") and (owner, node.attr) not in HOOKS:
                yield ast.unparse(node)
        if isinstance(node, ast.Subscript) and owner in imported:
            yield ast.unparse(node)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("layer.call = listen", ["layer.call"]),
        ("del layer.call", ["layer.call"]),
        ("stack.blocks, x = [], 1", ["stack.blocks"]),
        ("point.range_min.value._trainable = True", ["point.range_min.value._trainable"]),
        ("run.model.train_on_batch = f", ["run.model.train_on_batch"]),
        ("monkeypatch.setattr(model, 'call', f)", ["monkeypatch.setattr(model, 'call', f)"]),
        ("from a import TABLE\nTABLE['gelu'] = f", ["TABLE['gelu']"]),
        ("self.blocks = []\nrun.train_step = f\nTABLE = {}\nTABLE['a'] = 1\nlayer.call(x)", []),
    ],
)
def test_replacements_are_found(source, found):
    assert list(replacements(ast.parse(source))) == found


def test_nothing_replaces_what_belongs_to_a_live_object():
    wrong = [
        f"{path.relative_to(ROOT)}: {one}"
        for path in FILES
        for one in replacements(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert wrong == []
