"""One head of a checkpoint of several tasks, as a checkpoint of its own."""

import dataclasses
from typing import Any

from keras_transformer.zoo.models.build import build, get_weights, set_weights
from keras_transformer.zoo.models.fused_config import config_of_head
from keras_transformer.zoo.models.heads import weights_of_head
from keras_transformer.zoo.models.kept_layers import keep_layers
from keras_transformer.zoo.tasks.multi_task.multi_data import probes_of_head
from keras_transformer.zoo.tasks.multi_task.multi_task import BY_TASK


def head_view(checkpoint: Any, name: str) -> Any:
    """Returns a checkpoint of the encoder with one of the heads, which has copies of the weights.

    Where each head has an encoder of its own, it is that of one kind of rows.

    Args:
        checkpoint: `Checkpoint` of several tasks.
        name: name of one of the tasks.
    """
    tasks = checkpoint.task.tasks
    task = tasks[name]
    modality, config = checkpoint.modality.of_kind(task.modality), checkpoint.config
    if is_tower := modality is not checkpoint.modality:
        config = config.members[task.modality]
    config = config_of_head(config, name)
    model = build(config, task, bits=checkpoint.bits)
    keep = keep_layers(model, checkpoint.keep, head=name, is_tower=is_tower)
    weights = weights_of_head(
        get_weights(checkpoint.model), name, get_weights(model), is_tower=is_tower
    )
    set_weights(model, weights)
    recipe = checkpoint.recipe
    recipe = dataclasses.replace(
        recipe, task=task.name,
        data=dataclasses.replace(
            recipe.data, train="", validation="", digest="", sampling_power=1.0,
            columns=checkpoint.task.columns_of.get(name, task.columns),
        ),
        optimizer=dataclasses.replace(recipe.optimizer, loss_weights="fixed"),
    )  # fmt: skip
    inputs = [spec.name for spec in modality.inputs(pair=task.pair)]
    return dataclasses.replace(
        checkpoint, config=config, modality=modality, task=task, model=model, recipe=recipe,
        rows={}, keep=keep,
        metrics={
            part: found[BY_TASK][name] for part, found in checkpoint.metrics.items()
            if isinstance(found, dict) and BY_TASK in found
        },
        probes=probes_of_head(checkpoint.probes, list(tasks).index(name), inputs),
    )  # fmt: skip
