"""`keras-transformer train`: training of a model of the catalogue on your own data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from keras_transformer.cli import kinds, options, training
from keras_transformer.cli.spread import spread, spread_options
from keras_transformer.zoo.recipe import CHOICES, OPTIONS, Recipe
from keras_transformer.zoo.recipe.training_data import data_options
from keras_transformer.zoo.tasks.registry import ALIASES, DEFAULT_TASK, TASKS

MIXED = {"none": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}

# Option of a recipe -> help; the command's option has its name with dashes, default and choices.
FIELDS = {
    "tokenizer": "Kind of tokenizer; auto selects wordpiece, or sentencepiece for scripts without "
    "spaces between words. For a translation sentencepiece, for language-modeling characters by "
    "default.",
    "vocab_size": "Largest size of the vocabulary that is learned from the training file.",
    "normalization": "Normalization before sentencepiece: nfkc folds compatibility characters, "
    "identity changes nothing (the default of models that write).",
    "max_length": "Largest length in tokens, special ones included; longer texts are cut and "
    "counted.",
    "stride": "Number of tokens that neighbouring windows of a text longer than --max-length have "
    "in common, as transformers counts it (token-classification and question-answering); 0 for a "
    "quarter of a window.",
    "optimizer": "Optimizer; momentum is SGD with momentum 0.9.",
    "learning_rate": "Peak learning rate.",
    "schedule": "Schedule of the learning rate after the warm-up.",
    "warmup": "Share of the steps in which the learning rate rises from zero.",
    "epochs": "Largest number of passes over the training data.",
    "steps": "Number of steps, in place of --epochs; 0 for as many as the epochs have.",
    "patience": "Epochs without a better validation metric until the run stops; 0 for never.",
    "batch_tokens": "Batch size in tokens, padding included.",
    "bucket": "Divisor of padded lengths.",
    "rows_multiple": "Divisor of the number of rows of each batch, but of one of each length; the "
    "replicas of --distribute have to divide it (8 there by default).",
    "label_smoothing": "Share of the target spread over all classes or tokens (0.1 for a "
    "translation by default).",
    "token_dropout": "Share of the training tokens that are replaced by [MASK].",
    "piece_dropout": "Probability, at each piece, of splitting a training word further.",
    "augment": "How training data are changed at random, with commas between: images flip, crop, "
    "randaugment, erase, mixup, cutmix; sounds shift, level, noise, mask, "
    "frequency.",
    "class_weights": "Whether rare labels are weighed up in the loss: balanced weighs labels by "
    "the inverse of their number of training rows.",
    "focal": "Exponent of the focal loss, which counts less what is predicted well; 0 for the "
    "cross entropy.",
    "scope_score": "Score that --out-of-scope finds a threshold of: the largest probability, the "
    "energy or the largest logit.",
    "mask_share": "Share of the tokens that masked-language-modeling hides.",
    "scope_weight": "Weight of the share of --out-of-scope rows that are rejected beside the share "
    "of validation rows that are answered rightly; below 1 for fewer rejections.",
    "objective": "What an embedding learns: scores of pairs, or ranking of pairs that match, "
    "which have none; what masked-language-modeling learns: masked words (its default), or "
    "which words a small generator replaced.",
    "loss_weights": "Weights of the losses of several tasks: those of the table, or times what is "
    "learned of each task's uncertainty.",
    "sampling_power": "Power of the tasks' sizes by which batches of several tasks are drawn: 1 "
    "for every row once in an epoch, 0 for as many batches of each.",
    "widths": "Numbers of an embedding's first values that are to do alone, such as 64,128.",
    "vector_dim": "Width of the vectors of rows of two kinds that match (contrastive only).",
    "separator": "Character between the labels of a row (multi-label only).",
    "weight_decay": "Decoupled weight decay (adamw only).",
    "l1": "L1 penalty on the kernels of projections.",
    "l2": "L2 penalty on the kernels of projections.",
    "clip_norm": "Largest global norm of the gradients; 0 for no clipping.",
    "beta_2": "Adam's decay rate of the mean squared gradient.",
    "layer_decay": "Factor of the learning rate of each block over that of the next one towards "
    "the output; embeddings have the smallest rate. 1 for equal rates.",
    "average": "Number of last epochs whose mean weights are validated and kept; 0 for none.",
    "ema": "Decay of the moving average of weights that is validated and kept; 0 for no averaging.",
    "seed": "Random seed; the same seed on the same machine gives the same weights.",
    "freeze": "Weights that stay as they are: path patterns, separated by commas, such as "
    "embeddings,encoder/block_[0-3].",
    "lora": "Rank of the adapters that are trained, with the head, in place of the other weights "
    "of a published model; 0 to train the weights themselves.",
    "lora_layers": "Layers that have the adapters of --lora: patterns of their paths, or of "
    "their ends, separated by commas, such as query,value or feed_forward; * for all kernels "
    "of the blocks.",
    "save_every": "Number of steps between saved states; a state is also saved after each epoch.",
}
# Option of a recipe, the flags that turn it on and off, help.
SWITCHES = (
    ("lowercase", "--uncased", "--cased",
     "Whether case is folded (the default of tasks over whole texts) or kept."),
    ("strip_accents", "--strip-accents", "--keep-accents",
     "Whether accents are removed (the default of tasks over whole texts) or kept."),
    ("shared_vocabulary", "--shared-vocabulary", "--separate-vocabularies",
     "Whether source and target of a translation share one vocabulary (the default)."),
    ("adapter", "--adapter", "--no-adapter",
     "Whether --out holds the adapters of --lora and the head alone, which are opened with the "
     "published model that they belong to, or all weights with the adapters merged (the default)."),
    ("calibrate", "--calibrate", "--no-calibrate",
     "Whether the probabilities of a classification are calibrated on the validation data (the "
     "default)."),
    ("xla", "--xla", "--no-xla", "Whether steps are compiled with XLA (by default not)."),
)  # fmt: skip


# Options that the training rows of a classification decide by default.
BY_DATA = ("vocab_size", "max_length", "learning_rate", "epochs", "label_smoothing",
           "token_dropout")  # fmt: skip


def recipe_options(command: Callable) -> Callable:
    """Adds an option for each entry of the two tables; one that is not given is None."""
    for name, on, off, text in reversed(SWITCHES):
        command = click.option(f"{on}/{off}", name, default=None, help=text)(command)
    for name, text in reversed(FIELDS.items()):
        kind = kinds.of_kind(OPTIONS[name].kind)
        kind = click.Choice(CHOICES[name]) if name in CHOICES else kind
        by_data = "; by the data for a classification" if name in BY_DATA else ""
        add = click.option(
            f"--{name.replace('_', '-')}", name, type=kind,
            help=f"{text}  [default: {OPTIONS[name].default}{by_data}]",
        )  # fmt: skip
        command = add(command)
    return command


def settings_of(_context: Any, _parameter: Any, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Parses `KEY=VALUE` pairs: a value is JSON, or else text."""
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"Expected KEY=VALUE, got {pair!r}.")
        try:
            settings[key] = json.loads(value)
        except RecursionError:
            raise click.BadParameter(f"Expected VALUE of few brackets, got {pair!r}.") from None
        except ValueError:
            settings[key] = value
    return settings


