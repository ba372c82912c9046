"""Peaks of devices, by which the speed of a run is measured."""

import keras

# Others need not have it.
if keras.config.backend() == "jax":
    import jax

# Beginning of JAX's name of a device -> multiplications and additions a second of its dense
# matrix products in bfloat16, by its maker.
_PEAKS = {
    "NVIDIA A100": 312e12, "NVIDIA H100 PCIe": 756e12, "NVIDIA H100": 989e12,
    "NVIDIA H200": 989e12, "NVIDIA L4": 121e12, "NVIDIA L40S": 362e12, "TPU v4": 275e12,
    "TPU v5 lite": 197e12, "TPU v5p": 459e12,
}  # fmt: skip


def known_peak(dtype: str) -> float | None:
    """Returns the peak (FLOP/s) of all devices of a run together; None where it is not known.

    Args:
        dtype: the recipe's option of that name; peaks of `mixed_bfloat16` alone are known.
    """
    if keras.config.backend() != "jax" or dtype != "mixed_bfloat16":
        return None
    kind = jax.devices()[0].device_kind
    for name in sorted(_PEAKS, key=len, reverse=True):
        if kind.startswith(name):
            return jax.device_count() * _PEAKS[name]
    return None
