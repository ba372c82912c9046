"""Generation steps of a file: its signatures, run with only NumPy and ai_edge_litert."""

from collections.abc import Sequence

import numpy as np

from keras_transformer.edge.runtime.decode_graph import DecodeGraph, Row
from keras_transformer.edge.runtime.engines import Claim, Engines
from keras_transformer.edge.runtime.names import (
    ENCODE,
    MEMORY_MASK,
    PREFILL,
    WAVEFORM,
    memory_names,
    shortest_fit,
    signature_name,
)
from keras_transformer.zoo.tokenizers.tokenizer import pad_rows


class FileSteps:
    """Implements `generation.text.Model` with a file's signatures.

    A file has a batch size of 1, so the cache of B rows is a list of B rows of the graph, and a
    selection of them a list of references. Threads may share it, each with caches of its own.

    Args:
        engines: engines of the file; a text stays with the one that read its source or prompt.
        vocab_size: V.
        num_blocks: number of blocks of the decoder.
        lengths: input lengths in tokens, ascending; the last is that of the caches.
    """

    batch_size = 1

    def __init__(
        self, engines: Engines[DecodeGraph], vocab_size: int, num_blocks: int,
        lengths: Sequence[int],
    ):  # fmt: skip
        self.vocab_size = vocab_size
        self.lengths = list(lengths)
        self.source_length = self.cache_length = self.lengths[-1]
        self.has_memory = ENCODE in engines.claim().engine.interpreter.get_signature_list()
        self._engines = engines
        self._memory_names = memory_names(num_blocks) if self.has_memory else []

    def encode(self, sources: Sequence[np.ndarray]) -> list[Row]:
        return [self._encoded(source, self._engines.claim()) for source in sources]

    def prefill(self, prompts: np.ndarray) -> list[Row]:
        return [self._filled(prompt, self._engines.claim()) for prompt in prompts]

    def step(self, tokens: np.ndarray, cache: list[Row]) -> tuple[np.ndarray, list[Row]]:
        logits, longer = np.empty((len(tokens), self.vocab_size), np.float32), []
        for i, (token, row) in enumerate(zip(tokens, cache, strict=True)):
            row.claim.check()
            logits[i], row = row.claim.engine.step(token, row)
            longer.append(row)
        return logits, longer

    def select(self, cache: list[Row], rows: np.ndarray) -> list[Row]:
        return [cache[row] for row in rows]

    def reader_length(self, num_tokens: int) -> int:
        """Returns the shortest of the file's lengths that fits a number of tokens."""
        return shortest_fit(self.lengths, num_tokens)

    def _encoded(self, source: np.ndarray, claim: Claim[DecodeGraph]) -> Row:
        if source.dtype.kind == "f":
            memory = claim.engine.run(ENCODE, {WAVEFORM: source[None]})
            return Row(0, memory, claim.engine.empty, claim)
        length = self.reader_length(len(source))
        name = signature_name(ENCODE, length, self.lengths)
        read = claim.engine.run(name, {"ids": pad_rows([source], length)})
        memory = {name: self._padded(read[name]) for name in self._memory_names}
        memory[MEMORY_MASK] = pad_rows([source != 0], self.source_length)
        return Row(0, memory, claim.engine.empty, claim)

    def _padded(self, memory: np.ndarray) -> np.ndarray:
        """Keys or values (1, S, KV, K), padded with zeros to the memory's full length."""
        width = self.source_length - memory.shape[1]
        return np.pad(memory, ((0, 0), (0, width), (0, 0), (0, 0))) if width else memory

    def _filled(self, prompt: np.ndarray, claim: Claim[DecodeGraph]) -> Row:
        empty = claim.engine.empty
        if not len(prompt):
            return Row(0, {}, empty, claim)
        length = self.reader_length(len(prompt))
        # Padding is read too, but `decode` attends to no later position and overwrites each in
        # turn.
        read = {"ids": pad_rows([prompt], length), "position": np.zeros(1, np.int32), **empty}
        name = signature_name(PREFILL, length, self.lengths)
        return Row(len(prompt), {}, claim.engine.run(name, read), claim)
