"""The model card beside a converted file: what it is, what was measured, how to load it.

One `MODEL_CARD.md` of a folder has a section for each file in it. A section stands between two
comments, so that converting a file again replaces its own section, and nothing that others wrote.
"""

import dataclasses
from pathlib import Path

from keras_transformer.edge.convert.convert import Converted
from keras_transformer.edge.runtime.names import EMBEDDING
from keras_transformer.edge.targets.micro import Micro, c_name
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.models.catalog import parameters

NAME = "MODEL_CARD.md"
TITLE = "# Model card\n"
_SHOWN_LABELS = 12
# How the file of each bundle is loaded, by the bundle's name; {file} is its name.
LOADING = {
    "plain": """\
```python
from keras_transformer.edge.runtime.runner import Runner

print(Runner("{file}").{call})
```""",
    "mediapipe": """\
```python
from mediapipe.tasks import python
from mediapipe.tasks.python import text

options = text.{task}Options(base_options=python.BaseOptions(model_asset_path="{file}"))
with text.{task}.create_from_options(options) as task:
    print(task.{method}("a text, normalized first"))
```

MediaPipe's tokenizer folds ASCII letters only and keeps accents: the app folds case, removes
accents and puts a space for each control, format or separating character first.""",
    "text": """\
```python
import tensorflow_text
from ai_edge_litert.interpreter import InterpreterWithCustomOps

interpreter = InterpreterWithCustomOps(
    model_path="{file}",
    custom_op_registerers=tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS,
)
predict = interpreter.get_signature_runner("predict")
print(predict(texts=[b"a text"]))
```""",
    "micro": """\
```cpp
#include "{stem}.h"
#include "{stem}_ops.h"

alignas(16) uint8_t arena[{stem}_arena_bytes];
tflite::MicroMutableOpResolver<{stem}_op_count> resolver;
{stem}_register_ops(&resolver);
tflite::MicroInterpreter interpreter(tflite::GetModel({stem}), resolver, arena, sizeof(arena));
interpreter.AllocateTensors();
```""",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latency:
    """One invocation's time.

    Attributes:
        milliseconds: the median.
        runs: timed invocations.
        device: what ran it.
    """

    milliseconds: float
    runs: int
    device: str


def with_section(text: str, file: str, section: str) -> str:
    """Returns a card with a file's section, in place of an older one or at its end."""
    begin, end = f"<!-- {file}: begin -->", f"<!-- {file}: end -->"
    section = f"{begin}\n{section}\n{end}\n"
    before, found, rest = text.partition(begin)
    if not found:
        return f"{text or TITLE}\n{section}"
    return before + section + rest.partition(f"{end}\n")[2]


def card_section(path: Path, checkpoint: Checkpoint, converted: Converted, latency: Latency) -> str:
    """Returns what the card says of one file, in Markdown.

    Args:
        path: of the file.
        checkpoint: the checkpoint that it was made of.
        converted: the file.
        latency: of its main signature, on one thread.
    """
    description = converted.description
    about = description["about"]
    rows = [
        ("what", _what(checkpoint)),
        ("labels", _labels(checkpoint.labels)),
        ("data", _data(checkpoint)),
        ("in float, by Keras", _score(checkpoint, is_float=True)),
        (f"in {converted.precision}, by Keras", _score(checkpoint, is_float=False)),
        ("this file", _parity(converted)),
        ("bundle", description["bundle"]),
        ("tokens", ", ".join(map(str, description["lengths"]))),
        ("arena", _bytes(description.get("arena_bytes"))),
        ("size", _bytes(len(converted.data))),
        ("latency", _latency(latency, checkpoint)),
        ("version", about["version"]),
        ("licence", about["license"]),
        ("weights, SHA-256", f"`{description['provenance']['weights_sha256']}`"),
    ]
    lines = [f"## {path.name}", ""]
    if about["description"]:
        lines += [about["description"], ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in rows if value is not None]
    lines += ["", "### Limits", "", *(f"- {limit}" for limit in _limits(checkpoint, description))]
    lines += ["", "### How to load it", "", _loading(path, checkpoint, description)]
    return "\n".join(lines)


def _what(checkpoint):
    c = checkpoint.config
    count = f"{parameters(c) / 1e6:.1f} M parameters"
    layers = f"{c.num_layers} layers of width {c.hidden_dim}"
    pairs = " of pairs of texts" if checkpoint.task.pair else ""
    return f"{c.architecture}, {layers}, {count}; {checkpoint.task.name}{pairs}"


def _labels(labels):
    if not labels:
        return None
    shown = ", ".join(labels[:_SHOWN_LABELS])
    more = len(labels) - _SHOWN_LABELS
    return f"{len(labels)}: {shown}" + (f" and {more} more" if more > 0 else "")


def _data(checkpoint):
    data = checkpoint.recipe.data
    train, validation = (Path(path).name or "rows" for path in (data.train, data.validation))
    return f"trained on {train}, measured on {validation}"


def _score(checkpoint, *, is_float):
    """A metric of the validation data, or None where it was not measured in this precision."""
    if checkpoint.is_quantized:
        metrics = checkpoint.metrics.get("float" if is_float else "validation")
    else:
        metrics = checkpoint.metrics.get("validation") if is_float else None
    if not metrics:
        return None
    shown = {
        name: value for name, value in metrics.items()
        if name in ("accuracy", "macro_f1", "pearson", "spearman", "bleu", "chrf", "perplexity")
    }  # fmt: skip
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in shown.items())


def _parity(converted):
    parity = converted.parity
    same = "" if parity.agreement is None else f"the same choice in {parity.agreement:.1%}, "
    steps = "" if parity.steps is None else f" ({parity.steps:.1f} output steps)"
    return (
        f"on {parity.rows} rows of validation against Keras: {same}largest difference "
        f"{parity.largest:.2g}{steps}"
    )


def _bytes(size):
    return None if size is None else f"{size:,} bytes"


def _latency(latency, checkpoint):
    what = "a token" if checkpoint.task.generates else "a text"
    return (
        f"{latency.milliseconds:.2f} ms {what}, median of {latency.runs} runs, one thread, on "
        f"{latency.device}"
    )


def _limits(checkpoint, description):
    length = description["max_length"]
    yield f"It reads at most {length} tokens; what is longer is cut."
    if checkpoint.task.name == "classification" and description["output"] != EMBEDDING:
        yield "It always answers with one of its labels, to a text that fits none of them too."
    if checkpoint.task.generates:
        yield "What it writes is neither checked nor filtered."
    yield "The scores are of the validation data, which may have chosen the epoch."
    yield "Languages, dialects and groups of people were not measured one by one."


def _loading(path, checkpoint, description):
    call = 'predict(["a text"])'
    if checkpoint.task.generates:
        call = 'generate(["a text"])'
    elif checkpoint.task.pair:
        call = 'predict(["a text"], ["its second text"])'
    embeds = description["output"] == EMBEDDING
    words = {
        "{file}": path.name,
        "{stem}": c_name(path) if description["bundle"] == Micro.name else path.stem,
        "{call}": call,
        "{task}": "TextEmbedder" if embeds else "TextClassifier",
        "{method}": "embed" if embeds else "classify",
    }
    text = LOADING[description["bundle"]]
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _cell(value):
    return str(value).replace("|", "\\|").replace("\n", " ")
