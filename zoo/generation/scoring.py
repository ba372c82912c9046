"""Perplexity and token accuracy on a text, token by token; NumPy only."""

import math

import numpy as np

from keras_transformer.zoo.data.plain_text import PlainText, blocks, token_stream
from keras_transformer.zoo.generation.next_token import log_normalizer
from keras_transformer.zoo.generation.text import Model
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer


def summary(
    nats: float, hits: float, num_tokens: int, num_characters: int | None = None
) -> dict[str, float]:
    """Returns loss (nats a token), perplexity, token accuracy and bits per character.

    Args:
        nats: negative log probability of all tokens.
        hits: number of tokens that were the most probable.
        num_tokens: number of tokens of the text.
        num_characters: number of characters of the text; None to leave out bits per character.
    """
    loss = nats / num_tokens
    result = {
        "loss": loss,
        # exp overflows above 709.
        "perplexity": math.exp(min(loss, 700.0)),
        "token_accuracy": hits / num_tokens,
    }
    if num_characters:
        result["bits_per_character"] = nats / math.log(2) / num_characters
    return result


def stepwise_perplexity(
    model: Model, plain: PlainText, tokenizer: Tokenizer, max_length: int
) -> dict[str, float]:
    """Evaluates a decoder on a text like `Perplexity`, with one step for each token of a block."""
    nats, hits, count = 0.0, 0, 0
    for block in blocks(token_stream(plain, tokenizer), max_length):
        cache = model.prefill(block[None, :0])
        for token, target in zip(block[:-1], block[1:], strict=True):
            logits, cache = model.step(np.array([token], np.int32), cache)
            nats += float(log_normalizer(logits)[0]) - float(logits[0, target])
            hits += int(logits[0].argmax() == target)
        count += len(block) - 1
    return summary(nats, hits, count, len(plain.text))
