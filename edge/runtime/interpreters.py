"""Interpreters of a file's graphs, and the engines that run them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_transformer.edge.runtime.decode_graph import DecodeGraph
from keras_transformer.edge.runtime.names import PREDICT, cache_names
from keras_transformer.edge.runtime.predict_graph import PredictGraph
from keras_transformer.zoo.errors import InputError

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

# LiteRT 2.3's FULLY_CONNECTED leaves its output as it was where a kernel of int4 has a scale for
# each block of inputs; XNNPACK's does not.
_NEEDS_XNNPACK = "int4"
_DELEGATE = "DELEGATE"
# More threads or processes than any device has.
_MOST = 1024


def check_counts(**counts: Any) -> None:
    """Raises InputError if a number of threads or processes is not from 1 to 1024."""
    for name, value in counts.items():
        if type(value) is not int or not 1 <= value <= _MOST:
            raise InputError(f"Expected {name} to be from 1 to {_MOST}, got {name}={value!r}.")


def make_interpreter(
    flatbuffer: bytes, description: Mapping[str, Any], *, threads: int = 1
) -> "Interpreter":
    """Returns an interpreter with the ops that a file needs.

    Args:
        flatbuffer, description: results of `unpack`.
        threads: number of threads.

    Raises:
        InputError: if the file needs TensorFlow Text, which is not installed, LiteRT refuses it, or
            it is of int4 and this LiteRT does without XNNPACK.
    """
    from keras_transformer.edge.runtime.litert import Interpreter, InterpreterWithCustomOps

    if not description.get("custom_ops"):
        interpreter = Interpreter(model_content=flatbuffer, num_threads=threads)
        if description["precision"] == _NEEDS_XNNPACK:
            _check_delegated(interpreter)
        return interpreter
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


def _check_delegated(interpreter: "Interpreter") -> None:
    """Raises InputError where no delegate runs a part of the main graph."""
    interpreter.allocate_tensors()
    if all(node["op_name"] != _DELEGATE for node in interpreter._get_ops_details()):
        raise InputError(
            "Expected a LiteRT with XNNPACK to run precision=int4, whose kernels LiteRT's own ops "
            "pass over without a result or an error; convert with --precision dynamic_int8."
        )


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
        return PredictGraph(interpreter, lengths, description.get("heads", ()))
    return DecodeGraph(interpreter, cache_names(description["model"]["num_layers"]))
