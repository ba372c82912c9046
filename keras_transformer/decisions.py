"""What is decided about the rounding of a layer after it was built."""

import keras

# Width of the kernels that stay wide among narrower ones.
WIDE_BITS = 8


class RoundingLayer(keras.layers.Layer):
    """A layer that rounds, itself or in its sublayers.

    The effects of `stay_float`, `stay_wide` and `train_range`, which are called after building, are
    saved with the layer.
    """

    stays_float = False
    trains_range = False
    stays_wide = False

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
        for path, (stays_float, trains_range, *stays_wide) in config.get("decided", {}).items():
            one = inside[f"{self.path}{path}"]
            if trains_range:
                one.train_range()
            if stays_float:
                one.stay_float()
            if any(stays_wide):  # a file from before this existed has two values
                one.stay_wide()

    def _decisions(self):
        return [self.stays_float, self.trains_range, self.stays_wide]
