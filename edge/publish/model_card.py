"""The model card of a converted file: a description, measurements and how to load it.

The `MODEL_CARD.md` of a folder has a section for each file in it, between two comments, so that
converting a file again replaces its own section and no other text.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_transformer.edge.runtime.names import EMBEDDING
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.counts import parameters
from keras_transformer.zoo.models.fused_config import FUSED, members_of
from keras_transformer.zoo.outputs import CLASSES, WINDOWED
from keras_transformer.zoo.printable import printable
from keras_transformer.zoo.prune_vocabulary import kept_for

NAME = "MODEL_CARD.md"
TITLE = "# Model card\n"
_SHOWN_LABELS = 12
_SHOWN_METRICS = (
    "f1", "exact_match", "accuracy", "micro_f1", "macro_f1", "mean_average_precision", "pearson",
    "spearman", "mean_reciprocal_rank", "bleu", "chrf", "wer", "perplexity",
)  # fmt: skip


def card_beside(path: Path) -> Path:
    """Returns the path of the card of a file or folder.

    Raises:
        InputError: the file has the card's own name.
    """
    card = path.with_name(NAME)
    if path == card:
        raise InputError(f"Expected a name other than {NAME}, which is the card's, got {path}.")
    return card


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """The part of a card that describes the checkpoint of a file.

    Attributes:
        rows: rows of the table by name.
        score: validation score in the precision of a quantized checkpoint.
        unit: the input of one invocation, in words.
        limit: what of an input is read, see `Modality.limit`.
        classifies: whether it always predicts one of its labels.
        generates: whether it generates text.
        windowed: whether it reads a long text in several windows.
        began: whether it began with published weights.
        is_measured: whether it has scores on validation data.
    """

    rows: Mapping[str, str | None]
    score: str | None
    unit: str
    classifies: bool
    generates: bool
    windowed: bool
    began: bool
    is_measured: bool
    limit: str | None = None

    def limits(self, length: int, output: str | None) -> Iterator[str]:
        """Yields the limits of the model, one sentence each.

        Args:
            length: number of tokens that the file reads.
            output: kind of output, see `edge.runtime.names`.
        """
        longer = "read in several windows, by Runner" if self.windowed else "cut"
        yield self.limit or f"It reads at most {length} tokens; what is longer is {longer}."
        if self.classifies and output != EMBEDDING:
            yield (
                f"It always answers with one of its labels, to {self.unit} that fits none of them "
                "too."
            )
        if self.generates:
            yield "What it writes is neither checked nor filtered."
        if self.is_measured:
            yield "The scores are of the validation data, which may have chosen the epoch."
        yield "Languages, dialects and groups of people were not measured one by one."


def origin_of(checkpoint: Checkpoint) -> Origin:
    """Returns the part of a card that describes a checkpoint."""
    return Origin(
        rows={
            "what": _what(checkpoint),
            "labels": _labels(checkpoint.labels),
            "began with": _origin(checkpoint),
            "vocabulary": _vocabulary(checkpoint),
            "data": _data(checkpoint),
            "in float, by Keras": _score(checkpoint, is_float=True),
        },
        score=_score(checkpoint, is_float=False),
        unit="a token" if checkpoint.task.generates else checkpoint.modality.one,
        limit=checkpoint.modality.limit(),
        classifies=checkpoint.output_kind == CLASSES
        and "out_of_scope" not in checkpoint.decision,
        generates=checkpoint.task.generates,
        windowed=checkpoint.task.output in WINDOWED,
        began=bool(_published(checkpoint)),
        is_measured=bool(checkpoint.metrics),
    )


def with_section(text: str, file: str, section: str) -> str:
    """Returns a card with a file's section, which replaces an older one or is appended."""
    begin, end = f"<!-- {file}: begin -->", f"<!-- {file}: end -->"
    section = f"{begin}\n{section}\n{end}\n"
    before, found, rest = text.partition(begin)
    if not found:
        return f"{text or TITLE}\n{section}"
    return before + section + rest.partition(f"{end}\n")[2]


