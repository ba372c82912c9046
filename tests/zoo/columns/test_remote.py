"""Files at addresses: what is fetched, when, and what is said of an address."""

import builtins
import errno
import io
import json
import zipfile

import pytest

from keras_transformer.zoo.columns import addresses, remote
from keras_transformer.zoo.columns.several_files import files_of, is_pattern, weighted_files
from keras_transformer.zoo.data.plain_text import load_plain_text
from keras_transformer.zoo.data.sources import read_source
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.prepared.context import prepared_in
from keras_transformer.zoo.recipe.training_data import source_digest
from tests.web import SECRET, address_of, served

fsspec = pytest.importorskip("fsspec")
ROWS = {"a.tsv": "text\tlabel\none\tx\ntwo\ty\n", "b.tsv": "text\tlabel\nthree\tx\n"}


@pytest.fixture
def bucket():
    """A folder in the memory that fsspec knows as `memory://`."""
    memory = fsspec.filesystem("memory")
    for name, text in ROWS.items():
        memory.pipe_file(f"/bucket/shards/{name}", text.encode())
    yield memory
    memory.rm("/bucket", recursive=True)


@pytest.fixture
def web(tmp_path):
    pytest.importorskip("aiohttp")
    folder = tmp_path / "web"
    folder.mkdir()
    for name, text in ROWS.items():
        (folder / name).write_text(text)
    (folder / "private").mkdir()
    (folder / "private" / "a.tsv").write_text(ROWS["a.tsv"])
    with served(folder) as server:
        yield server


def test_what_an_address_is():
    for one in ("s3://bucket/a", "gs://b/c", "https://host/a.tsv", "memory://a"):
        assert addresses.is_remote(one)
    for one in ("a.tsv", "/a//b", "C://data/a.tsv", "hf:owner/name", "", 0.1, None):
        assert not addresses.is_remote(one)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:hush@host:8/a/b.tsv", "https://host:8/a/b.tsv"),
        ("s3://key:hush@bucket/a*.tsv", "s3://bucket/a*.tsv"),
        ("https://host/a.tsv?signature=hush", "https://host/a.tsv?sha256=adb94eb7"),
        ("s3://bucket/what?.tsv", "s3://bucket/what?.tsv"),
        ("https://host/a.tsv", "https://host/a.tsv"),
        ("https://[::1]:8/a.tsv", "https://[::1]:8/a.tsv"),
        ("zip://a.tsv::https://me:hush@host/b.zip", "zip://a.tsv::https://host/b.zip"),
        (
            "zip://a.tsv::cached::https://me:hush@host/b?key=hush",
            "zip://a.tsv::cached::https://host/b?sha256=18639266",
        ),
        ("cached::https://me:hush@host/a.tsv", "cached::https://host/a.tsv"),
        ("HTTPS://me:hush@Host/A.tsv", "https://Host/A.tsv"),
        ("ZIP://A.tsv::Cached::S3://key:hush@B/C.zip", "zip://A.tsv::cached::s3://B/C.zip"),
    ],
)
def test_secrets_are_not_shown(address, shown):
    found = addresses.public(address)
    assert found == shown
    assert "hush" not in repr(found)
    # What was shown once stays so.
    assert addresses.public(found) == shown


def test_a_file_in_an_archive(bucket):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.tsv", ROWS["a.tsv"])
    bucket.pipe_file("/bucket/rows.zip", packed.getvalue())
    (path,) = files_of("zip://a.tsv::memory://bucket/rows.zip")
    assert path.read_text() == ROWS["a.tsv"]


def test_queries_tell_addresses_apart():
    one, other = (addresses.public(f"https://host/rows?part={part}") for part in ("a", "b"))
    assert one != other


def test_another_process_has_the_whole_address(monkeypatch):
    # What another process is sent, and what it makes of that.
    make, arguments = addresses.public("https://me:hush@host/a.tsv").__reduce__()
    monkeypatch.setattr(addresses, "_full", {})
    found = make(*arguments)
    assert found == "https://host/a.tsv"
    assert addresses._full == {"https://host/a.tsv": "https://me:hush@host/a.tsv"}


def test_patterns():
    assert is_pattern("memory://bucket/shards/*.tsv")
    assert is_pattern("s3://bucket/[ab].tsv")
    assert not is_pattern("https://host/a.tsv?x=*")
    assert not is_pattern("s3://bucket/a.tsv")


