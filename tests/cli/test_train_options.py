"""The options of `train` beside the fields of a recipe."""

from keras_transformer.cli.train import train
from keras_transformer.zoo.recipe import OPTIONS
from keras_transformer.zoo.tasks.registry import TASKS
from tests.cli.calls import call

NAMES_OF_OPTIONS = {"dtype": "mixed_precision"}


def test_every_field_of_a_recipe_is_an_option():
    names, later = {parameter.name for parameter in train.params}, ("prune", "quantize", "distill")
    fields = {name for name, option in OPTIONS.items() if option.part not in later}
    fields -= {"columns", "digest", "labels", "pruned", "published", "split_seed"}
    fields -= {"validation_share"}
    fields = {NAMES_OF_OPTIONS.get(name, name) for name in fields}
    fields |= {use for task in TASKS.values() for use in task.columns}
    assert fields <= names
    # Those of every command are added where a command is first looked up; a fusion is a setting.
    assert names - fields - {"max_unpacked", "verbose"} == {
        "out", "overwrite", "resume", "tensorboard", "recipe_file", "task", "tasks", "baseline",
        "fusion", "distribute", "coordinator", "processes", "process", "engine", "workers",
        "restarts", "prepared", "log", "profile", "peak",
    }  # fmt: skip


def test_defaults_in_the_help_are_those_of_a_recipe():
    text = " ".join(call("train", "--help").stdout.split())
    rate = OPTIONS["learning_rate"].default
    assert f"Peak learning rate. [default: {rate}; by the data for a classification]" in text
    decay = OPTIONS["beta_2"].default
    assert f"decay rate of the mean squared gradient. [default: {decay}]" in text
    assert "* for all kernels of the blocks. [default: *]" in text
    assert "--tokenizer [auto|wordpiece|sentencepiece|characters|bytes]" in text
