import os
import signal

import click
import pytest

from keras_transformer.cli.errors import CommandError, in_one_sentence
from keras_transformer.cli.signals import NAMES, Terminated, end_in_order
from keras_transformer.zoo.storage.temporary import temporary_folder


@pytest.fixture
def signals():
    """The tests' own handlers are there again afterwards."""
    numbers = [getattr(signal, name) for name in NAMES]
    kept = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield numbers
    for number, handler in zip(numbers, kept, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("place", range(len(NAMES)))
def test_a_signal_ends_what_is_under_way_in_order(signals, place, tmp_path, monkeypatch):
    number = signals[place]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    end_in_order()
    with pytest.raises(CommandError, match=f"Ended by {NAMES[place]}") as caught:
        with in_one_sentence(), temporary_folder() as folder:
            (folder / "file").touch()
            os.kill(os.getpid(), number)
    assert (caught.value.exit_code, list(tmp_path.iterdir())) == (128 + number, [])
    # `timeout` sends it twice.
    os.kill(os.getpid(), number)


def test_what_a_parent_ignores_stays_ignored(signals):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_in_order()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_it_is_like_an_interruption_for_all_that_waits_for_one():
    assert issubclass(Terminated, KeyboardInterrupt)
    assert not issubclass(Terminated, click.exceptions.Abort)
