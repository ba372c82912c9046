"""Layer groups of a quantized model: the sublayers of each block, the embeddings, the head."""

import dataclasses
import re

import keras

from keras_transformer.stacks import Decoder, Encoder
from keras_transformer.zoo.layer_names import without_prefix
from keras_transformer.zoo.models.kept_layers import STREAM, rounded_layers

# Values stored between sublayers belong to none of them: the next matmul reads them as integers.
BETWEEN = "between sublayers"
# The step of a file's output is the unit in which parity is checked.
OUTPUT = "output"
OUTPUT_POINTS = ("head_point", "logits_point")
ENDS = ("embedding", "head")
STACKS = ("encoder/", "decoder/")
SUBLAYER = re.compile(r"(\w+/block_\d+/\w+)/")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Layers that are quantized, or kept float, together.

    Attributes:
        name: such as `encoder/block_0/attention`; or `embedding`, `head`, `BETWEEN` or `OUTPUT`.
        patterns: patterns that match the paths of its layers and no others.
    """

    name: str
    patterns: tuple[str, ...]

    @property
    def is_keepable(self) -> bool:
        """Whether a file can keep it in float while the others are integers."""
        return self.name not in (BETWEEN, OUTPUT)


def groups_of(model: keras.Model) -> list[Group]:
    """Returns the groups of a model that was built with bits, in the order of the data flow."""
    # Keras lists layers in the order of their distance to the output.
    place = {layer.name: number for number, layer in enumerate(model.layers)}
    # The last stack of each model that is one of several.
    last = {
        _member(layer.name): number
        for number, layer in enumerate(model.layers) if isinstance(layer, Encoder | Decoder)
    }  # fmt: skip
    paths: dict[str, list[str]] = {}
    for layer in rounded_layers(model):
        top, _, _ = layer.path.partition("/")
        name = _name(layer.path) or ENDS[place[top] > last[_member(top)]]
        paths.setdefault(name, []).append(layer.path)
    return [
        Group(name=name, patterns=_patterns(name, paths[name]))
        for name in sorted(paths, key=_order)
    ]


def _name(path: str) -> str | None:
    """The group of a layer that is neither before nor after the stacks, or None."""
    alone = without_prefix(path)
    if alone.rpartition("/")[2] in STREAM:
        return BETWEEN
    if alone.endswith(OUTPUT_POINTS):
        return OUTPUT
    sublayer = SUBLAYER.match(path)
    if sublayer is None and alone.startswith(STACKS):
        return BETWEEN
    return sublayer and sublayer[1]


def _member(name: str) -> str:
    """The beginning of the names of a member's layers; empty for a model alone."""
    return name.removesuffix(without_prefix(name))


def _patterns(name: str, paths: list[str]) -> tuple[str, ...]:
    if SUBLAYER.match(f"{name}/"):
        return (f"{name}/*",)
    # A pattern also matches a layer's sublayers.
    return tuple(
        path for path in dict.fromkeys(paths)
        if not any(path.startswith(f"{other}/") for other in paths)
    )  # fmt: skip


def _order(name: str) -> tuple[int, int, str]:
    """Sort key: embeddings, encoder and decoder blocks by number, values between, head, output."""
    stack, _, rest = without_prefix(name).partition("/")
    number = re.search(r"\d+", rest)
    kinds = ("embedding", "encoder", "decoder", BETWEEN, "head", OUTPUT)
    return kinds.index(stack), int(number[0]) if number else 0, rest + _member(name)
