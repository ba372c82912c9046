"""New students: of the catalogue, published, or with blocks of their teacher."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_transformer.edge.compress.inner_states import even_places
from keras_transformer.edge.compress.structure import shortened
from keras_transformer.stacks import Decoder, Encoder
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.models.build import build, get_weights, is_range, set_weights
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.fused_config import FUSED, Config
from keras_transformer.zoo.pretrained.checkpoints import assign, modality_of, opened
from keras_transformer.zoo.pretrained.load import Pretrained
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training.chosen.configs import config_of

# Settings of an encoder that the texts of a run choose, see `training.suited`.
_OF_DATA = ("pooling", "dropout")
# Settings that say how pictures and sounds are read, which both do alike; and sizes of a
# spectrogram in samples, which go with the rate.
_READING = {
    "image": ("height", "width", "channels", "crop", "stretch", "method"),
    "audio": ("rate", "samples"), "speech": ("rate", "samples"),
}  # fmt: skip
_FRAMES = ("frame", "hop")
# Settings in which a student with the teacher's blocks may differ from it: they shape no weight.
_FREE = ("num_layers", "encoder_layers", "dropout", "attention_dropout", "stochastic_depth")


def new_student(teacher: Checkpoint, name: str, settings: Mapping[str, Any]) -> Checkpoint:
    """Returns an untrained model with the teacher's labels and tokenizers.

    An encoder of texts of the catalogue has the pooling and the dropout of the teacher's recipe,
    which its training data chose, and a model of images or sounds reads what the teacher does,
    unless settings say others. A published model has its weights and its own tokenizers.

    Its recipe is the teacher's except for the model, as a starting point.

    Raises:
        InputError: if a name or setting is unknown, or the model does not support the task.
    """
    recipe, config, pretrained = _named(teacher, name, settings)
    keras.utils.set_random_seed(recipe.training.seed)
    model = build(config, teacher.task)
    if pretrained is not None:
        assign(pretrained, config, model)
    return _student(teacher, recipe, config, pretrained, model)


def shallower(
    teacher: Checkpoint, name: str | None, settings: Mapping[str, Any]
) -> Checkpoint:
    """Returns a student that begins with all of the teacher's weights but for some of its blocks.

    Its embeddings, its norms and its head are the teacher's, and so are its blocks, spread evenly
    over the teacher's from the last one down, see `even_places`: of twice as many every other one,
    as Sanh et al. 2019 (arXiv:1910.01108, section 3) begin with. The last one is always among them,
    whose outputs the head was trained on.

    Args:
        teacher: teacher, which may be quantized; the student is not.
        name: model of the catalogue, or a published one, with the student's shape; None for the
            teacher's.
        settings: changes to that shape; `num_layers` without a name.

    Raises:
        InputError: if the student has more blocks than the teacher, another shape, or blocks of
            another kind than those that it would begin with.
    """
    pretrained = None
    if name is not None:
        recipe, config, pretrained = _named(teacher, name, settings)
    else:
        if "num_layers" not in settings:
            raise InputError(
                "Expected the setting num_layers (--set num_layers=N) for a student without a "
                f"model's name, got settings={dict(settings)}."
            )
        recipe = teacher.recipe.replace(
            settings={**teacher.recipe.model.settings, **settings}, prune=None, quantize=None
        )
        config = teacher.config.replace(**settings)
    _check(teacher.config, config)
    recipe = recipe.replace(published=teacher.recipe.model.published)
    weights = {
        path: value for path, value in get_weights(teacher.model).items() if not is_range(path)
    }
    stacks = [layer for layer in teacher.model.layers if isinstance(layer, Encoder | Decoder)]
    places = {
        stack.name: even_places(*(_depth(one, stack) for one in (config, teacher.config)))
        for stack in stacks
    }
    _, weights = shortened(teacher.config, weights, places)
    model = build(config, teacher.task)
    set_weights(model, weights)
    return _student(teacher, recipe, config, pretrained, model)


def _depth(config: TransformerConfig, stack: Encoder | Decoder) -> int:
    return config.num_layers if isinstance(stack, Decoder) else config.encoder_depth


def _named(
    teacher: Checkpoint, name: str, settings: Mapping[str, Any]
) -> tuple[Recipe, TransformerConfig, Pretrained | None]:
    """The recipe and the config of a model by its name, and that model if it is published."""
    recipe = teacher.recipe.replace(
        model=name, settings=dict(settings), published={}, prune=None, quantize=None
    )
    recipe, pretrained = opened(recipe)
    if pretrained is None:
        # Its kind of rows is that of the name: settings may fit those of the teacher alone.
        chosen = _of_teacher(teacher, config_of(recipe.replace(settings={})))
        chosen = {
            # What is set for all kinds is set for each.
            one: value for one, value in chosen.items() if one.rpartition(".")[2] not in settings
        }
        recipe = recipe.replace(settings={**chosen, **settings})
    config = config_of(recipe, pretrained)
    if config.modality != teacher.config.modality:
        raise InputError(
            f"Expected a student that reads {teacher.config.modality}, as the teacher does, got "
            f"{name}, which reads {config.modality}."
        )
    if pretrained is None:
        config = config.replace(
            vocab_size=teacher.config.vocab_size,
            source_vocab_size=teacher.config.source_vocab_size,
        )
    return recipe, config, pretrained


def _of_teacher(teacher: Checkpoint, config: Config) -> dict[str, Any]:
    """The settings of a new student of the catalogue that are the teacher's."""
    if config.modality != teacher.config.modality:
        return {}
    if (config.architecture, config.modality) == ("encoder", "text"):
        # What the data chose for the teacher, or for its first member.
        model = teacher.recipe.model
        given = model.settings["members"][0]["settings"] if model.name == FUSED else model.settings
        return {name: given[name] for name in _OF_DATA if name in given}
    return reading(teacher.config, _FRAMES)


