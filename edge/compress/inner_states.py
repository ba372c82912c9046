"""Hidden states and attention relations of a student and its teacher, and their differences."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
from keras import ops

from keras_transformer.attention import MultiHeadAttention
from keras_transformer.masks import attention_bias
from keras_transformer.stacks import Decoder, Encoder
from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Blocks:
    """A block of the student and the teacher's block that it is matched to.

    Attributes:
        own, other: the student's and the teacher's block, whose outputs are (B, T, D).
        widths: width D of each.
        stack: name of the stack of both.
        reads: name of the ids whose padding is ignored.
    """

    own: keras.layers.Layer
    other: keras.layers.Layer
    widths: tuple[int, int]
    stack: str
    reads: str


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Projections:
    """A query, key or value projection of the student's attention, and the teacher's.

    Attributes:
        own, other: the student's and the teacher's projection, with outputs (B, T, heads * K).
        heads: number of relation heads, a divisor of both widths.
        reads: name of the ids whose padding is ignored.
    """

    own: keras.layers.Layer
    other: keras.layers.Layer
    heads: int
    reads: str


def matched_blocks(student: keras.Model, teacher: keras.Model) -> list[Blocks]:
    """Pairs every block of the student with one of the teacher, see `even_places`.

    Raises:
        InputError: if the blocks of a stack share their weights, of which only the last is heard.
    """
    for stack in (stack for own, other, _ in _stacks(student, teacher) for stack in (own, other)):
        if len(set(stack.blocks)) < len(stack.blocks):
            raise InputError(
                "Expected blocks with weights of their own to compare hidden states of, got "
                f"share_layers=True in {stack.name}."
            )
    return [
        Blocks(
            own=block, other=other.blocks[place], widths=(_width(own), _width(other)),
            stack=own.name, reads=reads,
        )
        for own, other, reads in _stacks(student, teacher)
        for block, place in zip(
            own.blocks, even_places(len(own.blocks), len(other.blocks)), strict=True
        )
    ]  # fmt: skip


def even_places(count: int, total: int) -> list[int]:
    """Returns the indices of some of a stack's blocks, spread evenly from the last one down.

    TinyBERT's uniform mapping (Jiao et al. 2020, arXiv:1909.10351, section 4.2), rounded up where
    the numbers do not divide.

    Args:
        count: number of blocks of the student.
        total: number of blocks of the teacher; of fewer than the student's, some occur again.
    """
    return [math.ceil((place + 1) * total / count) - 1 for place in range(count)]


def matched_projections(student: keras.Model, teacher: keras.Model) -> list[Projections]:
    """Pairs queries, keys and values of each stack's last block, also those of cross-attention."""
    found = []
    for own, other, reads in _stacks(student, teacher):
        for kind in ("attention", "cross_attention"):
            if getattr(own.blocks[-1], kind, None) is None:
                continue
            ours, theirs = (getattr(s.blocks[-1], kind).sublayer for s in (own, other))
            heads = _shared_heads(ours, theirs)
            found += [
                Projections(
                    own=getattr(ours, name), other=getattr(theirs, name), heads=heads,
                    reads="source_ids" if kind == "cross_attention" and name != "query" else reads,
                )
                for name in ("query", "key", "value")
            ]  # fmt: skip
    return found


def listening(
    model: keras.Model, layers: Sequence[keras.layers.Layer]
) -> Callable[..., tuple[keras.KerasTensor, list]]:
    """Returns the model as a function to its outputs and those of the given inner layers."""

    def read(inputs: Mapping, training: bool | None = None):
        with _heard(layers) as heard:
            outputs = model(inputs, training=training)
        return outputs, [ops.cast(heard[id(layer)], "float32") for layer in layers]

    return read


def hidden_difference(own, other, real):
    """Mean squared difference of (B, T, D) outputs over the teacher's mean square.

    The difference is Jiao et al. 2020, equation 8. Before the last norm of a pre-norm model the
    outputs grow from block to block, so it is counted in units of the teacher's.

    Args:
        own, other: outputs of the student, mapped to the teacher's width, and of the teacher.
        real: mask (B, T), 0 at padding, else 1.
    """
    real = ops.expand_dims(real, -1)
    square = ops.sum(real * ops.square(other))
    return ops.sum(real * ops.square(own - other)) / ops.maximum(square, 1e-6)


def relation_difference(own, other, heads, real):
    """Mean divergence between the relations of the positions of (B, T, W) vectors.

    A relation is the softmax of scaled products of a head's vectors with each other, which depends
    neither on the width nor on the number of attention heads: Wang et al. 2021, arXiv:2012.15828,
    section 3.1.

    Args:
        own, other: queries, keys or values of the student and of the teacher.
        heads: number of heads that both are divided into.
        real: mask (B, T), 0 at padding, else 1.
    """
    own, other = (_log_relations(x, heads, real) for x in (own, other))
    divergence = ops.sum(ops.exp(other) * (other - own), axis=-1)
    real = ops.expand_dims(real, 1)
    return ops.sum(divergence * real) / ops.maximum(heads * ops.sum(real), 1.0)


def _log_relations(x, heads, real):
    """(B, T, W) to log probabilities (B, heads, T, T)."""
    batch, length, _ = ops.shape(x)
    width = x.shape[-1] // heads
    x = ops.transpose(ops.reshape(x, (batch, length, heads, width)), (0, 2, 1, 3))
    scores = ops.matmul(x * width**-0.5, ops.transpose(x, (0, 1, 3, 2)))
    return ops.log_softmax(scores + attention_bias(real, "float32"))


def _stacks(student: keras.Model, teacher: keras.Model):
    """Yields the stacks of both by name, and the name of the ids that they read."""
    inputs = {tensor.name for tensor in student.inputs}
    for own in student.layers:
        if isinstance(own, Encoder | Decoder):
            is_source = isinstance(own, Encoder) and "source_ids" in inputs
            yield own, teacher.get_layer(own.name), "source_ids" if is_source else "ids"


def _width(stack: Encoder | Decoder) -> int:
    return stack.blocks[-1].feed_forward.norm.gamma.shape[0]


def _shared_heads(*attentions: MultiHeadAttention) -> int:
    """The greatest number that divides every head count of both."""
    return math.gcd(*(n for a in attentions for n in (a.num_heads, a.num_key_value_heads)))


@contextlib.contextmanager
def _heard(layers: Sequence[keras.layers.Layer]) -> Iterator[dict[int, keras.KerasTensor]]:
    """Collects the outputs of layers while a model is called, by their `id`."""
    heard = {}

    def remember(layer, outputs):
        heard[id(layer)] = outputs

    for layer in layers:
        layer.output_observer = remember
    try:
        yield heard
    finally:
        for layer in layers:
            layer.output_observer = None