DATA_FILE, DATA = kinds.ExistingFile(str), kinds.ExistingData(str)


@click.command()
@click.argument("model", required=False)
@click.option(
    "--task", type=click.Choice((*TASKS, *ALIASES)),
    help="Task of the model; "
    + ", ".join(f"{alias} is another name of {name}" for alias, name in ALIASES.items())
    + f".  [default: {DEFAULT_TASK}]",
)
@click.option(
    "--train", type=DATA, metavar="FILE",
    help="Training data with a header: .tsv, .csv or .jsonl, plain or .gz; for images and "
    "sounds also a folder with a folder for each class, or arrays in .npz; for "
    "language-modeling and masked-language-modeling plain text; for token-classification .conll, "
    ".conllu or .jsonl; for question-answering .json or .jsonl.",
)
@click.option(
    "--validation", type=kinds.FileOrShare(str), metavar="FILE|SHARE",
    help="Validation data, or a share of the training data such as 0.1; the epoch that is "
    "best on them is kept.",
)
@options.text(help="Column of the text; of the words in CoNLL, by number.  [default: text]")
@options.text_pair()
@options.image(
    help="Column of the images: paths within the folder of the table, or arrays in .npz.  "
    "[default: image]"
)
@options.audio(
    help="Column of the sounds: paths within the folder of the table, or arrays in .npz.  "
    "[default: audio]"
)
@options.label(
    help="Column of the labels: names, integers, or numbers to predict; of the tags in CoNLL, by "
    "number.  [default: label]"
)
@options.fusion()
@click.option(
    "--negative", type=kinds.TEXT, metavar="COLUMN",
    help="Column of a text that does not match the first (embedding with --objective ranking).",
)
@options.source(help="Column of a translation's source text.")
@options.target(help="Column of a translation's target text; several for one model, such as de,fr.")
@click.option(
    "--out-of-scope", type=DATA, metavar="FILE",
    help="Rows that a classification is to reject: with the validation rows they decide below "
    "which --scope-score a prediction has no label.",
)
@click.option(
    "--tasks", type=DATA_FILE, metavar="FILE",
    help="Table of several tasks for one model, in JSON, in place of --task, --train, "
    "--validation and columns: for each task an object with task, train, validation, and what else "
    "differs from the defaults.",
)
@options.out()
@options.overwrite()
@options.resume()
@options.tensorboard()
@click.option(
    "--recipe", "recipe_file", type=kinds.EXISTING_FILE, metavar="FILE",
    help="Repeat the run of a recipe.json; other options override it.",
)
@click.option(
    "--baseline/--no-baseline", default=True, show_default=True,
    help="Whether a classification is compared with n-grams fitted to the same data.",
)
@click.option(
    "--vocabulary", type=DATA_FILE, metavar="FILE",
    help="Existing vocab.txt to use instead of learning a vocabulary.",
)
@options.prune_vocabulary(
    type=DATA_FILE,
    help="Text file for a published model: pieces of its vocabulary that neither its lines nor the "
    "training rows need leave the model; other texts are read in smaller pieces.",
)
@recipe_options
@spread_options
@click.option(
    "--mixed-precision", type=click.Choice(tuple(MIXED)),
    help="Compute in 16 bits with 32-bit weights.  [default: none]",
)
@click.option(
    "--set", "settings", type=kinds.TEXT, multiple=True, metavar="KEY=VALUE",
    callback=settings_of,
    help="Change a setting of the model, such as dropout=0.3; may be repeated.",
)
def train(
    out: Path, overwrite: bool, resume: bool, tensorboard: Path | None, recipe_file: Path | None,
    tasks: str | None, baseline: bool, mixed_precision: str | None, settings: dict[str, Any],
    fusion: str | None, distribute: str | None, coordinator: str | None, processes: int | None,
    process: int | None, **given: Any,
) -> None:  # fmt: skip
    """Train a MODEL on your own data: of the catalogue, or from the weights of a trained one.

    Without MODEL the catalogue's one that suits the task and the number of rows is trained.

    A trained one is a checkpoint folder, or a published model: a folder that transformers wrote, a
    .safetensors file beside its config.json, or hf:OWNER/NAME[@REVISION].

    Writes a checkpoint folder with the best weights, the tokenizer, the labels and recipe.json.

    Example: keras-transformer train bert_tiny --train train.tsv --validation dev.tsv --text
    sentence --label label --out my_model

    A published model with a vocabulary for texts of one kind: keras-transformer train
    hf:OWNER/NAME --train train.tsv --validation dev.tsv --prune-vocabulary texts.txt --out my_model

    A translator: keras-transformer train transformer_tiny --task translation --train train.tsv
    --validation dev.tsv --source en --target de --out translator

    An adapter: keras-transformer train hf:sentence-transformers/all-MiniLM-L6-v2 --lora 8 --adapter
    --train train.tsv --validation dev.tsv --out my_adapter

    A tagger: keras-transformer train bert_mini --task token-classification --train train.conll
    --validation dev.conll --out tagger

    Vectors for search: keras-transformer train bert_mini --task similarity --objective ranking
    --train pairs.tsv --validation 0.1 --text question --text-pair answer --out finder

    Several tasks in one model: keras-transformer train bert_mini --tasks tasks.json --out assistant

    A language model: keras-transformer train gpt_tiny --task language-modeling --train train.txt
    --validation dev.txt --out writer

    Images: keras-transformer train vit_tiny --train photos/train --validation photos/dev --out
    photos_model

    Sounds: keras-transformer train kwt_tiny --train clips/train --validation clips/dev --out words

    Questions about images, with an encoder of each: keras-transformer train cct_2+bert_tiny --train
    train.tsv --validation dev.tsv --image path --text question --label answer --fusion cross --out
    answerer

    Images and captions that match: keras-transformer train cct_2+bert_tiny --task contrastive
    --train pairs.tsv --validation dev.tsv --image image --text caption --out clip

    An encoder that has read plain text first: keras-transformer train bert_mini --task
    masked-language-modeling --train texts.txt --validation 0.05 --out pretrained; then
    keras-transformer train ./pretrained --train train.tsv --validation dev.tsv --out my_model
    """
    changes = {name: value for name, value in given.items() if value is not None}
    settings |= {} if fusion is None else {"fusion": fusion}
    if tasks is not None:
        changes |= of_table(tasks, changes)
    if mixed_precision is not None:
        changes["dtype"] = MIXED[mixed_precision]
    run = {"model": recipe_of(recipe_file, changes)} if recipe_file is not None else changes
    for name in ("train", "validation") if recipe_file is None else ():
        if name not in run:
            raise click.UsageError(f"Missing option '--{name}'.")
    with spread(distribute, coordinator, processes, process):
        from keras_transformer.zoo.distributed.devices import is_writer
        from keras_transformer.zoo.training import train as zoo_train

        with training.session(out, tensorboard) as hearers:
            trained = zoo_train.train(
                **run, settings=settings, out=out, resume=resume, overwrite=overwrite,
                baseline=baseline, **hearers,
            )  # fmt: skip
        if not is_writer():
            return
        training.print_result(
            out, trained.metrics["validation"], trained.metrics.get("baseline"),
            had_ended=hearers["report"].had_ended,
            is_pretrained=bool(trained.recipe.model.published),
        )  # fmt: skip


def of_table(tasks: str, given: dict[str, Any]) -> dict[str, Any]:
    """Returns the options of a run on several tasks, whose table names their data."""
    for name in ("task", "train", *options.COLUMNS, "negative", "out_of_scope"):
        if name in given:
            raise click.UsageError(
                f"Expected no --{name.replace('_', '-')} beside --tasks, whose file says it for "
                "each task."
            )
    from keras_transformer.zoo.tasks.multi_task.multi_task import MultiTask

    return {"task": MultiTask.name, "train": tasks, "validation": given.get("validation", tasks)}


def recipe_of(file: Path, changes: dict[str, Any]) -> Recipe:
    """Returns the recipe of a file, overridden by the given options."""
    places = data_options(**{name: changes.pop(name, None) for name in ("train", "validation")})
    return Recipe.from_file(file, tasks=TASKS, **changes, **places)
