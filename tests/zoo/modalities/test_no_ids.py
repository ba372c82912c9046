"""What serves every modality names no input of text's."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
ROOMS = (
    "edge/choose", "edge/compare", "edge/convert", "edge/graphs", "edge/quantize", "edge/runtime",
    "zoo/data", "zoo/modalities", "zoo/outputs.py", "zoo/predictor.py", "zoo/checkpoint.py",
    "zoo/models", "zoo/tasks", "zoo/training",
)  # fmt: skip
INPUTS = ("ids", "segment_ids", "source_ids")
# Functions that are about text, with the reason; None for a whole file.
OF_TEXT = {
    ("zoo/modalities/text.py", None): "the modality",
    ("zoo/models/embedded/text.py", None): "its embedding",
    ("zoo/models/build.py", "_decoder"): "what writes text reads the text before",
    ("zoo/tasks/translation.py", "_encode"): "it reads and writes text",
    ("zoo/tasks/language_modeling.py", None): "it reads and writes text",
    ("zoo/tasks/masked/learners.py", None): "words are masked",
    ("zoo/tasks/masked/masked_data.py", None): "words are masked",
    ("zoo/tasks/masked/masked_language_modeling.py", None): "words are masked",
    ("zoo/models/heads.py", None): "names that no head may have",
    ("zoo/tasks/transcription/transcription_data.py", None): "it writes text",
    ("zoo/training/chosen/suited.py", "suited_to_start"): "the lengths of texts",
    ("zoo/training/watched/watch.py", None): "tokens a second, and [MASK] in place of some",
    ("edge/compare/probes.py", "at_positions"): "masked words",
    ("edge/compare/probes.py", "sources_of"): "what a generator reads beside its own ids",
    ("edge/compare/probes.py", "_written"): "what a generator reads and writes",
    ("edge/compare/probes.py", "stepwise_outputs"): "a generator, token by token",
    ("edge/compare/side_by_side.py", "_write"): "a generator, token by token",
    ("edge/graphs/free.py", "entry_points"): "the graphs of generators",
    ("edge/graphs/named_steps.py", None): "the graphs of generators",
    ("edge/graphs/static.py", "signatures"): "the graphs of generators",
    ("edge/runtime/decode_graph.py", None): "a generator's main graph",
    ("edge/runtime/file_decoder.py", None): "a generator's signatures",
    ("edge/runtime/runner.py", "run_texts"): "a file that holds the tokenizer in its graph",
    ("edge/runtime/fitting.py", None): "the signatures of generators and of files of texts",
}


def names_of_text(path):
    """Yields the functions of a file that hold the name of an input of text's, or None outside."""
    def walk(node, function):
        if isinstance(node, ast.FunctionDef):
            function = node.name
        # `Text.encode(ids=...)` says it too.
        name = node.value if isinstance(node, ast.Constant) else getattr(node, "arg", None)
        if name in INPUTS and isinstance(node, ast.Constant | ast.keyword):
            yield function
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), None)


@functools.cache
def found():
    paths = [p for room in ROOMS for p in sorted((ROOT / room).rglob("*.py")) or [ROOT / room]]
    return {
        (path.relative_to(ROOT).as_posix(), function)
        for path in paths for function in names_of_text(path)
    }  # fmt: skip


def test_text_is_named_where_it_is_about_text():
    unexpected = {
        place for place in found() if place not in OF_TEXT and (place[0], None) not in OF_TEXT
    }
    assert unexpected == set()


@pytest.mark.parametrize("place", OF_TEXT)
def test_no_reason_is_left_over(place):
    assert any(place in ((file, function), (file, None)) for file, function in found())
