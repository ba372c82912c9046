"""The end of a run, its lock and its folder; what is trained here is a state that is over."""

import errno
import os
import re
import shutil

import pytest

from keras_transformer.edge.quantize.qat import quantize
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.storage.files import write_folder
from keras_transformer.zoo.storage.locks import only_run
from keras_transformer.zoo.training.run_folder import (
    check_run_target,
    remove_states,
    working_folder,
)
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.zoo import tiny


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture(scope="module")
def ended(tables, tmp_path_factory):
    """A recipe, and the folder of its run's checkpoint and of the states that were there before."""
    folder, kept = tmp_path_factory.mktemp("ended"), {}
    recipe = tiny.recipe(tables, epochs=1)

    class Keeping(tiny.Heard):
        def epoch(self, *_):
            kept["best"] = shutil.copytree(folder / "out.training" / "best", folder / "best")

    train_recipe(recipe, folder / "out", report=Keeping())
    return recipe, folder


@pytest.fixture
def resumable(ended, tmp_path):
    """The same in a folder of the test's own, with the leftovers of a run that was killed."""
    recipe, folder = ended
    shutil.copytree(folder / "out", tmp_path / "out")
    shutil.copytree(folder / "best", tmp_path / "out.training" / "best")
    write_folder(tmp_path / "out.training" / "state", {"progress.json": b"{}"})
    (tmp_path / ".out.0123456789abcdef.old").mkdir()
    (tmp_path / ".out.0123456789abcdef.partial").mkdir()
    (tmp_path / ".out.lock").touch()
    return recipe, tmp_path / "out"


@pytest.mark.slow
def test_a_run_that_was_killed_after_its_checkpoint_ends_when_it_is_resumed(resumable):
    recipe, out = resumable
    for _ in range(2):
        before = (out / "manifest.json").stat()  # reading it changes the time of access alone
        result = train_recipe(recipe, out, resume=True, report=(report := tiny.Heard()))
        assert report.notes == [f"{out} is whole already: the run had ended."]
        assert (report.starts, names(out.parent)) == ([], ["out"])
        after = (out / "manifest.json").stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        expected = get_weights(Checkpoint.load(out).model)
        tiny.assert_same_weights(get_weights(result.model), expected)


def test_another_run_is_not_taken_for_the_one_that_ended(resumable):
    recipe, out = resumable
    message = (
        f"{out} exists and is not of the run that is to be resumed; choose another path or "
        "give --overwrite."
    )
    with pytest.raises(FileExistsError, match=f"^{re.escape(message)}$"):
        train_recipe(recipe.replace(seed=1), out, resume=True)
    # Where it may be replaced, a state that is there decides; this one is of no run.
    with pytest.raises(KeyError, match=r"recipe\.json"):
        train_recipe(recipe.replace(seed=1), out, resume=True, overwrite=True)
    (out / "weights.safetensors").write_bytes(b"")
    remove_states(out.with_name("out.training"))
    with pytest.raises(InputError, match="was changed after it was written"):
        train_recipe(recipe, out, resume=True)


@pytest.mark.slow
def test_a_quantized_checkpoint_of_another_float_one_is_not_taken(ended, tmp_path):
    recipe, folder = ended
    source = Checkpoint.load(folder / "out")
    out = tmp_path / "int8"
    quantize(source, out=out, epochs=1)
    report = tiny.Heard()
    quantize(source, out=out, epochs=1, resume=True, report=report)
    assert report.notes == [f"{out} is whole already: the run had ended."]
    source.metrics["validation"]["accuracy"] /= 2
    with pytest.raises(FileExistsError, match="is not of the run that is to be resumed"):
        quantize(source, out=out, epochs=1, resume=True)


@pytest.mark.slow
def test_a_state_from_another_checkpoint_is_not_resumed(ended, tmp_path):
    source = Checkpoint.load(ended[1] / "out")

    class Stopped(tiny.Heard):
        def epoch(self, epoch, *_):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(source, out=tmp_path / "int8", epochs=2, report=Stopped())
    assert names(tmp_path) == ["int8.training"]
    head = source.model.get_layer("head").bias
    head.assign(head + 1)
    with pytest.raises(InputError, match="on other training data, or from another checkpoint"):
        quantize(source, out=tmp_path / "int8", epochs=2, resume=True)


def test_a_second_run_ends_at_its_start(ended, tmp_path):
    recipe, folder = ended
    with only_run(tmp_path / "out"):
        for call in (
            lambda out: train_recipe(recipe, out, overwrite=True),
            lambda out: quantize(folder / "out", out=out),
        ):
            with pytest.raises(FileExistsError, match=f"under way in process {os.getpid()} on "):
                call(tmp_path / "out")
    assert names(tmp_path) == []


def test_a_disk_that_is_full_at_the_first_state(ended, tmp_path, monkeypatch):
    recipe, _ = ended

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="No space left on device"):
            train_recipe(recipe, tmp_path / "new" / "out")
    assert names(tmp_path) == []


def test_what_was_killed_before_a_state_is_cleared(tmp_path):
    states = tmp_path / "out.training"
    for name in (".state.0123456789abcdef.partial", "best"):
        (states / name).mkdir(parents=True)
    (tmp_path / ".out.training.0123456789abcdef.partial").mkdir()
    assert working_folder(tmp_path / "out", resume=True, overwrite=False) == states
    assert names(tmp_path) == []
    (states / "mine").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="holds 'mine', which is no state of a run"):
        working_folder(tmp_path / "out", resume=True, overwrite=True)


def test_a_name_that_is_too_long_for_the_states(tmp_path):
    check_run_target(tmp_path / ("n" * 246), resume=False, overwrite=False)
    with pytest.raises(OSError, match=r"n\.training") as caught:
        check_run_target(tmp_path / ("n" * 250), resume=False, overwrite=False)
    assert caught.value.errno == errno.ENAMETOOLONG


def test_states_are_beside_what_a_link_leads_to(tmp_path):
    (tmp_path / "link").symlink_to("there/out")
    folder = working_folder(tmp_path / "link", resume=False, overwrite=False)
    assert folder == tmp_path / "there" / "out.training"