def test_rows_are_those_of_local_files(bucket, tmp_path):
    for name, text in ROWS.items():
        (tmp_path / name).write_text(text)
    local, far = f"{tmp_path}/*.tsv", "memory://bucket/shards/*.tsv"
    ours = read_source(local, ["text"], ["label"])
    theirs = read_source(far, ["text"], ["label"])
    assert theirs.columns == ours.columns == {
        "text": ["one", "two", "three"], "label": ["x", "y", "x"],
    }  # fmt: skip
    assert theirs.path == far
    assert theirs.at(2) == "memory:///bucket/shards/b.tsv, line 2"
    assert source_digest(far) == source_digest(local)
    one = "memory://bucket/shards/a.tsv"
    assert source_digest(one) == source_digest(tmp_path / "a.tsv")
    assert read_source(one, ["text"]).path == one
    assert [path.name for path in files_of(far)] == ["a.tsv", "b.tsv"]


def test_schemes_are_read_in_capitals(bucket):
    table = read_source("MEMORY://bucket/shards/*.tsv", ["text"])
    assert table.columns["text"] == ["one", "two", "three"]
    assert table.path == "memory://bucket/shards/*.tsv"


def test_plain_text_and_mixtures(bucket, tmp_path):
    bucket.pipe_file("/bucket/a.txt", b"one\r\ntwo\n")
    assert load_plain_text("memory://bucket/a.txt").text == "one\ntwo\n"
    mixture = tmp_path / "my.mixture.json"
    mixture.write_text(json.dumps({"memory://bucket/shards/a.tsv": 2, "b.tsv": 1}))
    (tmp_path / "b.tsv").write_text(ROWS["b.tsv"])
    assert [weight for _, weight in weighted_files(mixture)] == [2.0, 1.0]
    table = read_source(mixture, ["text"], weighted=True)
    assert table.columns["text"] == ["one", "two", "three"]
    assert table.weights.tolist() == [2, 2, 1]
    mixture.write_text(json.dumps({"memory://bucket/shards/*": 2, "memory://bucket/shards/a*": 1}))
    with pytest.raises(InputError, match=r"memory:///bucket/shards/a\.tsv once, got it twice"):
        weighted_files(mixture)


def test_a_file_is_fetched_once_until_it_changes(bucket, tmp_path, monkeypatch):
    fetches = []
    fetch = remote.RemoteFile.fetch
    monkeypatch.setattr(
        remote.RemoteFile, "fetch",
        lambda file, *arguments: (fetches.append(file.address), fetch(file, *arguments)),
    )  # fmt: skip
    address = "memory://bucket/shards/a.tsv"
    for _ in range(2):
        with prepared_in(tmp_path / "data"):
            (path,) = files_of(address)
            assert path.read_text() == ROWS["a.tsv"]
            assert (tmp_path / "data") in path.parents
    assert fetches == [address]
    bucket.pipe_file("/bucket/shards/a.tsv", b"text\nother\n")
    with prepared_in(tmp_path / "data"):
        assert files_of(address)[0].read_text() == "text\nother\n"
    assert fetches == [address] * 2
    # Prepared data are not added to by a run.
    bucket.pipe_file("/bucket/shards/a.tsv", b"text\nanother\n")
    with (
        prepared_in(tmp_path / "data", 0, missing="refuse"),
        pytest.raises(InputError, match="holds no file of this run"),
    ):
        files_of(address)


def test_runs_in_a_context_share_what_is_fetched(bucket, tmp_path):
    with remote.kept_for_now():
        places = []
        for name in "ab":
            with prepared_in(tmp_path / name):
                places += files_of("memory://bucket/shards/a.tsv")
    assert places[0] == places[1]
    assert not any(tmp_path.iterdir())


def test_progress_is_told(bucket, tmp_path):
    told = []
    with prepared_in(tmp_path / "data", told=lambda *said: told.append(said)):
        files_of("memory://bucket/shards/a.tsv")
    size = len(ROWS["a.tsv"])
    assert told[-1] == ("memory://bucket/shards/a.tsv", size, size)


def test_a_web_server(web):
    table = read_source(address_of(web, "*.tsv"), ["text"])
    assert table.columns["text"] == ["one", "two", "three"]
    assert [path for path in web.gets if path.endswith(".tsv")] == ["/a.tsv", "/b.tsv"]
    assert table.path == address_of(web, "*.tsv")
    assert table.at(2) == f"{address_of(web, 'b.tsv')}, line 2"
    assert len(files_of(address_of(web, "a.tsv").replace("http", "HTTP"))) == 1


