"""Low-rank factorization of kernels by truncated singular value decomposition.

Of all factors of a given rank, these approximate the kernel best (Eckart and Young 1936).
"""

from collections.abc import Mapping

import numpy as np

from keras_transformer.low_rank import is_smaller
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig

_KERNEL = "/kernel"


def rank_of_energy(weights: Mapping[str, np.ndarray], energy: float) -> int:
    """Returns the smallest rank at which the kernels together keep a share of their energy.

    A kernel's energy is the sum of its squared singular values. All kernels get the same rank;
    those that it would not make smaller stay whole.

    Raises:
        InputError: if the share is not between 0 and 1, or no rank that makes a kernel smaller
            keeps it.
    """
    if not 0 < energy < 1:
        raise InputError(f"Expected energy to be above 0 and below 1, got energy={energy}.")
    kernels = _kernels(weights)
    spectra = [np.linalg.svd(kernel, compute_uv=False) ** 2 for kernel in kernels]
    total = sum(spectrum.sum() for spectrum in spectra)
    for rank in range(1, _largest_rank(weights) + 1):
        kept = sum(
            spectrum[:rank].sum() if is_smaller(rank, *kernel.shape) else spectrum.sum()
            for kernel, spectrum in zip(kernels, spectra, strict=True)
        )
        if kept >= energy * total:
            return rank
    raise InputError(
        f"Expected energy to be at most the {kept / total:.4f} that rank {rank} keeps, the largest "
        f"that makes a kernel smaller, got energy={energy}."
    )


def factorized(
    config: TransformerConfig, weights: Mapping[str, np.ndarray], rank: int
) -> tuple[TransformerConfig, dict[str, np.ndarray]]:
    """Returns the config and the weights of a model with projections factorized to a rank.

    Each factor gets the roots of the singular values, so that both have the same scale.

    Args:
        config: config of the weights, without factors.
        weights: arrays by weight path.
        rank: rank for every kernel that it makes smaller.

    Raises:
        InputError: if the rank makes no kernel smaller.
    """
    largest = _largest_rank(weights)
    if not 1 <= rank <= largest:
        raise InputError(
            f"Expected rank to be from 1 to {largest}, the largest that makes a kernel smaller, "
            f"got rank={rank}."
        )
    result = dict(weights)
    for path, kernel in weights.items():
        if not _is_matrix(path, kernel) or not is_smaller(rank, *kernel.shape):
            continue
        layer = path.removesuffix(_KERNEL)
        left, values, right = np.linalg.svd(result.pop(path).astype("float64"))
        roots = np.sqrt(values[:rank])
        result[f"{layer}/reduce/kernel"] = (left[:, :rank] * roots).astype("float32")
        result[f"{layer}/expand/kernel"] = (roots[:, None] * right[:rank]).astype("float32")
        if f"{layer}/bias" in result:
            result[f"{layer}/expand/bias"] = result.pop(f"{layer}/bias")
    return config.replace(rank=rank), result


def _kernels(weights: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [value.astype("float64") for path, value in weights.items() if _is_matrix(path, value)]


def _is_matrix(path: str, weight: np.ndarray) -> bool:
    """Whether a weight is the kernel of a projection; those of convolutions have four axes."""
    return path.endswith(_KERNEL) and weight.ndim == 2


def _largest_rank(weights: Mapping[str, np.ndarray]) -> int:
    """The largest rank that makes a kernel smaller."""
    shapes = [kernel.shape for kernel in _kernels(weights)]
    return max((inputs * units - 1) // (inputs + units) for inputs, units in shapes)
