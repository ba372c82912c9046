"""Interpreters of one file, shared by threads; a forked process makes its own."""

import ctypes
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, NoReturn, TypeVar

from keras_transformer.zoo.errors import RunError

Engine = TypeVar("Engine")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Claim(Generic[Engine]):
    """The use of one engine: for a call, or for a text as long as a row of it is held.

    Attributes:
        engine: the one to use.
    """

    __slots__ = ("__weakref__", "_process", "engine")

    def __init__(self, engine: Engine):
        self.engine = engine
        self._process = os.getpid()

    def check(self) -> None:
        """Raises RunError in a process that was forked since, which has other engines."""
        if self._process != os.getpid():
            raise RunError(
                "Expected a text to be finished by the process that began it, got one of process "
                f"{self._process} in its fork {os.getpid()}; generate it there from the start."
            )


class Engines(Generic[Engine]):
    """Several engines of a file, each of which lets one thread in at a time.

    Args:
        make: returns a new engine, which does its own locking.
        count: number of engines.
        leave: called in a fork with each engine of its parent.
    """

    def __init__(
        self, make: Callable[[], Engine], count: int,
        leave: Callable[[Engine], None] | None = None,
    ):  # fmt: skip
        self.count = count
        self._make = make
        self._leave = leave or _keep
        self._lock = threading.Lock()
        self._engines = [make() for _ in range(count)]
        self._claims = self._no_claims()
        _EVERY.add(self)

    def claim(self) -> Claim[Engine]:
        """Returns a claim on the engine that has the fewest."""
        with self._lock:
            if not self._engines:
                self._engines = [self._make() for _ in range(self.count)]
            place = min(range(self.count), key=lambda place: len(self._claims[place]))
            claim = Claim(self._engines[place])
            self._claims[place].add(claim)
            return claim

    def each(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Returns a function's results in the order of the items, computed by all engines.

        Raises:
            Exception: what the function raises for the first item for which it raises something.
        """
        size = min(self.count, len(items))
        if size < 2:
            return [function(item) for item in items]
        results: dict[int, Result] = {}
        errors: dict[int, BaseException] = {}
        places, failed = itertools.count(), threading.Event()

        def work() -> None:
            while not failed.is_set() and (place := next(places)) < len(items):
                try:
                    results[place] = function(items[place])
                except BaseException as error:
                    failed.set()
                    errors[place] = error

        with ThreadPoolExecutor(size, "runner") as threads:
            try:
                for task in [threads.submit(work) for _ in range(size)]:
                    task.result()
            finally:
                # Where the caller was interrupted, the threads stop after the row they are at.
                failed.set()
        if errors:
            raise errors[min(errors)]
        return [results[place] for place in range(len(items))]

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"Expected a Runner to be copied or pickled, got {self.count} of its interpreters."
        )

    def _no_claims(self) -> list[weakref.WeakSet[Claim[Engine]]]:
        return [weakref.WeakSet() for _ in range(self.count)]

    def _forget(self) -> None:
        """Leaves a parent's engines alone, in a fork; new ones are made when they are needed."""
        for engine in self._engines:
            self._leave(engine)
        self._lock = threading.Lock()
        self._engines, self._claims = [], self._no_claims()


def _keep(engine: object) -> None:
    """Never frees an interpreter: that would wait for its threads, which did not come along."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))


_EVERY: weakref.WeakSet[Engines] = weakref.WeakSet()


def _forget_all() -> None:
    for engines in list(_EVERY):
        engines._forget()


# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
