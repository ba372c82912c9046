"""`keras-transformer run`: predictions or generated text for raw text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import generation, kinds, options
from keras_transformer.cli.chat import asked, chat_options
from keras_transformer.cli.lines import read_lines
from keras_transformer.cli.matching import labels_option, write_matching
from keras_transformer.cli.nearest import MATCHES, nearest_options, write_nearest
from keras_transformer.cli.predictions import note_cuts, print_json, print_table, values
from keras_transformer.cli.rows import as_json_row, kind_options, rows_of_kinds, shown
from keras_transformer.cli.streams import checked_stream, stream_options, write_detections
from keras_transformer.cli.vectors import check_vectors, typed, vectors_option
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.outputs import LABEL_SETS, LabelSet, Prediction


@click.command()
@click.argument("model", metavar="CHECKPOINT|FILE.tflite", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1, metavar="[TEXT]...", type=kinds.TEXT)
@click.option(
    "--pair", "pairs", multiple=True, type=kinds.TEXT, metavar="TEXT",
    help="Second text, for a model of pairs: once for each TEXT.",
)
@click.option(
    "--stop", multiple=True, type=kinds.TEXT, metavar="TEXT",
    help="Text at which generation stops; may be repeated.",
)
@kind_options
@chat_options
@generation.decoding_options
@nearest_options
@labels_option
@options.head()
@vectors_option
@stream_options
@options.threads()
@options.workers()
@options.as_json()
def run(
    model: Path, texts: tuple[str, ...], pairs: tuple[str, ...], stop: tuple[str, ...],
    head: str | None, nearest: Path | None, matches: int | None, labels: Path | None,
    vectors: str | None, threads: int, workers: int, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Predict, tag, write, embed or transcribe raw TEXTs with a CHECKPOINT or a FILE.tflite.

    Without TEXT, the lines of standard input are read, with a tab between the two texts for a model
    of pairs. A file is run without TensorFlow. The text generated for a single TEXT is printed
    token by token.

    Example: keras-transformer run my_model.tflite "a charming film" "two hours too long"

    A translator: keras-transformer run translator.tflite "A man is riding a horse." --beams 5

    A language model: keras-transformer run writer "ROMEO:" --temperature 0.8 --top-k 40

    A model of conversations: keras-transformer run talker.tflite --chat "Why is the sky blue?"

    Speech, of which TEXT is the path: keras-transformer run whisper.tflite speech.wav

    Masked words: keras-transformer run pretrained "Paris is the [MASK] of France."

    Entities: keras-transformer run tagger.tflite "Ada Lovelace lived in London."

    An image with a text: keras-transformer run answerer.tflite --image cat.jpg --text "what is it?"

    Similar lines: keras-transformer run embedder.tflite "a charming film" --nearest reviews.txt

    Words in a long sound: keras-transformer run words.tflite meeting.wav --stream

    Images by text, and labels of an image that are texts, with a model of both: keras-transformer
    run clip.tflite "a red circle" --nearest photos; keras-transformer run clip.tflite cat.jpg
    --labels labels.txt
    """
    from keras_transformer.edge.load import load

    is_stream = checked_stream(given)
    opened = options.headed(load(model, threads=threads, workers=workers), head)
    predictor = asked(opened, given)
    decoding = generation.decoding_of(predictor, given)
    if stop and not predictor.generates:
        raise InputError(f"Expected --stop only for a model that generates text, got {stop[0]!r}.")
    if pairs and not predictor.pair:
        raise InputError(
            f"Expected no --pair for a model of single {predictor.modality.rows}, got {pairs[0]!r}."
        )
    check_vectors(predictor, vectors, nearest, matches)
    if predictor.matches_kinds and not is_stream:
        write_matching(
            predictor, model, texts, given, as_json, labels=labels, nearest=nearest,
            matches=matches, vectors=vectors,
        )  # fmt: skip
        return
    if labels is not None:
        raise InputError(
            "Expected --labels only for a model of rows of two kinds that match, got one of "
            f"{predictor.task_name}."
        )
    if is_stream:
        write_detections(predictor, model, texts, given, as_json)
        return
    texts = rows_of_kinds(predictor, texts, given)
    blank: list[int] = []
    if predictor.head_names:
        check_arguments(texts, pairs)
        write_by_head(predictor, model, texts, pairs, as_json)
        return
    if texts:
        check_arguments(texts, pairs)
    else:
        texts, pairs, blank = read_lines(predictor)
    if predictor.generates:
        write(predictor, model, texts, as_json, blank, stop=stop, **decoding)
        return
    if nearest is not None:
        write_nearest(predictor, predictor, model, texts, nearest, matches or MATCHES, as_json)
        return
    predictions = predictor.predict(list(texts), list(pairs) or None)
    predictions = in_places(predictions if vectors is None else typed(predictions, vectors), blank)
    unknown = unknown_of(predictor, texts, pairs, blank)
    texts, seconds = in_places(texts, blank, ""), in_places(pairs or texts, blank, "")
    note_cuts(predictor, predictions)
    if as_json:
        # In place of what a blank line has none of.
        is_set = predictor.output_kind == LABEL_SETS
        nothing = LabelSet({}, {}, False) if is_set else Prediction(None, None, {}, False)
        rows = [
            {
                **as_json_row(predictor, text), **({"pair": pair} if pairs else {}),
                **values(prediction or nothing), **share,
            }
            for text, pair, prediction, share in zip(
                texts, seconds, predictions, unknown, strict=True
            )
        ]
        print_json(model, rows)
    else:
        print_table([shown(text) for text in texts], predictions, predictor.modality.column)


