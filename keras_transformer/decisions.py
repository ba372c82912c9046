"""What is decided about the rounding of a layer after it was built."""

import keras

# Width of the kernels that stay wide among narrower ones.
WIDE_BITS = 8
_DECISIONS = ("stays_float", "trains_range", "stays_wide", "stays_dynamic")


class RoundingLayer(keras.layers.Layer):
    """A layer that rounds, itself or in its sublayers.

    The effects of `stay_float`, `stay_wide`, `stay_dynamic` and `train_range`, which are called
    after building, are saved with the layer.
    """

    stays_float = False
    trains_range = False
    stays_wide = False
    stays_dynamic = False

    def stay_dynamic(self):
        """Makes a matmul with `row_bits` round its inputs row by row permanently.

        A device multiplies integers only where both the inputs and the outputs are stored.
        """
        self.stays_dynamic = True

    def get_build_config(self):
        decided = {
            one.path.removeprefix(self.path): decisions
            for one in self._flatten_layers()
            if isinstance(one, RoundingLayer) and any(decisions := one._decisions())
        }
        return {**(super().get_build_config() or {}), "decided": decided}

    def build_from_config(self, config):
        super().build_from_config(config)
        inside = {one.path: one for one in self._flatten_layers()}
        for path, decisions in config.get("decided", {}).items():
            one = inside[f"{self.path}{path}"]
            # A file of an earlier version has the first two or three of the values.
            decided = dict(zip(_DECISIONS, decisions, strict=False))
            if decided["trains_range"]:
                one.train_range()
            if decided["stays_float"]:
                one.stay_float()
            if decided.get("stays_wide"):
                one.stay_wide()
            if decided.get("stays_dynamic"):
                one.stay_dynamic()

    def _decisions(self):
        return [getattr(self, name) for name in _DECISIONS]
