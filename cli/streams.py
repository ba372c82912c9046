"""`run --stream`: what a classifier of sounds hears in long sounds, and when."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click
import numpy as np

from keras_transformer.cli import kinds
from keras_transformer.cli.rows import rows_of_kinds
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.streaming.streaming import HOP, REFRACTORY, SMOOTHING, THRESHOLD

# Option -> its default and help.
_NUMBERS = {
    "hop": (HOP, "Seconds from one window of a stream to the next."),
    "smoothing": (SMOOTHING, "Seconds of a stream over which probabilities are averaged."),
    "threshold": (THRESHOLD, "Mean probability from which on a label is heard in a stream."),
    "refractory": (REFRACTORY, "Seconds of a stream after a label in which none is heard."),
}
# Samples that are read from standard input at once, at most.
_CHUNK = 1 << 14


def stream_options(command: Callable) -> Callable:
    """Adds `--stream` and the options that are only of use with it; one not given is None."""
    command = click.option(
        "--ignore", multiple=True, type=kinds.TEXT, metavar="LABEL",
        help="Label that is never heard in a stream, such as silence; may be repeated.",
    )(command)  # fmt: skip
    for name, (default, text) in reversed(_NUMBERS.items()):
        command = click.option(
            f"--{name}", type=kinds.NUMBER, metavar="NUMBER", help=f"{text}  [default: {default}]"
        )(command)
    return click.option(
        "--stream", is_flag=True,
        help="Take each TEXT as a long sound, and print the labels that a model of sounds hears in "
        "it. Without one, 16-bit samples of one channel at the model's rate are read from standard "
        "input.",
    )(command)  # fmt: skip


def checked_stream(given: Mapping[str, Any]) -> bool:
    """Returns whether sounds are streams; InputError for an option of streams if they are not."""
    names = [name for name in (*_NUMBERS, "ignore") if given[name] not in (None, ())]
    if names and not given["stream"]:
        raise InputError(
            f"Expected --{names[0]} only with --stream, got {names[0]}={given[names[0]]!r}."
        )
    return given["stream"]


def write_detections(
    predictor: Any, model: Path, sounds: Sequence[str], given: dict[str, Any], as_json: bool
) -> None:
    """Prints what is heard in each sound, or in standard input, line by line as it is heard."""
    from keras_transformer.cli import display

    options = {name: given[name] for name in _NUMBERS if given[name] is not None}
    options["ignore"] = given["ignore"]
    found = []
    # Of no chunks: what does not fit the model is said before a sound is read.
    predictor.stream((), **options)
    sounds = rows_of_kinds(predictor, sounds, given)
    for sound in sounds or [None]:
        heard = []
        for one in predictor.stream(_chunks(predictor, sound), **options):
            heard.append(one._asdict())
            if not as_json:
                name = f"{sound}  " if len(sounds) > 1 else ""
                display.say(f"{name}{one.seconds:9.2f} s  {one.score:6.1%}  {one.label}")
        found.append({"audio": sound, "detections": heard})
    if as_json:
        display.say_json({"model": str(model), "streams": found})


def _chunks(predictor: Any, sound: str | None) -> Iterator[np.ndarray]:
    from keras_transformer.cli import display
    from keras_transformer.zoo.media.sounds import read_sound

    if sound is None:
        yield from _samples(sys.stdin.buffer)
        return
    settings = predictor.modality.settings
    samples = read_sound(sound, settings["rate"])
    if len(samples) < settings["samples"]:
        display.note(
            f"{sound} is shorter than the model's window of {predictor.modality.longest}, in which "
            "it hears labels; leave out --stream for a label of the whole."
        )
    yield samples


def _samples(source: BinaryIO) -> Iterator[np.ndarray]:
    """Little-endian 16-bit samples as they arrive."""
    if source.isatty():
        raise click.UsageError("Expected sounds as arguments or on standard input, got none.")
    # What a pipe holds at the moment: a whole buffer would be heard late.
    read, left = getattr(source, "read1", source.read), b""
    is_first = True
    while data := read(2 * _CHUNK):
        if is_first and data.startswith((b"RIFF", b"fLaC")):
            raise InputError(
                "Expected raw 16-bit samples on standard input, got a WAV or FLAC file; give its "
                "path as an argument."
            )
        data, is_first = left + data, False
        whole = len(data) - len(data) % 2
        left = data[whole:]
        yield np.frombuffer(data[:whole], "<i2").astype(np.int16)
