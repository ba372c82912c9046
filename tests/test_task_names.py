"""No module but a task's own file and the table knows a task by its name."""

import ast

from keras_transformer.zoo.tasks.registry import ALIASES, TASKS
from tests.test_layering import CLI, EDGE, MODULES, ZOO, named, parsed

REGISTRY = "zoo/tasks/registry.py"
# Literals that are a kind of output, a tensor's name, an option's and a layer's.
OTHER_MEANINGS = {
    (path, "embedding") for path in (
        "zoo/outputs.py", "edge/runtime/names.py", "edge/targets/registry.py",
        "edge/compare/layer_groups.py", "zoo/training/adaptation/freezing.py",
    )
}  # fmt: skip


def own_file(task: str) -> str:
    return f"{TASKS[task].__module__.removeprefix('keras_transformer.').replace('.', '/')}.py"


def docstrings(tree: ast.AST) -> set[int]:
    """The ids of the nodes of docstrings."""
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body and isinstance(node.body[0], ast.Expr)
    }  # fmt: skip


def names_in(tree: ast.AST) -> list[str]:
    """The names of tasks among the literals, docstrings left out."""
    described = docstrings(tree)
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and id(node) not in described
        and isinstance(node.value, str) and node.value in (*TASKS, *ALIASES)
    ]  # fmt: skip


def test_literals_and_comparisons_are_found():
    tree = ast.parse(
        '"""translation"""\n'
        'def f(task):\n    """classification"""\n'
        '    return task == "regression" or task in ("classification", "translation")\n'
    )
    assert sorted(names_in(tree)) == ["classification", "regression", "translation"]


def test_a_task_is_named_in_its_own_file_and_in_the_table_alone():
    assert {own_file(task) for task in TASKS} == {
        "zoo/tasks/classification.py", "zoo/tasks/regression.py", "zoo/tasks/translation.py",
        "zoo/tasks/language_modeling.py", "zoo/tasks/embedding.py", "zoo/tasks/multi_label.py",
        "zoo/tasks/tagging/token_classification.py",
        "zoo/tasks/answering/question_answering.py", "zoo/tasks/multi_task/multi_task.py",
        "zoo/tasks/masked/masked_language_modeling.py", "zoo/tasks/matching/contrastive.py",
        "zoo/tasks/transcription/transcription.py",
    }  # fmt: skip
    wrong = [
        f"{named(path)} has {name!r}"
        for package, path in MODULES
        if package in (ZOO, EDGE, CLI) and named(path) != REGISTRY
        for name in names_in(parsed(path))
        if named(path) != own_file(name) and (named(path), name) not in OTHER_MEANINGS
    ]
    assert wrong == []


def test_nobody_asks_for_a_task_of_a_type():
    """`isinstance(task, Classification)` would be a list of tasks as well."""
    classes = {TASKS[name].__name__ for name in TASKS}
    wrong = [
        f"{named(path)} asks for {node.id}"
        for package, path in MODULES
        if package in (ZOO, EDGE, CLI)
        for call in ast.walk(parsed(path))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("isinstance", "type")
        for node in ast.walk(call)
        if isinstance(node, ast.Name) and node.id in classes
    ]
    assert wrong == []
