"""The demo page's reading of files, run by Node: the hash, and bounds on what is inflated."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from keras_transformer.edge.runtime.packed import pack
from keras_transformer.zoo.tokenizers.tokenizer_files import FILE_NAMES
from tests.edge.runtime.checks.test_archive import FLATBUFFER, described, packed
from tests.fuzz.archives import damaged_archive
from tests.fuzz.seals import seal
from tests.runtimes.page import write_page

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
FOREIGN = (
    "The file is not as keras-transformer convert wrote it: it was made by another program, cut "
    "short or changed."
)
LABELS = ("labels.txt", b"a\nb\n")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    write_page(folder)
    return folder


def unpacked(page, tmp_path, contents):
    """What the page makes of files."""
    paths = []
    for number, data in enumerate(contents):
        paths.append(tmp_path / f"{number}.tflite")
        paths[-1].write_bytes(data)
    program = Path(__file__).with_name("unpack.mjs")
    done = subprocess.run(
        ["node", str(program), str(page), *map(str, paths)], capture_output=True, text=True,
        check=True, timeout=120,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_whole_files(page, tmp_path):
    names = sorted(FILE_NAMES)
    sizes = (0, 1, 3, 50, 55, 56, 63, 64, 119, 1000)  # of what the hash pads
    whole = [pack(FLATBUFFER + bytes(size), {}, {LABELS[0]: LABELS[1]}) for size in sizes]
    stored = pack(FLATBUFFER, {}, dict.fromkeys(names, b"x" * 100), is_stored=True)
    *found, last = unpacked(page, tmp_path, [*whole, stored])
    assert [one["flatbuffer"] for one in found] == [len(FLATBUFFER) + size for size in sizes]
    assert last["files"] == ["model.json", *names]


def test_the_hash(page, tmp_path):
    data = pack(FLATBUFFER, {}, dict([LABELS]))
    places = (0, 20, len(FLATBUFFER) + 3, len(data) - 70, len(data) - 1)
    damaged = [data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] for place in places]
    found = unpacked(page, tmp_path, [*damaged, data[:-5], b"", FLATBUFFER])
    assert found == [{"error": FOREIGN}] * 8


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_refused_with_its_hash_made_anew(page, tmp_path):
    def method(body):
        place = body.rindex(b"PK\x01\x02", 0, body.rindex(b"labels.txt"))
        return body[: place + 10] + b"\x63\0" + body[place + 12 :]

    cases = {
        "labels.txt of the file inflates to more than 67108864 bytes.":
            packed([described(), ("labels.txt", bytes(65 << 20))]),
        "The file's archive has 65 members.":
            packed([described(), *((f"{number}.txt", b"") for number in range(64))]),
        "The file's archive holds labels.txt twice.": packed([described(), LABELS, LABELS]),
        "The file's archive is packed by method 99.": packed([described(), LABELS], method),
        "The file's archive is damaged.": seal(FLATBUFFER + bytes(300)),
        "The file holds no model.json.": packed([LABELS]),
        "model.json of the file is not JSON.": packed([("model.json", b"{")]),
        "model.json of the file is not UTF-8.": packed([("model.json", b"\xff")]),
        "The file is of the format undefined; this page reads keras-transformer-zoo tflite 1.":
            packed([("model.json", b"null")]),
        "The file says that its graph has 1000000000 bytes.":
            packed([described(flatbuffer_bytes=10**9)]),
    }  # fmt: skip
    found = unpacked(page, tmp_path, cases.values())
    assert [one.get("error") for one in found] == list(cases)


def test_members_that_are_not_known_are_not_inflated(page, tmp_path):
    data = packed([described(), LABELS, ("evil.js", bytes(80 << 20))])
    assert unpacked(page, tmp_path, [data])[0]["files"] == ["model.json", "labels.txt"]


def test_damaged_archives(page, tmp_path):
    """As the fuzzer makes them for Python: a sentence each, and no error of another kind."""
    rng = random.Random(0)
    files = dict([LABELS, ("tokenizer.json", b"{}")])
    description = described()[1].encode()
    made = [damaged_archive(FLATBUFFER, description, files, rng) for _ in range(150)]
    errors = [one["error"] for one in unpacked(page, tmp_path, made) if "error" in one]
    assert len(errors) > 20
    assert [one for one in errors if "\n" in one or not one.endswith(".")] == []
