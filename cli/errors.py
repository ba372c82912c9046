"""Errors of the command line: one sentence and an exit code."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import click
from click.exceptions import NoArgsIsHelpError

from keras_transformer.cli.signals import Terminated
from keras_transformer.zoo.errors import InputError, RunError, no_file
from keras_transformer.zoo.printable import printable, shortened

USER_MISTAKE = 2
FAILURE = 1
# Modules that training on JAX does without; their packages have dashes in place of underscores.
_FOR_DEVICES = (
    "tensorflow", "tensorflow_text", "tf_keras", "tensorflow_model_optimization", "ai_edge_litert",
    "flatbuffers",
)  # fmt: skip
BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")
# What precedes an argument in a sentence of ours, and does not where a name is part of another.
_BEFORE = r"(?:(?<=got )|(?<=, )|(?<=where )|(?<=for )|(?<=and )|(?<=within ))"
_NO_PART = r"(?<![\w./'\"=-])"
_SETTINGS = re.compile(r"(?:a setting of the model|an option of a run) among [\w, ]+")
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class CommandError(click.ClickException):
    """An error that click prints on stderr as `Error: <sentence>` before exit with `exit_code`.

    Long values in the sentence are shortened, passwords hidden, and what a terminal would obey is
    escaped.
    """

    def __init__(self, sentence: str, exit_code: int):
        super().__init__(printable(shortened(sentence), getattr(sys.stderr, "encoding", None)))
        self.exit_code = exit_code


@contextmanager
def in_one_sentence(
    options: Callable[[], Iterable[click.Parameter]] = tuple
) -> Iterator[None]:
    """Converts the expected errors, and only those, to a `CommandError`.

    Args:
        options: returns the options by whose names a sentence is to call its arguments.

    A mistake of the user's exits with 2, a failure with 1, an interruption with 130, a
    signal with 128 and its number. Any other exception is a bug of ours and keeps its traceback.
    """
    try:
        yield
    except (NoArgsIsHelpError, BrokenPipeError):
        raise  # click prints the help of the one, and ends quietly (`... | head`) on the other
    except click.UsageError as error:
        raise CommandError(_one_line(error.format_message()), USER_MISTAKE) from error
    except InputError as error:
        raise CommandError(as_options(_sentence(error), options()), USER_MISTAKE) from error
    except (FileNotFoundError, FileExistsError) as error:
        raise CommandError(_sentence(error), USER_MISTAKE) from error
    except (RunError, OSError) as error:
        raise CommandError(_sentence(error), FAILURE) from error
    except Terminated as error:
        raise CommandError(str(error), error.exit_code) from error
    except (ValueError, ImportError) as error:
        mistake = _missing(error) or _backend_mistake(error)
        if mistake is None:
            raise
        raise CommandError(mistake, USER_MISTAKE) from error
    except KeyboardInterrupt as error:
        raise CommandError("Interrupted.", INTERRUPTED) from error


def as_options(sentence: str, parameters: Iterable[click.Parameter]) -> str:
    """Returns a sentence of Python's arguments, `got max_drop=-1`, with options in their place.

    A name of one word may be another thing, unless a value follows it or the sentence is about it.
    Settings of a model are no options, though some are called as one, nor are names to vary.
    """
    parameters, listed = list(parameters), _SETTINGS.search(sentence)
    if listed is not None:
        before, names, behind = sentence.partition(listed[0])
        return as_options(before, parameters) + names + as_options(behind, parameters)
    for one in parameters:
        option = next((name for name in one.opts if name.startswith("--")), None)
        if option is None:
            continue
        name = option[2:].replace("-", "_")
        if getattr(one, "is_flag", False):
            off = next(iter(one.secondary_opts), None)
            sentence = re.sub(f"{_BEFORE}{name}=True\\b", option, sentence)
            sentence = re.sub(f"{_BEFORE}{name}=False\\b", off or f"no {option}", sentence)
        sentence = re.sub(f"{_BEFORE}{name}=", f"{option} ", sentence)
        sentence = re.sub(f"^Expected {name}(?= (?:to|only)\\b)", f"Expected {option}", sentence)
        if "_" in name:
            sentence = re.sub(f"{_NO_PART}{name}(?![\\w=(./'\"])", option, sentence)
    return sentence


def _missing(error: Exception) -> str | None:
    """What a machine that only trains, on JAX, lacks for a command; None for another error."""
    name = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    module = name.partition(".")[0]
    needs_it = os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    if needs_it or module not in _FOR_DEVICES:
        return None
    return (
        f"Expected {module.replace('_', '-')} to be installed for this command, got none here; "
        "pip install keras-transformer-zoo with all that it depends on."
    )


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
