"""Errors of the command line: one sentence and an exit code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import click
from click.exceptions import NoArgsIsHelpError

from keras_transformer.cli.signals import Terminated
from keras_transformer.zoo.errors import InputError, RunError, no_file
from keras_transformer.zoo.printable import printable, shortened

USER_MISTAKE = 2
FAILURE = 1
BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class CommandError(click.ClickException):
    """An error that click prints on stderr as `Error: <sentence>` before exit with `exit_code`.

    Long values in the sentence are shortened, and what a terminal would obey is escaped.
    """

    def __init__(self, sentence: str, exit_code: int):
        super().__init__(printable(shortened(sentence), getattr(sys.stderr, "encoding", None)))
        self.exit_code = exit_code


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """Converts the expected errors, and only those, to a `CommandError`.

    A mistake of the user's exits with 2, a failure with 1, an interruption with 130, a
    signal with 128 and its number. Any other exception is a bug of ours and keeps its traceback.
    """
    try:
        yield
    except (NoArgsIsHelpError, BrokenPipeError):
        raise  # click prints the help of the one, and ends quietly (`... | head`) on the other
    except click.UsageError as error:
        raise CommandError(_one_line(error.format_message()), USER_MISTAKE) from error
    except (InputError, FileNotFoundError, FileExistsError) as error:
        raise CommandError(_sentence(error), USER_MISTAKE) from error
    except (RunError, OSError) as error:
        raise CommandError(_sentence(error), FAILURE) from error
    except Terminated as error:
        raise CommandError(str(error), error.exit_code) from error
    except (ValueError, ImportError) as error:
        mistake = _backend_mistake(error)
        if mistake is None:
            raise
        raise CommandError(mistake, USER_MISTAKE) from error
    except KeyboardInterrupt as error:
        raise CommandError("Interrupted.", INTERRUPTED) from error


def _backend_mistake(error: Exception) -> str | None:
    """The user's mistake if Keras was not imported because of its backend's name; else None."""
    if "keras" in sys.modules:
        return None
    backend = os.environ.get("KERAS_BACKEND")
    # Keras' own words where its settings, ~/.keras/keras.json, name the backend.
    _, named, unknown = str(error).partition("Unable to import backend : ")
    if not backend:
        backend = unknown if named else "tensorflow"
    if backend not in BACKENDS:
        return f"Expected KERAS_BACKEND to be one of {', '.join(BACKENDS)}, got {backend!r}."
    if find_spec(backend) is None:
        return f"Expected KERAS_BACKEND to be installed, got {backend!r}; install it."
    return None


def _sentence(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return str(no_file(error.filename))
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}." if error.filename else f"{error.strerror}."
    return _one_line(str(error))


def _one_line(text: str) -> str:
    return " ".join(text.split())
