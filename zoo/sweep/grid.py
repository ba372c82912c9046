"""Combinations of the values of a sweep, and their names."""

import hashlib
import math
import numbers
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_transformer.zoo.errors import InputError

# Trials of one sweep, at most.
MOST = 10_000
# What the name of a folder does without, and how long it may be.
_ODD = re.compile(r"[^\w.+=,-]", re.ASCII)
_LONGEST = 100
# A name with this end is that of the states of another trial.
_STATES = ".training"


def checked(vary: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    """Returns the values of each option of a sweep as lists.

    Raises:
        InputError: there is no option, an option has no values, or one of them twice, or a value is
            neither text nor a number, true or false.
    """
    if not isinstance(vary, Mapping) or not vary:
        raise InputError(f"Expected vary to map options to their values, got vary={vary!r}.")
    lists = {}
    for name, values in vary.items():
        if not isinstance(name, str):
            raise InputError(f"Expected vary to map names of options to values, got {name!r}.")
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise InputError(f"Expected a list of values to vary {name}, got {values!r}.")
        # Those of NumPy, such as `np.geomspace` gives, as Python's.
        lists[name] = [one.item() if hasattr(one, "item") else one for one in values]
        if not lists[name]:
            raise InputError(f"Expected at least one value to vary {name}, got none.")
        seen: set[tuple[bool, Any]] = set()
        for one in lists[name]:
            if not isinstance(one, str | int | float | bool):
                raise InputError(
                    f"Expected texts, numbers, true or false to vary {name}, got {one!r}."
                )
            if (isinstance(one, bool), one) in seen:
                raise InputError(f"Expected each value of {name} once, got {one!r} twice.")
            seen.add((isinstance(one, bool), one))
    return lists


def combinations(
    vary: Mapping[str, Sequence[Any]], count: int | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """Returns the combinations of values, the last option's changing first.

    Args:
        vary: the values of each option.
        count: number of combinations that are drawn at random; None for all. Those of a smaller
            number are among those of a larger one.
        seed: seed of the draw.

    Raises:
        InputError: there are fewer than `count`, or too many, or it is no integer.
    """
    total = math.prod(len(values) for values in vary.values())
    if count is not None and (isinstance(count, bool) or not isinstance(count, numbers.Integral)):
        raise InputError(f"Expected trials to be an integer, got trials={count!r}.")
    if count is not None and not 1 <= count <= min(total, MOST):
        raise InputError(
            f"Expected trials to be from 1 to {min(total, MOST)}, of {total} combinations, got "
            f"trials={count}."
        )
    if count is None and total > MOST:
        raise InputError(
            f"Expected at most {MOST} combinations of values to vary, got {total}; give trials to "
            "draw some of them."
        )
    places = range(total) if count is None else sorted(_drawn(total, count, seed))
    return [_at(place, vary) for place in places]


def _drawn(total: int, count: int, seed: int) -> set[int]:
    draw, places = random.Random(seed), set()
    while len(places) < count:
        places.add(draw.randrange(total))
    return places


def _at(place: int, vary: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    found = {}
    for name, values in reversed(vary.items()):
        place, digit = divmod(place, len(values))
        found[name] = values[digit]
    return {name: found[name] for name in vary}


def shown(value: Any) -> str:
    """Returns a value as an option would be written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def name_of(options: Mapping[str, Any]) -> str:
    """Returns the name of a trial's folder, such as `learning_rate=0.0003,dropout=0.1`.

    A value that no name can hold has a hash in it.
    """
    whole = ",".join(f"{name}={shown(value)}" for name, value in options.items())
    name = _ODD.sub("~", whole)
    if name == whole and len(name) <= _LONGEST and not name.endswith(_STATES):
        return name
    return f"{name[:_LONGEST]}~{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
