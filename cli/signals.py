"""Signals that end a process, met like Ctrl-C: what is half done is cleared away first."""

import signal
from types import FrameType

# As `kill`, a service manager or `docker stop` ends a process, and a terminal that is closed.
NAMES = ("SIGTERM", "SIGHUP")


class Terminated(KeyboardInterrupt):
    """The process was told to end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int):
        super().__init__(f"Ended by {signal.Signals(number).name}.")
        # As shells report it.
        self.exit_code = 128 + number


def end_in_order() -> None:
    """Makes the signals raise `Terminated` once, but for those that the parent had ignored."""
    for name in NAMES:
        # Windows has no SIGHUP; `nohup` has it ignored.
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _raise)


def _raise(number: int, _frame: FrameType | None) -> None:
    # `timeout` sends it twice, and the second is not to cut off what the first one began.
    signal.signal(number, signal.SIG_IGN)
    raise Terminated(number)
