"""Where the channels of a tensor can be scaled without changing a float model.

Between a layer that writes a tensor and the projections that alone read it, each channel may be
divided by a factor, and the kernels' rows of that channel multiplied by it: the outputs stay the
same, but both sides meet other grids when they are rounded.
"""

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np

from keras_transformer.attention import MultiHeadAttention
from keras_transformer.blocks import DecoderBlock, EncoderBlock
from keras_transformer.feedforward import FeedForward
from keras_transformer.low_rank import LowRankProjection
from keras_transformer.quantization import Projection
from keras_transformer.residual import Residual
from keras_transformer.zoo.models.build import all_layers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seam:
    """A tensor of C channels between what writes it and what reads it.

    Attributes:
        name: path of the layer that writes it.
        writers: paths of the weights (..., C) that the tensor is proportional to together.
        readers: the projections that read it, with kernels (C', units). C' is C but between values
            and the output of attention, whose heads may share values.
        shared: numbers of groups, of heads in each, and of channels in a head: C is the first
            times the last, C' the product of all.
        adds: whether what the readers give is added to a residual connection.
        is_stored: whether a device with `row_bits` and `activation_bits` stores the tensor.
    """

    name: str
    writers: tuple[str, ...]
    readers: tuple[Projection, ...]
    shared: tuple[int, int, int]
    adds: bool
    is_stored: bool

    def spread(self, factors: np.ndarray) -> np.ndarray:
        """Returns the factors (C,) for the rows (C',) of the readers' kernels."""
        groups, heads, width = self.shared
        return np.repeat(factors.reshape(groups, 1, width), heads, axis=1).reshape(-1)

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Returns the largest (C,) of the values (C',) that share a channel."""
        return values.reshape(self.shared).max(1).reshape(-1)


def seams(model: keras.Model) -> Iterator[Seam]:
    """Yields the seams of a model's blocks.

    They are (1) between a norm and the projections behind it, where blocks are pre-norm: the output
    of a post-norm is added to the next residual connection as well (Xiao et al. 2023,
    arXiv:2211.10438); (2) between values and attention's output, since attention mixes positions
    and not channels; (3) between the two layers of a feed-forward layer, if its hidden units are
    linear in the first, as gated ones are, or a relu (Nagel et al. 2019, arXiv:1906.04721).
    """
    for block in all_layers(model):
        if isinstance(block, EncoderBlock | DecoderBlock):
            cross = getattr(block, "cross_attention", None)
            for residual in filter(None, (block.attention, cross)):
                yield from _of_attention(residual, is_cross=residual is cross)
            yield from _of_feed_forward(block.feed_forward)


def _of_attention(residual: Residual, *, is_cross: bool) -> Iterator[Seam]:
    layer: MultiHeadAttention = residual.sublayer
    own = () if is_cross else (layer.key, layer.value)
    yield from _behind_norm(residual, (layer.query, *own), is_stored=layer.is_plain)
    groups = layer.num_key_value_heads
    shared = groups, layer.num_heads // groups, layer.width
    yield _between(layer.value, layer.output_projection, shared, is_stored=layer.is_plain)


def _of_feed_forward(residual: Residual) -> Iterator[Seam]:
    layer: FeedForward = residual.sublayer
    readers = (layer.up, layer.gate) if layer.gated else (layer.up,)
    yield from _behind_norm(residual, readers, is_stored=not layer.gated)
    if layer.gated or layer.activation == "relu":
        shared = (1, 1, layer.intermediate_dim)
        yield _between(layer.up, layer.down, shared, is_stored=not layer.gated)


def _behind_norm(
    residual: Residual, readers: tuple[Projection, ...], *, is_stored: bool
) -> Iterator[Seam]:
    norm = residual.norm
    if residual.pre_norm and norm is not None:
        writers = (norm.gamma.path, norm.beta.path) if norm.has_beta else (norm.gamma.path,)
        yield Seam(
            name=norm.path, writers=writers, readers=tuple(map(_first, readers)),
            shared=(1, 1, norm.gamma.shape[0]), adds=False, is_stored=is_stored,
        )  # fmt: skip


def _between(writer, reader, shared: tuple[int, int, int], *, is_stored: bool) -> Seam:
    writer = writer.expand if isinstance(writer, LowRankProjection) else writer
    biases = (writer.bias.path,) if writer.use_bias else ()
    return Seam(
        name=writer.path, writers=(writer.kernel.path, *biases), readers=(_first(reader),),
        shared=shared, adds=True, is_stored=is_stored,
    )  # fmt: skip


def _first(projection) -> Projection:
    """The projection that reads the inputs, also of low-rank factors."""
    return projection.reduce if isinstance(projection, LowRankProjection) else projection
