"""The values of generation: the interface of a model, the decoding options and the result."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np

from keras_transformer.zoo.errors import InputError

_LEAST = {"max_tokens": 1, "beams": 1, "top_k": 0, "no_repeat_ngram": 0, "seed": 0}
# length ** length_penalty stays finite for every length.
_MAX_LENGTH_PENALTY = 10


class Steps(Protocol):
    """The interface of a model for generation: one step over a cache.

    An implementation may also have a method `greedy`, the whole loop, see `CompiledSteps`.

    Attributes:
        vocab_size: number of token ids, V.
    """

    vocab_size: int

    def step(self, tokens: np.ndarray, cache: Any) -> tuple[np.ndarray, Any]:
        """Feeds one token to each row.

        Args:
            tokens: token of each row, int32 (B,).
            cache: cache of B rows.

        Returns:
            The logits of the next token, float32 (B, V), and the cache including the tokens.
        """

    def select(self, cache: Any, rows: np.ndarray) -> Any:
        """Returns the cache of the rows, int64 (B',), in their order; a row may occur twice."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoding:
    """Decoding options: how the next token is chosen.

    Attributes:
        max_tokens: maximum number of new tokens, the stop token included.
        beams: number of unfinished hypotheses of beam search; 1 for no search.
        length_penalty: exponent of the length in the score of beam search, log probability /
            length ** length_penalty; the length includes the stop token (Wu et al. 2016, section 7,
            without its constant).
        temperature: divisor of the logits for sampling; 0 for the most probable token.
        top_k: number of most probable tokens to sample from; 0 for all.
        top_p: probability that the smallest set of most probable tokens to sample from must reach
            (nucleus sampling, Holtzman et al. 2020, section 3.1), after `top_k`.
        repetition_penalty: divisor of the logits of earlier tokens where they are positive, and
            factor where they are negative (Keskar et al. 2019, section 4.1, which divides both,
            and so raises a negative logit).
        no_repeat_ngram: length of token n-grams that must not occur twice; 0 for no such rule.
        seed: seed of sampling.
    """

    max_tokens: int = 128
    beams: int = 1
    length_penalty: float = 1.0
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    seed: int = 0

    @classmethod
    def of(cls, **options: Any) -> Self:
        """Creates the options from keyword arguments.

        Raises:
            TypeError: if a name is unknown; the message lists the known ones.
            InputError: if a value is impossible.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name, value in options.items():
            if name not in known:
                raise TypeError(
                    f"Expected options of generation among {', '.join(known)}, "
                    f"got {name}={value!r}."
                )
        return cls(**options)

    @property
    def is_plain_greedy(self) -> bool:
        """Whether the most probable token is always taken, regardless of the history."""
        return (
            self.beams == 1
            and self.temperature == 0
            and self.repetition_penalty == 1
            and self.no_repeat_ngram == 0
        )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int:
                check_integer(field.name, value, least=_LEAST[field.name])
            elif type(value) not in (int, float) or not abs(value) < float("inf"):
                raise InputError(
                    f"Expected {field.name} to be a finite number, got {field.name}={value!r}."
                )
        if abs(self.length_penalty) > _MAX_LENGTH_PENALTY:
            raise InputError(
                f"Expected length_penalty to be from -{_MAX_LENGTH_PENALTY} to "
                f"{_MAX_LENGTH_PENALTY}, got length_penalty={self.length_penalty}."
            )
        if self.temperature < 0:
            raise InputError(
                f"Expected temperature not to be negative, got temperature={self.temperature}."
            )
        if not 0 < self.top_p <= 1:
            raise InputError(f"Expected top_p to be above 0 and at most 1, got top_p={self.top_p}.")
        if self.repetition_penalty <= 0:
            raise InputError(
                "Expected repetition_penalty to be above 0, "
                f"got repetition_penalty={self.repetition_penalty}."
            )
        if self.beams > 1 and self.temperature > 0:
            raise InputError(
                "Expected beams to be 1 where tokens are sampled, "
                f"got beams={self.beams}, temperature={self.temperature}."
            )
        if (self.top_k or self.top_p < 1) and self.temperature == 0:
            raise InputError(
                "Expected a temperature above 0 with top_k or top_p, "
                f"got temperature=0, top_k={self.top_k}, top_p={self.top_p}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Generated:
    """The new tokens of one row.

    Attributes:
        ids: int32 (N,), a stop token not included, the tokens of a stop text included.
        log_probability: of the tokens, the stop token included, under the model's own
            distribution over the tokens that are not forbidden: neither penalties nor temperature
            change it.
        finished: whether a stop token or a stop text ended the row.
    """

    ids: np.ndarray
    log_probability: float
    finished: bool


def check_integer(name: str, value: Any, *, least: int) -> None:
    """Raises InputError if the value is not an integer of at least `least`."""
    if type(value) is not int or value < least:
        raise InputError(
            f"Expected {name} to be an integer of at least {least}, got {name}={value!r}."
        )


def check_no_decoding(options: Mapping[str, Any]) -> None:
    """Raises InputError if there are decoding options, of a model that generates no text."""
    for name, value in options.items():
        raise InputError(
            f"Expected {name} only for a model that generates text, got {name}={value!r}."
        )