def reading(config: Config, others: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the settings that say how a model reads pictures and sounds, by their full names.

    Args:
        config: of the model.
        others: names of more settings of it.
    """
    kinds = config.modality.split(PLUS)
    found = {}
    for kind in kinds:
        own = config.modality_settings if len(kinds) == 1 else config.modality_settings[kind]
        for name in (*_READING.get(kind, ()), *others):
            if name in own:
                found[name if len(kinds) == 1 else f"{kind}.{name}"] = own[name]
    return found


def _student(
    teacher: Checkpoint, recipe: Recipe, config: TransformerConfig,
    pretrained: Pretrained | None, model: keras.Model,
) -> Checkpoint:  # fmt: skip
    """A checkpoint of a model with the teacher's task and its own or the teacher's tokenizers."""
    modality, positions = teacher.modality, config.positions_of_rows
    if pretrained is not None:
        modality = modality_of(pretrained, teacher.max_length)
    elif positions is not None:
        # Its own settings, such as the size of its patches.
        recipe = recipe.replace(max_length=positions)
        modality = dataclasses.replace(
            modality, max_length=positions, settings=config.modality_settings
        )
    return Checkpoint(
        config=config, task=teacher.task, model=model, recipe=recipe, metrics={}, probes={},
        rows=teacher.rows, modality=modality,
    )  # fmt: skip


def _check(teacher: TransformerConfig, student: TransformerConfig) -> None:
    """Raises InputError if blocks of the teacher are none of the student's."""
    for field in dataclasses.fields(TransformerConfig):
        ours, theirs = getattr(student, field.name), getattr(teacher, field.name)
        if field.name not in _FREE and ours != theirs:
            raise InputError(
                f"Expected a student of the teacher's {field.name} to begin with its blocks, got "
                f"{field.name}={ours!r} for {theirs!r}."
            )
    for name, depths in (
        ("num_layers", (student.num_layers, teacher.num_layers)),
        ("encoder_layers", (student.encoder_depth, teacher.encoder_depth)),
    ):
        if depths[0] > depths[1]:
            raise InputError(
                f"Expected {name} to be at most the teacher's {depths[1]} to begin with its "
                f"blocks, got {name}={depths[0]}."
            )
    differ = len(set(teacher.layer_pattern)) > 1 or not teacher.first_norm
    if student.num_layers < teacher.num_layers and differ:
        raise InputError(
            "Expected all blocks of a teacher whose blocks are of several kinds, got "
            f"num_layers={student.num_layers} for {teacher.num_layers}."
        )
