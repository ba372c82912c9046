"""Filter of standard error that drops log lines of TensorFlow and LiteRT but not their errors.

They come from C++, some before the libraries read any setting, so they are filtered at the process'
standard error, file descriptor 2.
"""

import io
import logging
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Number of times in a second that the filter is looked at, whether it has ended.
_WAITS = 100
# Lines of information and warnings in the libraries' formats: `I0000 00:00:1795858751.624427 ...`,
# `2026-11-28 09:26:00.000001: W external/...`, `[2026-11-28 09:26:00,001 W 17 17] gcs_client...`,
# `INFO: Created ...`; and individually, errors on a machine without a GPU, and second lines.
NOISE = re.compile(
    rb"[IW]\d{4} \d\d:\d\d:\d\d"
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] "
    rb"|\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ [IW] \d+ \d+\] "
    rb"|(INFO|VERBOSE): "
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|WARNING: Attempting to use a delegate"
    rb"|.*(failed call to cuInit|Unable to register cu)"
    rb"|To enable the following instructions:"
)


def is_noise(line: bytes) -> bool:
    """Whether a line of standard error is a log line of no use to a user."""
    return NOISE.match(line) is not None


@contextmanager
def quiet(verbose: bool = False) -> Iterator[None]:
    """Drops such lines in its context; output of Python to `sys.stderr` is not filtered.

    Warnings and log records below errors are dropped too: they are the libraries', since our own
    words to a user are notes. A child process filters, so that the last output before a crash still
    arrives.

    Args:
        verbose: whether to filter nothing.
    """
    if verbose:
        yield
        return
    with without_logs(), _filtered():
        yield


def is_quiet() -> bool:
    """Whether this process drops log records below errors."""
    return not logging.getLogger().isEnabledFor(logging.WARNING)


@contextmanager
def without_logs() -> Iterator[None]:
    """Drops warnings and log records below errors of Python's in its context."""
    logging.disable(logging.WARNING)
    # A library may set filters of its own when it is imported, so nothing is shown either.
    warnings.simplefilter("ignore")
    shown, warnings.showwarning = warnings.showwarning, _show_nothing
    try:
        yield
    finally:
        warnings.showwarning = shown
        logging.disable(logging.NOTSET)


def _show_nothing(*_: object, **__: object) -> None:
    """In place of `warnings.showwarning`."""


@contextmanager
def _filtered() -> Iterator[None]:
    """Passes file descriptor 2 through a child process, where the system can fork."""
    if sys.stderr is None or not hasattr(os, "fork"):
        yield
        return
    # Read when TensorFlow is first imported: 3 saves most of the lines from being made.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        _forward(reader, kept)
    os.close(reader)
    os.dup2(writer, 2)
    os.close(writer)
    own = sys.stderr
    sys.stderr = io.TextIOWrapper(
        os.fdopen(os.dup(kept), "wb", buffering=0), encoding=own.encoding, errors=own.errors,
        write_through=True,
    )  # fmt: skip
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = own
        # The child exits when the last writer of the pipe is closed.
        os.dup2(kept, 2)
        os.close(kept)
        _wait(child)


def _wait(child: int) -> None:
    """Waits until all that was written has been passed on, at most for a second.

    After an error the workers of a file may live as long as this process, and with them the pipe.
    """
    for _ in range(_WAITS):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(1 / _WAITS)


def _forward(reader: int, out: int) -> None:
    """Copies lines that are no noise, until the pipe is closed; ends the process."""
    # A terminal sends them to both; this one ends when the other has.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        with os.fdopen(reader, "rb") as lines:
            for line in lines:
                if not is_noise(line):
                    os.write(out, line)
    finally:
        os._exit(0)
