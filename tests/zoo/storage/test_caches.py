"""The folder of the user's caches."""

import pytest

from keras_transformer.zoo.storage.caches import cache_home


@pytest.mark.parametrize("given", ["caches", "./caches", "~/caches", "", None])
def test_a_path_that_is_not_absolute_is_ignored(given, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    if given is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert cache_home() == tmp_path / ".cache"


def test_an_absolute_path_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_home() == tmp_path / "caches"
