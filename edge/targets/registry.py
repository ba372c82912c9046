"""The table of targets. A new target is an entry here and a file with its writer class."""

from collections.abc import Iterable

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.targets.npus import NPUS
from keras_transformer.edge.targets.target import Option, Target
from keras_transformer.zoo.errors import InputError

_HERE = "keras_transformer.edge.targets"
# Precisions of hosts that tokenize texts themselves or in the graph.
_OF_TEXTS = ("float32", "float16", "dynamic_int8", "int8")
_ARENA_LIMIT = Option(
    name="arena_limit", type=int,
    help="Largest memory in bytes that the model may need on the device, TensorFlow Lite Micro's "
    "arena or the NPU's SRAM; nothing is written if it needs more.",
)  # fmt: skip
_OF_NPUS = (
    _ARENA_LIMIT,
    Option(
        name="host_lookup", type=bool,
        help="Leave the look-up of the embedding rows and the mask to the host, with C code for "
        "it, so that all runs on the NPU.",
    ),
    Option(
        name="system_config", type=str,
        help="Clocks and bandwidths of the system, a name that Arm's compiler has, such as "
        "Ethos_U55_Deep_Embedded.  [default: the compiler's for the NPU]",
    ),
    Option(
        name="memory_mode", type=str,
        help="Where weights and activations are, a name that Arm's compiler has, such as "
        "Sram_Only.  [default: the compiler's for the NPU]",
    ),
)  # fmt: skip

TARGETS = {
    target.name: target
    for target in (
        Target(
            name="plain", writer=f"{_HERE}.plain:Plain",
            help="a host that calls the file's signatures with ids, such as Runner",
        ),
        Target(
            name="mediapipe", writer=f"{_HERE}.mediapipe.mediapipe:MediaPipe",
            help="MediaPipe Tasks", precisions=_OF_TEXTS,
            options=(
                Option(
                    name="embedding", type=bool,
                    help="Give the vector in place of probabilities, for TextEmbedder or "
                    "ImageEmbedder.",
                ),
                Option(
                    name="score_calibration", type=bytes,
                    help="For a classifier: a line `scale,slope,offset` for each label.",
                ),
            ),
        ),
        Target(
            name="text", writer=f"{_HERE}.text:TextGraph", precisions=_OF_TEXTS,
            help="a host that links TensorFlow Text, which calls the file with strings",
        ),
        Target(
            name="micro", writer=f"{_HERE}.micro.micro:Micro", precisions=("integer",),
            packages=("tflite_micro",), extra="micro",
            help="a microcontroller, with C sources beside the file", options=(_ARENA_LIMIT,),
        ),
        *(
            Target(
                name=name, writer=f"{_HERE}.ethos.ethos:EthosU", precisions=("integer",),
                packages=("ethosu",), extra="ethos-u", options=_OF_NPUS, family="ethos-u*",
                help="Arm's NPU of that name, compiled, with C sources for TensorFlow Lite Micro",
            )
            for name in NPUS
        ),
        Target(
            name="onnx", writer=f"{_HERE}.exported.onnx:Onnx", precisions=("float32",),
            packages=("tf2onnx", "onnxruntime"), extra="onnx", help="ONNX Runtime, a folder",
        ),
        Target(
            name="torchscript", writer=f"{_HERE}.exported.torchscript:TorchScript",
            precisions=("float32",), packages=("torch",), extra="torch", help="libtorch, a folder",
        ),
        Target(
            name="saved_model", writer=f"{_HERE}.exported.saved_model:SavedModel",
            precisions=("float32",), help="TensorFlow, a folder",
        ),
        Target(
            name="litertlm", writer=f"{_HERE}.litertlm.litertlm:LiteRtLm",
            # The mask is a float tensor.
            precisions=tuple(name for name in PRECISIONS if name != "integer"),
            packages=("litert_lm_builder",), extra="litertlm",
            help="LiteRT-LM, a decoder with its tokenizer in one file",
            options=(
                Option(
                    name="slow_on_arm", type=bool,
                    help="Write a precision that is slow on ARM phones, int16x8.",
                ),
            ),
        ),
    )
}  # fmt: skip


def get_target(name: str) -> Target:
    """Returns the target of that name.

    Raises:
        InputError: if the name is unknown; the message lists the known ones.
    """
    if name not in TARGETS:
        raise InputError(
            f"Expected target to be one of {', '.join(TARGETS)}, got target={name!r}."
        )
    return TARGETS[name]


def check_options(target: Target, names: Iterable[str]) -> None:
    """Raises InputError for an option that a target lacks, naming the targets that have it."""
    for name in names:
        owners = [one.name for one in TARGETS.values() if name in _options(one)]
        if target.name in owners:
            continue
        if owners:
            groups = dict.fromkeys(TARGETS[owner].group for owner in owners)
            raise InputError(
                f"Expected {name} only with the target {' or '.join(groups)}, got "
                f"target={target.name}."
            )
        raise InputError(
            f"Expected an option of the target {target.name}, which has "
            f"{', '.join(_options(target)) or 'none'}; got {name}."
        )


def _options(target: Target) -> list[str]:
    return [option.name for option in target.options]