def card_section(
    name: str, description: str, rows: Mapping[str, Any], limits: Iterator[str], loading: str
) -> str:
    """Returns the card's section on one file, in Markdown.

    Args:
        name: name of the file.
        description: description of the model in a sentence, or empty.
        rows: rows of the table; those that are None are left out.
        limits: limits of the model, one sentence each.
        loading: lines on how to load the file.
    """
    lines = [f"## {name}", ""]
    if description:
        lines += [description, ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {row} | {_cell(value)} |" for row, value in rows.items() if value is not None]
    lines += ["", "### Limits", "", *(f"- {limit}" for limit in limits)]
    lines += ["", "### How to load it", "", loading]
    return printable("\n".join(lines), lines=True)


def _what(checkpoint: Checkpoint) -> str:
    c = checkpoint.config
    count = f"{parameters(checkpoint.model) / 1e6:.1f} M parameters"
    several = len(members_of(c))
    layers = f"{several} models of together " if several > 1 else ""
    own = f"{c.encoder_layers} and " if several == 1 and c.encoder_layers else ""
    layers += f"{own}{c.num_layers} layers of width {c.hidden_dim}"
    layers += " at most" if several > 1 else ""
    pairs = " of pairs of texts" if checkpoint.task.pair else ""
    return f"{c.architecture}, {layers}, {count}; {checkpoint.task.name}{pairs}"


def _labels(labels: Sequence[str]) -> str | None:
    if not labels:
        return None
    shown = ", ".join(labels[:_SHOWN_LABELS])
    more = len(labels) - _SHOWN_LABELS
    return f"{len(labels)}: {shown}" + (f" and {more} more" if more > 0 else "")


def _origin(checkpoint: Checkpoint) -> str | None:
    """The published weights, and their licence, which the file's users have to keep."""
    told = []
    for published in _published(checkpoint):
        source = published["source"]
        name = source if source.startswith("hf:") else Path(source).name
        told.append(f"{name}, licence {published['licence'] or 'not stated'}")
    return f"the published weights of {'; of '.join(dict.fromkeys(told))}" if told else None


def _published(checkpoint: Checkpoint) -> list[Mapping[str, Any]]:
    """The published weights that a model, or each of several that answer as one, began with."""
    model = checkpoint.recipe.model
    several = model.settings["members"] if model.name == FUSED else ()
    return [one for one in (model.published, *(part["published"] for part in several)) if one]


def _vocabulary(checkpoint: Checkpoint) -> str | None:
    """A pruned vocabulary: its size, and what is read in smaller pieces than it was."""
    pruned = checkpoint.recipe.tokenizer.pruned
    if not pruned:
        return None
    measured = pruned["after_training"] and checkpoint.metrics
    since = ", and the scores were measured before" if measured else ""
    return (
        f"{pruned['kept']:,} of {pruned['pieces']:,} pieces, those of "
        f"{kept_for(checkpoint.recipe)}{since}; other texts are read in smaller pieces"
    )


def _data(checkpoint: Checkpoint) -> str | None:
    data = checkpoint.recipe.data
    if not checkpoint.metrics and not data.train:
        return None
    train, validation = (Path(path).name or "rows" for path in (data.train, data.validation))
    return f"trained on {train}, measured on {validation}"


def _score(checkpoint: Checkpoint, *, is_float: bool) -> str | None:
    """A validation metric, or None if it was not measured in this precision."""
    if checkpoint.is_quantized:
        metrics = checkpoint.metrics.get("float" if is_float else "validation")
    else:
        metrics = checkpoint.metrics.get("validation") if is_float else None
    if not metrics:
        return None
    shown = {
        name: value for name, value in metrics.items()
        if name in _SHOWN_METRICS and value is not None
    }  # fmt: skip
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in shown.items())


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
