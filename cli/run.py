"""`keras-transformer run`: predictions or generated text for raw text."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import generation, options
from keras_transformer.zoo.errors import InputError

MAX_LABELS = 5
BAR_WIDTH = 20
SHOWN_CHARACTERS = 60


@click.command()
@click.argument("model", metavar="CHECKPOINT|FILE.tflite", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--pair", "pairs", multiple=True, metavar="TEXT",
    help="Second text, for a model of pairs: once for each TEXT.",
)
@click.option(
    "--stop", multiple=True, metavar="TEXT",
    help="Text of one token at which generation stops; may be repeated.",
)
@generation.decoding_options
@options.threads()
@options.as_json()
def run(
    model: Path, texts: tuple[str, ...], pairs: tuple[str, ...], stop: tuple[str, ...],
    threads: int, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Predict, translate or continue raw TEXTs with a CHECKPOINT or a FILE.tflite.

    Without TEXT, the lines of standard input are read, with a tab between the two texts for a model
    of pairs. A file is run without TensorFlow. The text generated for a single TEXT is printed
    token by token.

    Example: keras-transformer run my_model.tflite "a charming film" "two hours too long"

    A translator: keras-transformer run translator.tflite "A man is riding a horse." --beams 5

    A language model: keras-transformer run writer "ROMEO:" --temperature 0.8 --top-k 40
    """
    from keras_transformer.edge.load import load

    predictor = load(model, threads=threads)
    decoding = generation.decoding_of(predictor, given)
    if stop and not predictor.generates:
        raise InputError(f"Expected --stop only for a model that generates text, got {stop[0]!r}.")
    if pairs and not predictor.pair:
        raise InputError(f"Expected no --pair for a model of single texts, got {pairs[0]!r}.")
    if texts:
        check_arguments(texts, pairs)
    else:
        texts, pairs = read_lines(predictor.pair)
    if predictor.generates:
        write(predictor, model, texts, as_json, stop=stop, **decoding)
        return
    predictions = predictor.predict(list(texts), list(pairs) or None)
    note_cuts(predictor, [one.truncated for one in predictions])
    if as_json:
        rows = [
            {"text": text, **({"pair": pair} if pairs else {}), **prediction._asdict()}
            for text, pair, prediction in zip(texts, pairs or texts, predictions, strict=True)
        ]
        print_json(model, rows)
    else:
        print_table(texts, predictions)


def write(
    predictor: Any, model: Path, texts: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Prints generated text: token by token for one text, else a line or an object for each."""
    streams = len(texts) == 1 and not as_json and options.get("beams", 1) == 1
    # A prompt is printed with the first piece, since by then it is known to be valid.
    before = "" if predictor.reads_sources else texts[0]

    def show(_: int, piece: str) -> None:
        nonlocal before
        click.echo(before + piece, nl=False)
        before = ""

    results = predictor.generations(list(texts), **options, on_text=show if streams else None)
    if streams:
        click.echo(before)
    note_cuts(predictor, [one.truncated for one in results])
    if as_json:
        rows = [
            {
                "text": text, "generated": one.text, "log_probability": one.log_probability,
                "finished": one.finished, "truncated": one.truncated,
            }
            for text, one in zip(texts, results, strict=True)
        ]  # fmt: skip
        print_json(model, rows)
    elif not streams:
        for one in results:
            click.echo(one.text)


def note_cuts(predictor: Any, truncated: list[bool]) -> None:
    from keras_transformer.cli import display

    cut = [str(row) for row, is_cut in enumerate(truncated, start=1) if is_cut]
    if cut:
        display.note(
            f"{len(cut)} of {len(truncated)} texts are longer than {predictor.max_length} tokens "
            f"and were cut: {', '.join(cut[:10])}{', ...' if len(cut) > 10 else ''}."
        )


def check_arguments(texts: tuple[str, ...], pairs: tuple[str, ...]) -> None:
    if pairs and len(pairs) != len(texts):
        raise InputError(
            f"Expected a --pair for each of the {len(texts)} texts, got {len(pairs)}."
        )
    for text in (*texts, *pairs):
        # Python passes bytes that it cannot decode as lone surrogates.
        if any("\udc80" <= character <= "\udcff" for character in text):
            raise InputError(f"Expected texts in UTF-8, got {ascii(text)}.")


def read_lines(pair: bool) -> tuple[list[str], list[str]]:
    """Texts and second texts from standard input."""
    source = sys.stdin.buffer
    if source.isatty():
        raise click.UsageError("Expected texts as arguments or on standard input, got none.")
    data = source.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"Standard input, line {line}: the text is not UTF-8.") from None
    if not text:
        raise InputError("Expected texts as arguments or on standard input, got none.")
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if not pair:
        return lines, []
    rows = [line.split("\t") for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise InputError(
                f"Standard input, line {number}: expected two texts with a tab between them, "
                f"got {len(row)}."
            )
    return [row[0] for row in rows], [row[1] for row in rows]


def print_json(model: Path, rows: list[dict[str, Any]]) -> None:
    result = {"model": str(model), "predictions": rows}
    click.echo(json.dumps(result, indent=2, ensure_ascii=False))


def print_table(texts: Any, predictions: list) -> None:
    from keras_transformer.cli import display

    if predictions[0].label is None:
        rows = [(short(text), one.score) for text, one in zip(texts, predictions, strict=True)]
        display.table(None, ("Text", "Value"), rows)
    elif len(texts) == 1:
        best = sorted(predictions[0].scores.items(), key=lambda item: -item[1])[:MAX_LABELS]
        rows = [(label, f"{score:.1%}", bar(score)) for label, score in best]
        display.table(None, ("Label", "Probability", ""), rows)
    else:
        rows = [
            (short(text), one.label, f"{one.score:.1%}", bar(one.score))
            for text, one in zip(texts, predictions, strict=True)
        ]
        display.table(None, ("Text", "Label", "Probability", ""), rows)


def short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def bar(share: float) -> str:
    return "█" * round(share * BAR_WIDTH)
