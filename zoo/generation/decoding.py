"""What generation is made of, as values: the model's side, the choices, and the result."""

import dataclasses
from typing import Any, Protocol, Self

import numpy as np

from keras_transformer.zoo.errors import InputError

_LEAST = {"max_tokens": 1, "beams": 1, "top_k": 0, "no_repeat_ngram": 0, "seed": 0}
# length ** length_penalty stays a finite number for every length.
_MAX_LENGTH_PENALTY = 10


class Steps(Protocol):
    """The model's side of generation: one step over a cache.

    A model's side may have a method `greedy` besides, see `CompiledSteps`: the whole loop.

    Attributes:
        vocab_size: V.
    """

    vocab_size: int

    def step(self, tokens: np.ndarray, cache: Any) -> tuple[np.ndarray, Any]:
        """Feeds one token to each row.

        Args:
            tokens: int32 (B,).
            cache: of B rows.

        Returns:
            The logits of the next token, float32 (B, V), and the cache with the tokens in it.
        """

    def select(self, cache: Any, rows: np.ndarray) -> Any:
        """Returns the cache of some rows, int64 (B',), in their order; a row may occur twice."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoding:
    """How the next token is chosen.

    Attributes:
        max_tokens: new tokens at most, the stop token included.
        beams: hypotheses that beam search keeps alive; 1 for no search.
        length_penalty: beam search compares log probability / length ** length_penalty, where the
            length counts the stop token (Wu et al. 2016, section 7, without its constant).
        temperature: 0 for the most probable token, above 0 for a sample from the distribution of
            logits / temperature.
        top_k: sample among this many most probable tokens; 0 for all.
        top_p: sample among the fewest most probable tokens that hold this much probability
            (nucleus sampling, Holtzman et al. 2020, section 3.1), after `top_k`.
        repetition_penalty: divides the logits of earlier tokens where they are positive and
            multiplies them where they are negative (Keskar et al. 2019, section 4.1, which divides
            both, so that a negative logit would gain).
        no_repeat_ngram: no run of this many tokens occurs twice; 0 for no such rule.
        seed: of sampling.
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
        """Makes it from options by name.

        Raises:
            TypeError: for an unknown name, listing the known ones.
            InputError: for an impossible value.
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
        """Whether the most probable token is taken each time, whatever came before."""
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
    """Raises InputError unless the value is an integer of at least `least`."""
    if type(value) is not int or value < least:
        raise InputError(
            f"Expected {name} to be an integer of at least {least}, got {name}={value!r}."
        )
