"""Names of a file's signatures and of their tensors."""

from collections.abc import Sequence

from keras_transformer.zoo.errors import InputError

PREDICT, ENCODE, PREFILL, DECODE = "predict", "encode", "prefill", "decode"
# Before the name of a cache that was written to, where it may not be that of the one it was.
NEW = "new_"
# What LiteRT-LM calls the tokens, their positions, and where they attend.
TOKENS, INPUT_POS, MASK = "tokens", "input_pos", "mask"
# What `predict` gives, by the name of its output; logits are a regression's numbers too.
LOGITS, PROBABILITIES, EMBEDDING = "output", "probabilities", "embedding"
# What `predict` reads where the tokenizer is in the graph.
TEXTS = "texts"


def signature_name(kind: str, length: int, lengths: Sequence[int]) -> str:
    """Returns `encode` for the longest of the lengths, else such as `encode_16`."""
    return kind if length == max(lengths) else f"{kind}_{length}"


def shortest_fit(lengths: Sequence[int], num_tokens: int) -> int:
    """Returns the first of ascending lengths that holds so many tokens.

    Raises:
        InputError: none does.
    """
    for length in lengths:
        if length >= num_tokens:
            return length
    raise InputError(f"Expected at most the file's {lengths[-1]} tokens, got {num_tokens}.")


def cache_names(num_blocks: int) -> list[str]:
    """Names of the caches of self attention: keys and values of each block in turn."""
    return [f"kv_cache_{kind}_{block}" for block in range(num_blocks) for kind in "kv"]


def memory_names(num_blocks: int) -> list[str]:
    """Names of the projected memory: keys and values of each block's cross attention in turn."""
    return [f"memory_{kind}_{block}" for block in range(num_blocks) for kind in "kv"]
