"""Commands on data at addresses: the files are those of a run on local data, without secrets."""

import json
import re

import pytest

from keras_transformer.zoo.storage.files import read_folder
from tests.cli.calls import call, error_of
from tests.cli.test_prepare import FIT, RUN, called
from tests.web import SECRET, address_of, served

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    rows = [(f"{'rain and wind' if i % 2 else 'a violin plays'} {i}", "wm"[i % 2 == 0])
            for i in range(40)]  # fmt: skip
    (folder / "private").mkdir()
    for number in range(2):
        lines = [json.dumps({"text": text, "label": label})
                 for text, label in rows[20 * number : 20 * number + 20]]  # fmt: skip
        (folder / "private" / f"{number}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "dev.jsonl").write_text((folder / "private" / "0.jsonl").read_text())
    return folder


@pytest.fixture
def web(folder):
    with served(folder) as server:
        yield server


def far(web):
    """Options of data at addresses with a password and a signature."""
    return ("--train", address_of(web, "private/*.jsonl", secret=SECRET), "--validation",
            address_of(web, "dev.jsonl?signature=hush"))  # fmt: skip


def bodies(web):
    return sorted(path for path in web.gets if path.endswith(".jsonl"))


def without_places(folder):
    """The files of a checkpoint, without the places of the data."""
    files = dict(read_folder(folder))
    recipe = json.loads(files.pop("recipe.json"))
    places = [recipe["data"].pop(name) for name in ("train", "validation")]
    files.pop("manifest.json", None)
    return {**files, "recipe": recipe}, places


def test_a_run_at_addresses_is_that_on_the_files(web, folder, tmp_path):
    near = ("--train", f"{folder}/private/*.jsonl", "--validation", folder / "dev.jsonl")
    called("train", *RUN, *FIT, *near, "--out", tmp_path / "near")
    result = call("train", *RUN, *FIT, *far(web), "--out", tmp_path / "far")
    assert result.exit_code == 0, result.stderr
    ours, _ = without_places(tmp_path / "near")
    theirs, places = without_places(tmp_path / "far")
    assert theirs == ours
    host = address_of(web, "")
    assert places == [f"{host}private/*.jsonl", f"{host}dev.jsonl?sha256=adb94eb7"]
    # Each file is fetched once.
    assert bodies(web) == ["/dev.jsonl", "/private/0.jsonl", "/private/1.jsonl"]
    assert "hush" not in result.output
    for name, content in read_folder(tmp_path / "far").items():
        assert b"hush" not in content, name
    assert [path.name for path in tmp_path.iterdir()].count("far.training") == 0
    out = call("evaluate", tmp_path / "far", "--data", far(web)[1], "--json", "--errors",
               tmp_path / "wrong.csv")  # fmt: skip
    assert out.exit_code == 0, out.stderr
    assert "hush" not in out.output
    assert json.loads(out.stdout)["rows"] == 40


def test_prepared_data_hold_what_was_fetched(web, tmp_path):
    called("prepare", *RUN, *far(web), "--out", tmp_path / "data")
    assert len(bodies(web)) == 3
    called("train", *RUN, *FIT, *far(web), "--prepared", tmp_path / "data", "--out",
           tmp_path / "model")  # fmt: skip
    assert len(bodies(web)) == 3
    written = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not any(b"hush" in content for content in written)


def test_trials_of_a_sweep_share_what_is_fetched(web, tmp_path):
    called("sweep", *RUN[:-2], *FIT, *far(web), "--steps", "1", "--vary", "seed=1,2", "--out",
           tmp_path / "sweep")  # fmt: skip
    assert len(bodies(web)) == 3
    assert b"hush" not in (tmp_path / "sweep" / "sweep.json").read_bytes()


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("none.jsonl", 2, "There is no file ADDRESS."),
        ("cut.jsonl", 1, r"ADDRESS: the file cannot be read \(.*received .* of 1000 bytes.*\)\."),
        ("private/x*.jsonl", 2, "ADDRESS: expected a file that matches the pattern, got none."),
    ],
)
def test_files_that_are_not_whole(path, code, sentence, web, tmp_path):
    address = address_of(web, path, secret=SECRET)
    shown = re.escape(address_of(web, path))
    result = call("train", *RUN, *FIT, "--train", address, "--validation", "0.1", "--out",
                  tmp_path / "out")  # fmt: skip
    found = error_of(result)
    assert found[0] == code
    assert re.fullmatch("Error: " + sentence.replace("ADDRESS", shown), found[1])
    assert "hush" not in result.output
    assert not (tmp_path / "out").exists()


def test_commands_that_read_local_files_alone(tmp_path):
    result = call("compare", "a", "b", "--data", "https://me:hush@host/a.tsv")
    assert error_of(result) == (
        2,
        "Error: Invalid value for '--data': Expected a file of this machine, got "
        "https://host/a.tsv.",
    )
    result = call("train", "bert_tiny", "--train", "s3+x://me:hush@host/a.tsv", "--validation",
                  "0.1", "--out", tmp_path / "out")  # fmt: skip
    assert error_of(result)[1].endswith("that fsspec knows, got s3+x://host/a.tsv.")
    assert "hush" not in result.output
