"""Losses of vectors that are compared by their cosines."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_transformer.zoo.errors import InputError

# Cosines are at most 1, and their softmax would hardly differ.
SCALE = 20.0
_NEVER = -1e9


@keras.saving.register_keras_serializable(package="keras_transformer")
class CosineLoss(keras.losses.Loss):
    """Mean squared error of the cosines of pairs of vectors.

    Args:
        lowest, highest: scores that cosines of 0 and of 1 stand for.
        widths: first numbers of a vector of which each alone is to do, see `over_widths`.
    """

    def __init__(self, lowest=0.0, highest=1.0, widths=(), name="cosine_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.widths = tuple(widths)
        self.lowest = lowest
        self.highest = highest

    def call(self, y_true, y_pred):
        """The loss of (B,) scores and (2 B, D) vectors: all first ones, then all second ones."""
        scores = ops.cast(ops.reshape(y_true, (-1,)), "float32")
        expected = (scores - self.lowest) / (self.highest - self.lowest)

        def loss(vectors):
            first, second = ops.split(unit(vectors), 2)
            return ops.mean(ops.square(ops.sum(first * second, axis=-1) - expected))

        return over_widths(ops.cast(y_pred, "float32"), self.widths, loss)

    def get_config(self):
        own = {name: getattr(self, name) for name in ("lowest", "highest", "widths")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="keras_transformer")
class RankingLoss(keras.losses.Loss):
    """Multiple negatives ranking: each text is to find its own match in the batch.

    The cross entropy of a softmax over the cosines with all second texts, times 20 (Henderson et
    al. 2017, arXiv:1705.00652, section 4.4).

    Args:
        widths: first numbers of a vector of which each alone is to do, see `over_widths`; empty for
            the whole vector.
    """

    def __init__(self, widths: Sequence[int] = (), name="ranking_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.widths = tuple(widths)

    def call(self, y_true, y_pred):
        """The loss of vectors (2 B, D) or (3 B, D): first texts, matches, and hard negatives.

        Texts whose matches have the same id in `y_true` (B,) are no negatives of each other.
        """
        ids = ops.reshape(y_true, (-1,))
        count = ops.shape(ids)[0]
        vectors = ops.cast(y_pred, "float32")
        others = ops.equal(ids[:, None], ids[None, :])
        others = ops.logical_and(others, ops.logical_not(ops.cast(ops.eye(count), "bool")))
        mask = ops.where(others, _NEVER, 0.0)
        negatives = ops.shape(vectors)[0] - 2 * count
        mask = ops.concatenate([mask, ops.zeros((count, negatives))], axis=1)

        def loss(part):
            part = unit(part)
            logits = SCALE * ops.matmul(part[:count], ops.transpose(part[count:])) + mask
            return -ops.mean(ops.diagonal(ops.log_softmax(logits, axis=-1)))

        return over_widths(vectors, self.widths, loss)

    def get_config(self):
        return {**super().get_config(), "widths": self.widths}


def contrastive_loss(ids: Any, first: Any, second: Any, scale: Any) -> Any:
    """The mean cross entropy of finding each row's match among the others, in both directions.

    Radford et al. 2021, CLIP, arXiv:2103.00020, figure 3; van den Oord et al. 2018, InfoNCE,
    arXiv:1807.03748, section 2.3.

    Args:
        ids: (B, 2) ids of the rows of each pair; pairs with one in common are no negatives of each
            other.
        first, second: vectors (B, D) of length 1.
        scale: factor of their products, which makes logits of them: the inverse temperature.
    """
    count = ops.shape(ids)[0]
    same = ops.any(ops.equal(ids[:, None], ids[None, :]), axis=-1)
    others = ops.logical_and(same, ops.logical_not(ops.cast(ops.eye(count), "bool")))
    logits = scale * ops.matmul(first, ops.transpose(second)) + ops.where(others, _NEVER, 0.0)
    found = [
        -ops.mean(ops.diagonal(ops.log_softmax(one, axis=-1)))
        for one in (logits, ops.transpose(logits))
    ]
    return sum(found) / 2


def over_widths(vectors: Any, widths: Sequence[int], loss: Callable[[Any], Any]) -> Any:
    """The mean of a loss of the first numbers of vectors, for each width and for all of them.

    Kusupati et al. 2022, Matryoshka representation learning, arXiv:2205.13147, section 3.

    Args:
        vectors: (..., D).
        widths: numbers of the first ones, each at most D.
        loss: function of the shortened vectors.

    Raises:
        InputError: if a width is above D.
    """
    whole = vectors.shape[-1]
    if max(widths, default=0) > whole:
        raise InputError(
            f"Expected widths to be at most the {whole} numbers of a vector, got "
            f"widths={','.join(map(str, widths))}."
        )
    parts = [vectors[..., :width] for width in widths if width != whole] + [vectors]
    return sum(loss(part) for part in parts) / len(parts)


def unit(vectors):
    """Vectors (..., D) divided by their length, of which a square root of 0 has no gradient."""
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, 1e-12))
