"""Writes a converted file with what goes with it: C sources, and the card of its folder."""

from pathlib import Path

from keras_transformer.edge.choose.benchmark import device_name, median_latency
from keras_transformer.edge.convert.convert import Converted
from keras_transformer.edge.publish.model_card import NAME, Latency, card_section, with_section
from keras_transformer.edge.targets.micro import Micro, c_sources, source_names
from keras_transformer.edge.targets.target import Target
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.files import check_file_target, write_file

RUNS = 30


def check_targets(out: Path, target: Target, *, overwrite: bool) -> None:
    """Checks that `deliver` may write its files, before the work that they are to hold.

    Raises:
        FileExistsError: a file exists and `overwrite` is False.
        InputError: the name of a file for a microcontroller makes no name in C.
    """
    names = source_names(out) if target.name == Micro.name else ()
    for path in (out, *(out.with_name(name) for name in names)):
        check_file_target(path, overwrite=overwrite)


def deliver(
    converted: Converted, checkpoint: Checkpoint, out: Path, *, overwrite: bool
) -> list[Path]:
    """Writes the file, its C sources if it has any, and its section of the folder's card.

    Args:
        converted: the file.
        checkpoint: the checkpoint that it was made of.
        out: path of the file.
        overwrite: whether files that exist are replaced. A card that exists keeps all but the
            file's own section.

    Returns:
        The paths written.
    """
    write_file(out, converted.data, overwrite=overwrite)
    written = [out]
    if converted.description["bundle"] == Micro.name:
        for name, data in c_sources(out).items():
            write_file(out.with_name(name), data, overwrite=overwrite)
            written.append(out.with_name(name))
    latency = Latency(
        milliseconds=median_latency(out, runs=RUNS), runs=RUNS, device=device_name()
    )
    card = out.with_name(NAME)
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    section = card_section(out, checkpoint, converted, latency)
    write_file(card, with_section(text, out.name, section).encode(), overwrite=True)
    return [*written, card]
