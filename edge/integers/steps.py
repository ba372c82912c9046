"""Generation steps in the integer simulation, as `FileSteps` are of a file."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from keras_transformer.edge.integers.simulation import IntegerGraph
from keras_transformer.edge.runtime.names import (
    DECODE,
    ENCODE,
    PREFILL,
    cache_names,
    memory_names,
)
from keras_transformer.zoo.tokenizers.tokenizer import pad_rows


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """The state of one row after the tokens read so far: the inputs of the next `decode`."""

    position: int
    tensors: Mapping[str, np.ndarray]


class IntegerSteps:
    """Implements `generation.text.Model` with the simulation of a file's signatures.

    Args:
        graphs: the signatures by name, each of one length.
        num_blocks: number of blocks of the decoder.
        vocab_size: V.
    """

    batch_size = 1

    def __init__(
        self, graphs: Mapping[str, IntegerGraph], num_blocks: int, vocab_size: int
    ):  # fmt: skip
        self._graphs, self.vocab_size = graphs, vocab_size
        self._caches, self._memory = cache_names(num_blocks), memory_names(num_blocks)
        shapes = graphs[DECODE].shapes
        self._empty = {name: np.zeros(shapes[name], np.float32) for name in self._caches}
        self.source_length = self.cache_length = shapes[self._caches[0]][1]
        self.has_memory = ENCODE in graphs

    def encode(self, sources: Sequence[np.ndarray]) -> list[Row]:
        return [self._encoded(pad_rows([source], self.source_length)) for source in sources]

    def prefill(self, prompts: np.ndarray) -> list[Row]:
        return [self._filled(prompt) for prompt in prompts]

    def step(self, tokens: np.ndarray, cache: list[Row]) -> tuple[np.ndarray, list[Row]]:
        found = [self._stepped(token, row) for token, row in zip(tokens, cache, strict=True)]
        return np.concatenate([logits for logits, _ in found]), [row for _, row in found]

    def select(self, cache: list[Row], rows: np.ndarray) -> list[Row]:
        return [cache[row] for row in rows]

    def _encoded(self, ids):
        read = self._graphs[ENCODE].run({"ids": ids})
        memory = {name: read[name] for name in self._memory}
        mask = (ids != 0).astype(np.int32)
        return Row(position=0, tensors={**self._empty, **memory, "memory_mask": mask})

    def _filled(self, prompt):
        if not len(prompt):
            return Row(position=0, tensors=self._empty)
        ids, start = pad_rows([prompt], self.cache_length), np.zeros(1, np.int32)
        read = self._graphs[PREFILL].run({"ids": ids, "position": start, **self._empty})
        return Row(position=len(prompt), tensors=read)

    def _stepped(self, token, row):
        read = self._graphs[DECODE].run({
            "ids": np.array([[token]], np.int32), "position": np.array([row.position], np.int32),
            **row.tensors,
        })  # fmt: skip
        tensors = {**row.tensors, **{name: read[name] for name in self._caches}}
        return read["logits"], Row(position=row.position + 1, tensors=tensors)
