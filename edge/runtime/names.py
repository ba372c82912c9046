"""Names of a file's signatures and of their tensors."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from keras_transformer.zoo.errors import InputError

PREDICT, ENCODE, PREFILL, DECODE = "predict", "encode", "prefill", "decode"
# Prefix of the name of an output cache where it must differ from that of the input cache.
NEW = "new_"
# Name of the input of `encode` where sources are sounds.
WAVEFORM = "waveform"
# Name of the input of `decode` that tells a source from its padding.
MEMORY_MASK = "memory_mask"
# LiteRT-LM's names of the tokens, their positions and the attention mask.
TOKENS, INPUT_POS, MASK = "tokens", "input_pos", "mask"
# Names of the output of `predict`; logits may also be a regression's numbers.
LOGITS, PROBABILITIES, EMBEDDING = "output", "probabilities", "embedding"
# Name of the input of `predict` where the tokenizer is in the graph.
TEXTS = "texts"


def signature_name(kind: str, length: int, lengths: Sequence[int]) -> str:
    """Returns the signature's name, `encode` for the longest length, else such as `encode_16`."""
    return kind if length == max(lengths) else f"{kind}_{length}"


def shortest_fit(lengths: Sequence[int], num_tokens: int) -> int:
    """Returns the first of ascending lengths that fits a number of tokens.

    Raises:
        InputError: if none does.
    """
    for length in lengths:
        if length >= num_tokens:
            return length
    raise InputError(f"Expected at most the file's {lengths[-1]} tokens, got {num_tokens}.")


def unit_of(description: Mapping[str, Any]) -> str:
    """Returns what a file's lengths count: `tokens` of a text, or `positions`, such as patches."""
    kinds = description.get("modality", "text").split("+")
    return "tokens" if {"text", "speech"} & set(kinds) else "positions"


def run_of(description: Mapping[str, Any], signatures: Container[str]) -> tuple[str, int]:
    """Returns the signature that measures a file, and the tokens that one call of it reads.

    They are `decode` and 1 of a generative model, else `predict` and the full length.
    """
    return (DECODE, 1) if DECODE in signatures else (PREDICT, description["max_length"])


def vector_width(description: Mapping[str, Any]) -> int | None:
    """Returns the width of a model's vectors, as a file's description says; None if it does not."""
    return description["task"].get("projection") or description["model"].get("hidden_dim")


def cache_names(num_blocks: int) -> list[str]:
    """Names of the self-attention caches: keys and values of each block in turn."""
    return [f"kv_cache_{kind}_{block}" for block in range(num_blocks) for kind in "kv"]


def memory_names(num_blocks: int) -> list[str]:
    """Names of the projected memory: keys and values of each block's cross-attention in turn."""
    return [f"memory_{kind}_{block}" for block in range(num_blocks) for kind in "kv"]
