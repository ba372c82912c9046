"""`keras-transformer models`: the catalogue."""

import json

import click

from keras_transformer.cli import options
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.catalog import (
    CATALOG,
    SIZES,
    get_config,
)
from keras_transformer.zoo.models.families.encoders.bert import BERT, pretraining_head_parameters
from keras_transformer.zoo.models.families.family import COUNTED_LENGTH as LENGTH
from keras_transformer.zoo.models.families.known import KNOWN_MODELS

CONVENTION = (
    "Parameters are those of the model without a task's head, tied tables counted once; the "
    f"published counts of BERT include its pre-training heads. Multiply-adds are those of the "
    f"matrix products of one pass over {LENGTH} tokens (of source and of target each), or over one "
    "input of a model whose inputs have one size, such as an image."
)


@click.command()
@click.argument("name", required=False)
@options.as_json()
def models(name: str | None, as_json: bool) -> None:
    """List the catalogue, or show one model: of the catalogue, or a published one.

    A published model is a folder that transformers wrote, a .safetensors file beside its
    config.json, or hf:OWNER/NAME[@REVISION].

    Example: keras-transformer models bert_mini

    One that others published: keras-transformer models hf:sentence-transformers/all-MiniLM-L6-v2
    """
    from keras_transformer.cli import display
    from keras_transformer.zoo.pretrained.source import is_published

    if name is None:
        described = [describe(known) for known in CATALOG]
        described += [known._asdict() for known in KNOWN_MODELS] if as_json else []
    elif is_published(name, or_checkpoint=False):
        described = describe_published(name)
    else:
        described = {**describe(name), "configuration": get_config(name).to_json()}
    if as_json:
        display.say_json(described)
    elif name is None:
        print_list(described)
        print_known()
    elif "family" in described:
        print_published(described)
    else:
        print_model(described)


def describe(name: str) -> dict:
    """Returns a model's entry: architecture, size, multiply-adds and tasks."""
    from keras_transformer.zoo.tasks.registry import tasks_for

    config = get_config(name)
    if name not in SIZES:
        raise InputError(f"Expected one model of the catalogue, got {name!r}; describe each.")
    count = SIZES[name].parameters
    published = 0
    if name in BERT.sizes:
        published = pretraining_head_parameters(config.vocab_size, config.hidden_dim)
    return {
        "name": name,
        "architecture": config.architecture,
        "parameters": count,
        "parameters_with_pretraining_heads": count + published,
        f"multiply_adds_at_{LENGTH}_tokens": SIZES[name].multiply_adds,
        "tasks": list(tasks_for(config.architecture, config.modality)),
    }


def print_list(described: list[dict]) -> None:
    from keras_transformer.cli import display

    rows = []
    for model in described:
        name, architecture, count, _, work, tasks = model.values()
        rows.append(
            (name, architecture, millions(count), millions(work), ", ".join(tasks) or None)
        )
    work = f"Multiply-adds at {LENGTH} tokens"
    display.table(None, ("Model", "Architecture", "Parameters", work, "Tasks"), rows)
    display.say(f"\n{CONVENTION}")


def print_model(model: dict) -> None:
    from keras_transformer.cli import display

    name, architecture, count, published, work, tasks = list(model.values())[:6]
    rows = [("parameters", f"{count:,}")]
    if published != count:
        rows.append(("parameters with pre-training heads", f"{published:,}"))
    rows += [
        (f"multiply-adds at {LENGTH} tokens", f"{work:,}"),
        ("tasks", ", ".join(tasks) or None),
    ]
    settings = settings_of(model)
    display.table(f"{name} ({architecture})", ("Setting", "Value"), [*rows, *settings])
    display.say(f"\n{CONVENTION} Settings are changed with `train --set NAME=VALUE`.")


def settings_of(model: dict) -> list[tuple[str, str]]:
    """Returns the rows of a model's configuration."""
    return [
        (setting, json.dumps(value) if isinstance(value, bool) else str(value))
        for setting, value in model["configuration"].items()
        if setting != "architecture"
    ]


def describe_published(name: str) -> dict:
    """Returns what is known of a published model without reading its weights."""
    from keras_transformer.zoo.pretrained.checkpoints import task_of
    from keras_transformer.zoo.pretrained.load import load_pretrained
    from keras_transformer.zoo.tasks.registry import tasks_for

    found = load_pretrained(name)
    return {
        "name": found.location.name,
        "family": found.family,
        "architecture": found.config.architecture,
        "parameters": found.parameters,
        "licence": found.licence or None,
        "revision": found.location.revision or None,
        "as_it_is": task_of(found).name,
        "tasks": list(tasks_for(found.config.architecture, found.config.modality)),
        "configuration": found.config.to_json(),
    }


def print_published(model: dict) -> None:
    from keras_transformer.cli import display

    rows = [
        ("family", model["family"]),
        ("parameters", f"{model['parameters']:,}"),
        ("licence", model["licence"] or "not stated"),
        ("revision", model["revision"]),
        ("as it is", model["as_it_is"]),
        ("can be trained for", ", ".join(model["tasks"])),
        *settings_of(model),
    ]
    display.table(f"{model['name']} ({model['architecture']})", ("Setting", "Value"), rows)


def print_known() -> None:
    from keras_transformer.cli import display

    rows = [
        (known.name, known.family, millions(known.parameters), known.licence, known.use)
        for known in KNOWN_MODELS
    ]
    display.say("\nPublished models that are known to be useful on a device:\n")
    display.table(None, ("Model", "Family", "Parameters", "Licence", "For"), rows)


def millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"
