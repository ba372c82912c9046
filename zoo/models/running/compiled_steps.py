"""Decoding steps of a Keras model compiled with XLA, and a whole loop of greedy decoding."""

from typing import Any

import numpy as np
from keras import ops

from keras_transformer.zoo.models.fused_config import Config
from keras_transformer.zoo.models.running.decoding_steps import KerasSteps, compiled


class CompiledSteps(KerasSteps):
    """`KerasSteps` compiled with XLA.

    Called from Python, a step of a small model spends more time on overhead than on computation;
    therefore `generate` uses `greedy`, a single program, for greedy decoding. Every new number of
    rows and every new length of a source or a prompt takes seconds to compile.

    Args:
        model, config, length: see `KerasSteps`.
        **options: see `KerasSteps`.
    """

    def __init__(self, model: Any, config: Config, length: int, **options: Any):
        super().__init__(model, config, length, xla=True, **options)
        self._loop = compiled(self._greedy, xla=True)

    def greedy(
        self, tokens: np.ndarray, cache: Any, max_tokens: int, stops: np.ndarray, bias: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Feeds a token to each row and then the most probable ones, until every row has stopped.

        Args:
            tokens: token of each row, int32 (B,).
            cache: cache of B rows.
            max_tokens: maximum number of new tokens of a row, for which the cache has room.
            stops: bool (V,), true where a token ends a row.
            bias: additive bias of the logits of every step, float32 (V,).

        Returns:
            The tokens int32 (B, N), valid up to a row's first stop token; the sum of their log
            probabilities (B,); and the highest logit of each row's last step (B,), or the first
            that was not finite.
        """
        self._check_room(cache["position"], max_tokens)
        ids, steps, log_probabilities, highest = self._loop(
            ops.convert_to_tensor(tokens.astype("int32")),
            ops.convert_to_tensor(cache["position"], "int32"), cache["blocks"], cache["memory"],
            cache["memory_mask"], ops.convert_to_tensor(max_tokens, "int32"),
            ops.convert_to_tensor(stops), ops.convert_to_tensor(bias),
        )  # fmt: skip
        ids = ops.convert_to_numpy(ids)[:, : int(steps)]
        return ids, ops.convert_to_numpy(log_probabilities), ops.convert_to_numpy(highest)

    def _greedy(self, tokens, position, blocks, memory, memory_mask, max_tokens, stops, bias):
        batch = tokens.shape[0]

        def goes_on(step, tokens, blocks, ids, done, total, highest):
            return ops.logical_and(step < max_tokens, ops.logical_not(ops.all(done)))

        def one_more(step, tokens, blocks, ids, done, total, highest):
            logits, blocks = self._next(
                tokens[:, None], position + step, blocks, memory, memory_mask
            )
            logits = logits + bias
            tokens = ops.cast(ops.argmax(logits, axis=-1), "int32")
            best = ops.max(logits, axis=-1)
            kept = ops.logical_or(done, ops.logical_not(ops.isfinite(highest)))
            highest = ops.where(kept, highest, best)
            log_probabilities = best - ops.logsumexp(logits, axis=-1)
            total = total + ops.where(done, ops.zeros_like(total), log_probabilities)
            ids = ops.slice_update(ids, (0, step), tokens[:, None])
            done = ops.logical_or(done, ops.take(stops, tokens))
            return step + 1, tokens, blocks, ids, done, total, highest

        start = (
            ops.convert_to_tensor(0, "int32"), tokens, blocks,
            ops.zeros((batch, self.cache_length), "int32"), ops.zeros((batch,), "bool"),
            ops.zeros((batch,), "float32"), ops.zeros((batch,), "float32"),
        )  # fmt: skip
        step, _, _, ids, _, total, highest = ops.while_loop(goes_on, one_more, start)
        return ids, step, total, highest
