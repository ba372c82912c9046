"""Interpreters of a file's graphs, and the engines that run them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_transformer.edge.runtime.decode_graph import DecodeGraph
from keras_transformer.edge.runtime.names import PREDICT, cache_names
from keras_transformer.edge.runtime.predict_graph import PredictGraph
from keras_transformer.zoo.errors import InputError

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


def make_interpreter(
    flatbuffer: bytes, description: Mapping[str, Any], *, threads: int = 1
) -> "Interpreter":
    """Returns an interpreter with the ops that a file needs.

    Args:
        flatbuffer, description: results of `unpack`.
        threads: number of threads.

    Raises:
        InputError: if the file needs TensorFlow Text, which is not installed, or LiteRT refuses it.
    """
    from keras_transformer.edge.runtime.litert import Interpreter, InterpreterWithCustomOps

    if not description.get("custom_ops"):
        return Interpreter(model_content=flatbuffer, num_threads=threads)
    try:
        import tensorflow_text
    except ModuleNotFoundError:
        raise InputError(
            "Expected tensorflow-text, whose ops the file's tokenizer is made of; pip install "
            "tensorflow-text, or convert with --target plain."
        ) from None
    return InterpreterWithCustomOps(
        model_content=flatbuffer, num_threads=threads,
        custom_op_registerers=tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS,
    )  # fmt: skip


class ReadFile(NamedTuple):
    """A file that was read: a source of what was in it then."""

    data: bytes
    path: Any

    def __bytes__(self):
        return self.data


def open_graph(
    file: ReadFile, description: Mapping[str, Any], lengths: Sequence[int], threads: int
) -> PredictGraph | DecodeGraph:
    """Returns an engine with an interpreter of its own; all share the file's bytes."""
    interpreter = make_interpreter(file.data, description, threads=threads)
    if PREDICT in interpreter.get_signature_list():
        return PredictGraph(interpreter, lengths)
    return DecodeGraph(interpreter, cache_names(description["model"]["num_layers"]))