def write_by_head(
    predictor: Any, model: Path, texts: Sequence[str], pairs: Sequence[str], as_json: bool
) -> None:
    """Prints what each of several tasks predicts for texts."""
    from keras_transformer.cli import display

    if not texts:
        raise click.UsageError(
            "Expected TEXTs for a model of several tasks, or --head to read standard input."
        )
    predictions = predictor.predict(list(texts), list(pairs) or None)
    if as_json:
        rows = [
            {
                "text": text, **({"pair": pairs[place]} if pairs else {}),
                "heads": {name: values(one) for name, one in found.items()},
            }
            for place, (text, found) in enumerate(zip(texts, predictions, strict=True))
        ]  # fmt: skip
        print_json(model, rows)
        return
    for place, name in enumerate(predictions[0]):
        found = [one[name] for one in predictions]
        note_cuts(predictor.head(name), found)
        if place:
            display.say()
        display.say(name)
        print_table(texts, found)


def write(
    predictor: Any, model: Path, texts: Sequence[str], as_json: bool, blank: Sequence[int],
    **options: Any,
) -> None:  # fmt: skip
    """Prints generated text: token by token for one text, else a line or an object for each."""
    from keras_transformer.cli import display

    is_alone = len(texts) == 1 and not blank
    streams = is_alone and not as_json and options.get("beams", 1) == 1
    # A prompt is printed with the first piece, since by then it is known to be valid.
    before = "" if predictor.reads_sources else texts[0]

    def show(_: int, piece: str) -> None:
        nonlocal before
        display.say(before + piece, end="")
        before = ""

    results = predictor.generations(list(texts), **options, on_text=show if streams else None)
    if streams:
        display.say(before)
    unknown, read = unknown_of(predictor, texts, (), blank), predictor.modality.column
    results = in_places(results, blank)
    note_cuts(predictor, results)
    if as_json:
        rows = [
            {read: text, **dict.fromkeys(("generated", "log_probability", "finished")),
             "truncated": False, **share} if one is None else
            {
                read: text, "generated": one.text, "log_probability": one.log_probability,
                "finished": one.finished, "truncated": one.truncated, **share,
            }
            for text, one, share in zip(
                in_places(texts, blank, ""), results, unknown, strict=True
            )
        ]  # fmt: skip
        print_json(model, rows)
    elif not streams:
        for one in results:
            display.say("" if one is None else one.text)


def in_places(values: Sequence[Any], blank: Sequence[int], missing: Any = None) -> list[Any]:
    """Returns values with others at the places of blank lines, ascending."""
    result = list(values)
    for place in blank:
        result.insert(place, missing)
    return result


def unknown_of(
    predictor: Any, texts: Sequence[str], pairs: Sequence[str], blank: Sequence[int]
) -> list[dict[str, float]]:
    """Returns the share of unknown tokens of each line by its name, and notes what is unread."""
    from keras_transformer.cli import display
    from keras_transformer.zoo.tokenizers.tokenizer_config import UNKNOWN_TOKENS

    modality, found = predictor.modality, None
    if modality.text is not None:
        found = modality.text.unknown(modality.texts_of(texts), pairs or None)
    if found is None:
        return [{}] * (len(texts) + len(blank))
    shares = in_places(found, blank, 0.0)
    unread = [place for place, share in enumerate(shares, start=1) if share == 1]
    if unread:
        display.note(
            f"{len(unread)} of {len(shares)} texts are all unknown tokens, of which the model "
            f"reads no more than their number: {display.first_of(unread)}."
        )
    return [{UNKNOWN_TOKENS: share} for share in shares]


def check_arguments(texts: tuple[str, ...], pairs: tuple[str, ...]) -> None:
    if pairs and len(pairs) != len(texts):
        raise InputError(
            f"Expected a --pair for each of the {len(texts)} texts, got {len(pairs)}."
        )
