"""A file's side of generation: its signatures, with NumPy and ai_edge_litert alone."""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from keras_transformer.edge.names import (
    DECODE,
    ENCODE,
    PREFILL,
    cache_names,
    memory_names,
    shortest_fit,
    signature_name,
)
from keras_transformer.zoo.tokenizer import pad_rows


class FileSteps:
    """Reads and writes with a file's signatures, see `text_generation.Model`.

    A file has a batch of 1, so that the cache of B rows is a list of B dictionaries: `position`
    and the tensors that `decode` reads, by name. No tensor is ever changed in place, which makes
    a selection of rows a list of references.

    Args:
        interpreter: of the file.
        vocab_size: V.
        num_blocks: of the decoder.
        lengths: tokens of the inputs, ascending; the last is that of the caches.
    """

    batch_size = 1

    def __init__(
        self, interpreter: Interpreter, vocab_size: int, num_blocks: int, lengths: Sequence[int]
    ):
        self.vocab_size = vocab_size
        self.lengths = list(lengths)
        self.source_length = self.cache_length = self.lengths[-1]
        known = interpreter.get_signature_list()
        self.has_memory = ENCODE in known
        kind = ENCODE if self.has_memory else PREFILL
        self._readers = {
            length: interpreter.get_signature_runner(signature_name(kind, length, lengths))
            for length in lengths
        }
        self._decode = interpreter.get_signature_runner(DECODE)
        shapes = self._decode.get_input_details()
        self._empty = {
            name: np.zeros(shapes[name]["shape"], shapes[name]["dtype"])
            for name in cache_names(num_blocks)
        }
        self._memory_names = memory_names(num_blocks) if self.has_memory else []

    def encode(self, sources: Sequence[np.ndarray]) -> list[dict]:
        return [self._encoded(source) for source in sources]

    def prefill(self, prompts: np.ndarray) -> list[dict]:
        return [self._filled(prompt) for prompt in prompts]

    def step(self, tokens: np.ndarray, cache: list[dict]) -> tuple[np.ndarray, list[dict]]:
        logits, new = np.empty((len(tokens), self.vocab_size), np.float32), []
        for row, (token, state) in enumerate(zip(tokens, cache, strict=True)):
            position = state["position"]
            tensors = {name: value for name, value in state.items() if name != "position"}
            outputs = self._decode(
                ids=np.array([[token]], np.int32), position=np.array([position], np.int32),
                **tensors,
            )  # fmt: skip
            logits[row] = outputs.pop("logits")[0]
            new.append({**state, **outputs, "position": position + 1})
        return logits, new

    def select(self, cache: list[dict], rows: np.ndarray) -> list[dict]:
        return [cache[row] for row in rows]

    def reader_length(self, num_tokens: int) -> int:
        """Returns the shortest of the file's lengths that holds so many tokens."""
        return shortest_fit(self.lengths, num_tokens)

    def _encoded(self, source: np.ndarray) -> dict:
        length = self.reader_length(len(source))
        read = self._readers[length](ids=pad_rows([source], length))
        mask = pad_rows([source != 0], self.source_length)
        memory = {name: self._padded(read[name]) for name in self._memory_names}
        return {"position": 0, **self._empty, **memory, "memory_mask": mask}

    def _padded(self, memory: np.ndarray) -> np.ndarray:
        """Keys or values (1, S, KV, K) with zeros to the memory's full length."""
        width = self.source_length - memory.shape[1]
        return np.pad(memory, ((0, 0), (0, width), (0, 0), (0, 0))) if width else memory

    def _filled(self, prompt: np.ndarray) -> dict:
        if not len(prompt):
            return {"position": 0, **self._empty}
        length = self.reader_length(len(prompt))
        ids = pad_rows([prompt], length)
        # Padding is read too, but `decode` sees no later position and writes over each in turn.
        caches = self._readers[length](ids=ids, position=np.zeros(1, np.int32), **self._empty)
        return {"position": len(prompt), **caches}
