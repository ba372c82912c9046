"""Losses of sets of labels."""

from collections.abc import Sequence

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_transformer")
class LabelSetLoss(keras.losses.Loss):
    """Mean binary cross entropy in nats of targets (B, labels) from 0 to 1 and logits (B, labels).

    Args:
        label_smoothing: fraction of each target that is spread over both values (Szegedy et al.
            2016, arXiv:1512.00567, section 7).
        weights: weight of a label where a row has it, one for each label; empty for 1.
        focal: exponent of 1 - p, the factor of a label of which what is right has the probability p
            (Lin et al. 2017, arXiv:1708.02002, section 3.2); 0 for the cross entropy as it is.
    """

    def __init__(
        self, label_smoothing: float = 0.0, weights: Sequence[float] = (), focal: float = 0.0,
        name="label_set_loss", **kwargs,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing
        self.weights = tuple(weights)
        self.focal = focal

    def call(self, y_true, y_pred):
        logits = ops.cast(y_pred, "float32")
        targets = ops.cast(y_true, "float32")
        smooth = targets * (1.0 - self.label_smoothing) + self.label_smoothing / 2
        # -log p and -log(1 - p), which a large logit leaves finite.
        nats = smooth * ops.softplus(-logits) + (1.0 - smooth) * ops.softplus(logits)
        if self.focal:
            # An exponent below 1 has no gradient at 0.
            missing = targets * ops.sigmoid(-logits) + (1.0 - targets) * ops.sigmoid(logits)
            nats = nats * ops.maximum(missing, 1e-6) ** self.focal
        if self.weights:
            weights = ops.convert_to_tensor(self.weights, "float32")
            nats = nats * (1.0 + targets * (weights - 1.0))
        return ops.mean(nats)

    def get_config(self):
        own = {name: getattr(self, name) for name in ("label_smoothing", "weights", "focal")}
        return {**super().get_config(), **own}