@pytest.mark.parametrize(
    ("path", "kind", "sentence"),
    [
        ("none.tsv", FileNotFoundError, "There is no file ADDRESS."),
        ("cut.tsv", ConnectionError, "ADDRESS: the file cannot be read .*1000"),
        ("private/a.tsv", ConnectionError, "ADDRESS: the file cannot be read .*401"),
        ("a.tsv?signature=wrong", ConnectionError, "ADDRESS: the file cannot be read .*403"),
        ("*.jsonl", InputError, "ADDRESS: expected a file that matches the pattern, got none"),
    ],
)
def test_what_a_server_lacks(path, kind, sentence, web, tmp_path):
    address = address_of(web, path)
    shown = str(addresses.public(address)).replace("?", r"\?").replace("*", r"\*")
    with prepared_in(tmp_path / "data"), pytest.raises(kind) as caught:
        files_of(address)
    assert caught.match(sentence.replace("ADDRESS", shown))
    assert "wrong" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert [*(tmp_path / "data").rglob("*")] == []


def test_a_server_that_is_not_there(web):
    address = address_of(web, "a.tsv", secret=SECRET)
    web.shutdown()
    web.server_close()
    with pytest.raises(ConnectionError, match=r"^http://127.*/a\.tsv: the file cannot") as found:
        files_of(address)
    assert "hush" not in str(found.value)


def test_passwords_and_signatures_reach_the_server(web):
    for path, secret in (("private/a.tsv", SECRET), ("a.tsv?signature=hush", "")):
        address = address_of(web, path, secret=secret)
        # Each is told in full once, and named without secrets from then on.
        shown = addresses.public(address)
        assert "hush" not in shown
        assert files_of(str(shown))[0].read_text() == ROWS["a.tsv"]


def test_a_query_that_no_recipe_holds(monkeypatch):
    pytest.importorskip("aiohttp")
    shown = str(addresses.public("https://host/a.tsv?signature=hush"))
    monkeypatch.setattr(addresses, "_full", {})
    with pytest.raises(InputError, match="with its query, which no recipe holds"):
        files_of(shown)


def test_a_file_that_has_another_size(bucket, tmp_path, monkeypatch):
    system = type(bucket)
    info = system.info
    monkeypatch.setattr(
        system, "info", lambda *given, **more: {**info(*given, **more), "size": 1000}
    )
    with pytest.raises(ConnectionError, match=r"a\.tsv: expected 1000 bytes, got 23; try again"):
        files_of("memory://bucket/shards/a.tsv")


def test_a_full_disk_is_not_the_stores_fault(bucket, tmp_path, monkeypatch):
    def get_file(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(bucket), "get_file", get_file)
    with prepared_in(tmp_path / "data"), pytest.raises(OSError, match="No space left"):
        files_of("memory://bucket/shards/b.tsv")
    assert [*(tmp_path / "data").rglob("*")] == []


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("memory://bucket/none.tsv", "There is no file memory://bucket/none.tsv."),
        ("memory://bucket/*.none", "memory://bucket/.*: expected a file that matches the pattern"),
        ("memory://bucket/shards", "got a folder; name its files by a pattern"),
        ("nowhere://a/b.tsv", "begins with s3://, gs://, https:// or another"),
        ("nowhere::https://a/b.tsv", "begins with s3://, gs://, https:// or another"),
        ("https://[::1/b.tsv", r"got https://\[::1/b.tsv \(Invalid IPv6 URL\)"),
        ("memory://bucket/a.mixture.json", "expected a mixture in a file of this machine"),
    ],
)
def test_mistakes(address, sentence, bucket):
    with pytest.raises((InputError, FileNotFoundError), match=sentence):
        read_source(address, ["text"], weighted=True)


def test_mistakes_in_a_file_name_its_address(bucket):
    bucket.pipe_file("/bucket/bad.tsv", b"text\tlabel\none\n")
    with pytest.raises(InputError, match=r"^memory://bucket/bad\.tsv, line 2"):
        read_source("memory://bucket/bad.tsv", ["text"], ["label"])
    with pytest.raises(InputError, match="expected files of this machine, got an address"):
        read_source("memory://bucket/shards/a.tsv", ["image"], is_text=False)


@pytest.mark.parametrize(
    ("package", "address", "command"),
    [
        ("fsspec", "memory://a/b", r"pip install 'keras-transformer-zoo\[remote\]'"),
        ("s3fs", "s3://me:hush@bucket/b", "read s3://bucket/b, got none; run: pip install s3fs"),
    ],
)
def test_without_a_package(package, address, command, monkeypatch):
    found = builtins.__import__

    def without(name, *given, **more):
        if name.split(".")[0] == package:
            raise ImportError(name=package)
        return found(name, *given, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=command):
        remote.check_readable(address)
