"""From a recipe to a checkpoint folder."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_transformer.zoo.batches import Batches
from keras_transformer.zoo.catalog import TASKS_OF, get_config
from keras_transformer.zoo.checkpoint import check_folder_target
from keras_transformer.zoo.config import TransformerConfig
from keras_transformer.zoo.data import Examples, load_examples
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.evaluate import metrics
from keras_transformer.zoo.fit import Fit, is_state, remove_states
from keras_transformer.zoo.models import build
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.report import Report
from keras_transformer.zoo.sampling import SampledBatches
from keras_transformer.zoo.tasks import Task
from keras_transformer.zoo.tokenizer import Encoded, Tokenizer, TokenizerConfig
from keras_transformer.zoo.trained import PREDICT_TOKENS, Trained, predict, take_probes
from keras_transformer.zoo.vocabulary import TextTokenizer, learn_vocabulary, read_vocabulary


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """The data of a run, read and tokenized."""

    train: Examples
    validation: Examples
    tokenizer: Tokenizer
    train_encoded: Encoded
    validation_encoded: Encoded

    def batches(self, recipe: Recipe) -> Batches | SampledBatches:
        """The training batches of a recipe."""
        if recipe.piece_dropout:
            return SampledBatches(self.tokenizer, self.train, recipe)
        return Batches(
            self.train_encoded, self.train.targets, batch_tokens=recipe.batch_tokens,
            bucket=recipe.bucket, seed=recipe.seed,
        )  # fmt: skip

    def validator(self, task: Task) -> Callable[[keras.Model], dict[str, Any]]:
        """Returns the function from a model to its metrics on the validation data."""
        batches = Batches(self.validation_encoded, None, batch_tokens=PREDICT_TOKENS)
        targets = self.validation.targets
        return lambda model: metrics(
            task.name, task.labels, targets, predict(model, task, batches)
        )


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    scalars: Callable[[str, float, int], None] | None = None,
) -> Trained:
    """Trains a model of the catalogue and writes its checkpoint folder.

    States to resume from are kept in the folder `OUT.training` until the run ends.

    Args:
        recipe: the run.
        out: the checkpoint folder.
        resume: whether to go on from the last state of a run that was killed.
        overwrite: whether a checkpoint that is there is replaced, or an unfinished run discarded.
        report, scalars: see `Fit`.

    Raises:
        InputError: for a mistake in the recipe or the data.
        FileExistsError: `out` exists, or an unfinished run of it.
        RunError: the loss became infinite or not a number.
    """
    out, report = Path(out), report or Report()
    folder = working_folder(out, resume=resume, overwrite=overwrite)
    config, task_name = _config(recipe), recipe.task
    columns = {"text": recipe.text, "text_pair": recipe.text_pair, "label": recipe.label}
    examples = load_examples(recipe.train, **columns, task=task_name)
    task = Task(name=task_name, labels=tuple(examples.labels), pair=recipe.text_pair is not None)
    validation = load_examples(
        recipe.validation, **columns, task=task_name, labels=examples.labels or None
    )
    tokenizer = _tokenizer(recipe, examples, config)
    config = config.replace(vocab_size=tokenizer.vocab_size)
    data = prepare(examples, validation, tokenizer, recipe.max_length, report)

    keras.utils.set_random_seed(recipe.seed)
    model = build(config, task, dtype=recipe.dtype)
    fit = Fit(
        model, task, recipe, data.batches(recipe), data.validator(task), folder=folder,
        report=report, scalars=scalars,
    )  # fmt: skip
    if resume:
        fit.resume()
    report.start("train", fit.total_steps)
    best = fit.run()
    trained = Trained(
        config=config, task_spec=task, tokenizer=tokenizer, max_length=recipe.max_length,
        model=model, recipe=recipe, metrics={"validation": best},
        probes=take_probes(data.validation_encoded, recipe.seed),
    )  # fmt: skip
    trained.save(out, overwrite=overwrite)
    remove_states(folder)
    return trained


def prepare(
    examples: Examples, validation: Examples, tokenizer: Tokenizer, max_length: int, report: Report
) -> Prepared:
    """Tokenizes training and validation data, and reports what was cut."""
    encoded = []
    for part in (examples, validation):
        encoded.append(tokenizer.encode(part.texts, part.pairs, max_length=max_length))
        if encoded[-1].num_truncated:
            report.note(
                f"{encoded[-1].num_truncated} of {len(part.texts)} rows of {part.path} are longer "
                f"than {max_length} tokens and were cut."
            )
    return Prepared(
        train=examples, validation=validation, tokenizer=tokenizer,
        train_encoded=encoded[0], validation_encoded=encoded[1],
    )  # fmt: skip


def states_of(out: str | Path) -> Path:
    """Returns the folder in which an unfinished run of `out` keeps its states."""
    out = Path(os.path.abspath(out))
    return out.with_name(f"{out.name}.training")


def working_folder(out: Path, *, resume: bool, overwrite: bool) -> Path:
    """Returns `OUT.training`, once it is clear that the run may begin.

    Raises:
        FileExistsError: `out` may not be replaced, or an unfinished run is in the way.
    """
    folder = states_of(out)
    check_folder_target(out, overwrite=overwrite)
    if not folder.exists():
        return folder
    # The folder is removed when the run ends, so nobody's files may be in it.
    foreign = sorted(entry.name for entry in folder.iterdir() if not is_state(entry.name))
    if foreign:
        raise FileExistsError(
            f"{folder} holds {foreign[0]!r}, which is no state of a run; choose another path."
        )
    # A writer that was killed between its renames leaves the state at the side.
    kept = any((folder / name).exists() for name in ("state", ".state.old"))
    if kept and not resume:
        if not overwrite:
            raise FileExistsError(
                f"{folder} holds an unfinished run; go on with --resume, "
                "or discard it with --overwrite."
            )
        remove_states(folder)
    return folder


def _config(recipe: Recipe) -> TransformerConfig:
    """The catalogue's config with the recipe's settings."""
    config = get_config(recipe.model)
    if recipe.task not in TASKS_OF[config.architecture]:
        known = ", ".join(TASKS_OF[config.architecture]) or "none yet"
        raise InputError(
            f"Expected a task that the {config.architecture} {recipe.model} can be trained for "
            f"({known}), got task={recipe.task!r}."
        )
    if "vocab_size" in recipe.settings:
        raise InputError("Expected no setting vocab_size: it follows from the tokenizer.")
    config = config.replace(**recipe.settings)
    if recipe.max_length > config.max_length:
        raise InputError(
            f"Expected max_length to be at most the model's {config.max_length}, "
            f"got max_length={recipe.max_length}."
        )
    if recipe.text_pair is not None and config.num_segments < 2:
        raise InputError(
            f"Expected a model with two segments for pairs, got {recipe.model} "
            f"with num_segments={config.num_segments}."
        )
    return config


def _tokenizer(recipe: Recipe, examples: Examples, config: TransformerConfig) -> Tokenizer:
    """The recipe's tokenizer, with a vocabulary that is read or learned from the examples."""
    settings = TokenizerConfig(
        kind=recipe.tokenizer, lowercase=recipe.lowercase, strip_accents=recipe.strip_accents
    )
    if recipe.tokenizer == "bytes":
        return TextTokenizer(settings)
    limit = config.vocab_size
    if recipe.vocabulary:
        vocabulary = read_vocabulary(recipe.vocabulary)
        if len(vocabulary) > limit:
            raise InputError(
                f"{recipe.vocabulary} has {len(vocabulary)} entries, more than the {limit} of "
                f"{recipe.model}; take a smaller vocabulary or a larger model."
            )
    else:
        if recipe.vocab_size > limit:
            raise InputError(
                f"Expected vocab_size to be at most the {limit} of {recipe.model}, "
                f"got vocab_size={recipe.vocab_size}."
            )
        texts = [*examples.texts, *(examples.pairs or [])]
        vocabulary = learn_vocabulary(texts, recipe.vocab_size, settings)
    return TextTokenizer(settings, vocabulary)
