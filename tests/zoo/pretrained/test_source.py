"""Names of published models: folders, files and the hub, which is not reached here."""

import errno
import importlib.util
import re
import unittest.mock
from pathlib import Path

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained import source as module
from keras_transformer.zoo.pretrained.source import PATTERNS, is_published, locate
from tests.zoo.pretrained.tiny import REFERENCES

BERT = REFERENCES / "bert"
COMMIT = "a" * 40
needs_hub = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="needs huggingface_hub"
)


def refused(*parts):
    return pytest.raises(InputError, match=".*".join(map(re.escape, map(str, parts))))


def test_names_of_published_models(tmp_path):
    for name in ("hf:a/b", Path("hf:a/b@c"), BERT, str(BERT / "model.safetensors")):
        assert is_published(name) and is_published(name, or_checkpoint=False)
    for name in ("bert_tiny", tmp_path / "none", "model.tflite"):
        assert not is_published(name, or_checkpoint=False)
    # A folder without a config may be a damaged checkpoint.
    assert not is_published(tmp_path) and is_published(tmp_path, or_checkpoint=False)
    (tmp_path / "config.json").write_text("{}")
    assert is_published(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    assert not is_published(tmp_path)


def test_folders_and_files(tmp_path):
    assert locate(BERT).folder == BERT and locate(BERT).weights is None
    found = locate(str(BERT / "model.safetensors"))
    assert (found.folder, found.weights) == (BERT, BERT / "model.safetensors")
    with refused(f"Expected a published model with config.json in {tmp_path}, got none."):
        locate(tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no published model"):
        locate(tmp_path / "none")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "manifest.json").write_text("{}")
    with refused(f"Expected a published model in {tmp_path}, got a checkpoint"):
        locate(tmp_path)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Takes the place of a download: files of the reference, in a folder of a cache."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    calls = []

    def download(repository, *, revision, allow_patterns):
        calls.append((repository, revision, tuple(allow_patterns)))
        folder = tmp_path / "snapshots" / COMMIT
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", *(() if repository == "a/bin" else ["model.safetensors"])):
            (folder / name).write_bytes((BERT / name).read_bytes())
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return calls


def test_a_download_is_pinned_to_its_commit(hub):
    found = locate("hf:a/b")
    assert (found.name, found.revision) == (f"hf:a/b@{COMMIT}", COMMIT)
    assert locate(Path("hf:a/b@v2")).name == f"hf:a/b@{COMMIT}"
    assert hub == [("a/b", None, PATTERNS), ("a/b", "v2", PATTERNS)]
    assert not any(".bin" in name or ".py" in name or name == "*" for name in PATTERNS)


def test_pickled_weights_are_asked_for_where_there_are_no_others(hub, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        module.importlib.util, "find_spec", lambda name: None if name == "torch" else find(name)
    )
    with refused("Expected safetensors in hf:a/bin, got none; a pytorch_model.bin is read"):
        locate("hf:a/bin")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: True)
    locate("hf:a/bin")
    assert hub[-1] == ("a/bin", COMMIT, (*PATTERNS, "pytorch_model.bin"))


@needs_hub
def test_what_a_download_may_meet(monkeypatch):
    import huggingface_hub
    from huggingface_hub import errors

    response = unittest.mock.Mock(headers={})
    for error, reason in (
        (errors.GatedRepoError("x", response=response), "got a gated model; accept its terms"),
        (errors.RepositoryNotFoundError("x", response=response), "got no such model"),
        (errors.RevisionNotFoundError("x", response=response), "got no revision 'v9'"),
        (errors.LocalEntryNotFoundError("x"), "got no connection to the hub and nothing in its"),
        (errors.OfflineModeIsEnabled("x"), "got no connection to the hub and nothing in its"),
        (errors.HFValidationError("what\nmore"), "got an error: what."),
        (errors.HfHubHTTPError("what\nmore", response=response), "got an error: what."),
        (OSError("what"), "got an error: what."),
    ):

        def download(*args, _error=error, **kwargs):
            raise _error

        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        with refused("Expected the published model hf:a/b@v9 from the hub, ", reason):
            locate("hf:a/b@v9")


@needs_hub
def test_a_full_disk(monkeypatch):
    import huggingface_hub

    def download(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", "/cache/blobs/12")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(OSError, match="no space left for hf:a/b in the hub's cache") as caught:
        locate("hf:a/b")
    assert caught.value.errno == errno.ENOSPC


@needs_hub
def test_offline_without_the_cache(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with refused("from the hub, got no connection to the hub and nothing in its cache; give a"):
        locate("hf:sentence-transformers/all-MiniLM-L6-v2")


def test_names_that_are_none(monkeypatch):
    for name in ("hf:", "hf:a/b/c", "hf:a b", "hf:a/b@", "hf:../x@1"):
        with refused("Expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION, got", name):
            locate(name)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with refused("Expected huggingface_hub for hf:a/b, which is not installed"):
        locate("hf:a/b")


@pytest.mark.parametrize("broken", ["no_config", "no_commit"])
def test_snapshots_that_are_none(monkeypatch, tmp_path, broken):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    if broken == "no_commit":
        for file in BERT.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(Path(tmp_path)))
    with refused({"no_config": "with config.json in hf:a/b, got none",
                  "no_commit": "Expected a commit of hf:a/b in the cache"}[broken]):  # fmt: skip
        locate("hf:a/b")
