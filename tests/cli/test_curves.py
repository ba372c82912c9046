"""Curves are written point by point, and a run goes on where they no longer can be."""

import errno
import os

import pytest

from keras_transformer.cli import curves


def test_no_curves_without_a_folder():
    with curves.scalars(None, pytest.fail) as scalars:
        assert scalars is None


def test_tensorboard_reads_what_was_written(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with curves.scalars(tmp_path / "a" / "b", pytest.fail) as scalars:
        for step in (1, 2):
            scalars("train/loss", 0.5 / step, step)
            # A run that is killed has what was measured by then.
            events = EventAccumulator(str(tmp_path / "a" / "b"))
            events.Reload()
            assert len(events.Tensors("train/loss")) == step
    assert events.Tensors("train/loss")[1].tensor_proto.float_val == [0.25]


def test_a_full_disk_ends_the_curves_and_not_the_run(tmp_path, monkeypatch):
    notes = []
    with curves.scalars(tmp_path, notes.append) as scalars:
        scalars("loss", 1.0, 1)

        def full(_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(scalars._records, "write", full)
        scalars("loss", 1.0, 2)
        scalars("loss", 1.0, 3)
    assert notes == [
        f"The curves in {tmp_path} end before step 2 (No space left on device); "
        "the run goes on without them."
    ]


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        with curves.scalars(tmp_path / "file" / "curves", pytest.fail):
            pytest.fail("the run began")
