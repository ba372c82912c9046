"""A process that computes for another one.

Python code and LiteRT keep Python's lock while they compute, so that the threads of a process share
one core. A script needs no `if __name__ == "__main__"`, which multiprocessing would ask for.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.reduction import ForkingPickler
from typing import Any

from keras_transformer.zoo.errors import RunError

_SIZE_BYTES = 8


class Worker:
    """Calls methods of an object in a process of its own, for one thread at a time.

    The process is started when it is first needed, and ends with its parent.

    Args:
        make: function that returns the object there.
        arguments: its arguments.
    """

    def __init__(self, make: Callable[..., Any], *arguments: Any):
        self._made = make, arguments
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None

    def call(self, method: str, *arguments: Any) -> Any:
        """Returns what a method of the object returns, or raises what it raises there.

        Raises:
            RunError: if something else ended the process; the next call starts another one.
        """
        with self._lock:
            try:
                if self._process is None:
                    self._process = self._started()
                _send(self._process.stdin.fileno(), (method, arguments))
                succeeded, value = _receive(self._process.stdout.fileno())
            except (EOFError, BrokenPipeError):
                number, code = self._process.pid, self._process.wait()
                self._end()
                raise RunError(
                    f"Expected an answer from the worker process {number}, which ended with code "
                    f"{code}."
                ) from None
            except BaseException:
                # An answer that nobody waited for would be taken for that of the next call.
                self._end()
                raise
        if succeeded:
            return value
        raise value

    def forget(self) -> None:
        """Leaves the process to the parent of this one, which is a fork."""
        if self._process is not None:
            self._close()
            self._process = None

    def end(self) -> None:
        """Ends the process; the next call starts another one."""
        with self._lock:
            self._end()

    def _started(self):
        # Where modules are found here, of which "" is the current folder.
        folders = os.pathsep.join(one or os.getcwd() for one in sys.path)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__], bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": folders},
        )  # fmt: skip
        _send(process.stdin.fileno(), self._made)
        return process

    def _close(self):
        self._process.stdin.close()
        self._process.stdout.close()

    def _end(self):
        if self._process is not None:
            self._close()
            self._process.kill()
            self._process.wait()
            self._process = None

    def __del__(self):
        self._end()


def _send(pipe: int, value: Any) -> None:
    data = bytes(ForkingPickler.dumps(value))
    left = memoryview(len(data).to_bytes(_SIZE_BYTES, "little") + data)
    while left:
        left = left[os.write(pipe, left) :]


def _receive(pipe: int) -> Any:
    size = int.from_bytes(_read(pipe, _SIZE_BYTES), "little")
    return ForkingPickler.loads(_read(pipe, size))


def _read(pipe: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        parts.append(os.read(pipe, min(size, 1 << 20)))
        if not parts[-1]:
            raise EOFError
        size -= len(parts[-1])
    return b"".join(parts)


def serve(source: int, target: int) -> None:
    """Answers calls until their pipe is closed."""
    make, arguments = _receive(source)
    served = make(*arguments)
    while True:
        method, given = _receive(source)
        answer: Sequence[Any]
        try:
            answer = True, getattr(served, method)(*given)
        except Exception as error:
            answer = False, error
        _send(target, answer)


def main() -> None:
    """Serves standard input; what prints to standard output prints to standard error."""
    # Ctrl-C is the parent's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, target = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    try:
        serve(source, target)
    except (EOFError, BrokenPipeError):
        sys.exit(0)  # the parent has no more calls


if __name__ == "__main__":
    main()
