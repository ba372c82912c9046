"""Generation steps of a LiteRT-LM graph, run in LiteRT's own interpreter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.runtime.names import DECODE, INPUT_POS, MASK, PREFILL, TOKENS
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.tokenizer import pad_rows

# The executor's mask value where a token does not attend.
MASKED = -0.7 * float(np.finfo("float32").max)
# The caches of one row, and the number of tokens in them.
Row = tuple[Mapping[str, Any], int]


class LmSteps:
    """Implements `generation.text.Model` with the signatures of `lm_signatures`.

    Args:
        flatbuffer: the graph.
    """

    batch_size = 1

    def __init__(self, flatbuffer: bytes):
        self._interpreter = Interpreter(model_content=flatbuffer)
        names = [name for name in self._interpreter.get_signature_list() if name != DECODE]
        self._lengths = sorted(int(name.removeprefix(f"{PREFILL}_")) for name in names)
        decode = self._interpreter.get_signature_runner(DECODE)
        shapes = {name: detail["shape"] for name, detail in decode.get_input_details().items()}
        self.cache_length = int(shapes[MASK][-1])
        self.vocab_size = int(decode.get_output_details()["logits"]["shape"][-1])
        self._empty = {
            name: np.zeros(shape, "float32") for name, shape in shapes.items()
            if name not in (TOKENS, INPUT_POS, MASK)
        }  # fmt: skip

    def prefill(self, prompts: np.ndarray) -> list[Row]:
        return [self._filled(prompt) for prompt in prompts]

    def step(self, tokens: np.ndarray, cache: list[Row]) -> tuple[np.ndarray, list[Row]]:
        made = [self._fed(DECODE, tokens[i : i + 1], *row) for i, row in enumerate(cache)]
        logits = np.stack([outputs.pop("logits")[0, 0] for outputs, _ in made])
        return logits, made

    def select(self, cache: list[Row], rows: np.ndarray) -> list[Row]:
        return [cache[row] for row in rows]

    def _filled(self, prompt):
        """Reads a prompt by the shortest prefill that holds it, or in pieces."""
        caches, position = self._empty, 0
        while position < len(prompt):
            room, left = self.cache_length - position, len(prompt) - position
            fitting = [length for length in self._lengths if length <= room]
            length = min((n for n in fitting if n >= left), default=max(fitting, default=1))
            name = f"{PREFILL}_{length}" if fitting else DECODE
            piece = prompt[position : position + length]
            caches, position = self._fed(name, piece, caches, position, length)
            caches.pop("logits", None)
        return caches, position

    def _fed(self, signature, tokens, caches, position, length=1):
        """The outputs of a signature for tokens after those in the caches, and the new length."""
        runner = self._interpreter.get_signature_runner(signature)
        behind = position + len(tokens)
        if behind > self.cache_length:
            raise InputError(
                f"Expected positions below the cache's {self.cache_length}, got T={len(tokens)} "
                f"from position={position}."
            )
        places = np.arange(position, behind, dtype="int32")
        mask = np.full((1, 1, length, self.cache_length), MASKED, "float32")
        for row, place in enumerate(places):
            mask[..., row, : place + 1] = 0
        inputs = {
            TOKENS: pad_rows([tokens], length), INPUT_POS: pad_rows([places], length)[0],
            MASK: mask,
        }  # fmt: skip
        return runner(**inputs, **caches), behind
