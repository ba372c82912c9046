import base64
import hashlib
import http.client
import json
import os
import re
import threading
import unicodedata

import pytest

from keras_transformer.edge.demo import demo
from keras_transformer.edge.demo.character_table import character_table
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.zoo.errors import InputError
from tests.edge.demo.pages import FLATBUFFER, LITERTJS_FILES, install_litertjs, write_model


@pytest.fixture
def litertjs(tmp_path):
    return install_litertjs(tmp_path / "npm")


def test_a_demo_is_a_folder_of_all_that_the_page_loads(tmp_path, litertjs):
    paths = [write_model(tmp_path / "a.tflite"), write_model(tmp_path / "ü b.tflite")]
    demo.write_demo(paths, litertjs, tmp_path / "made" / "site")
    site = tmp_path / "made" / "site"
    assert json.loads((site / "demo.json").read_bytes()) == {
        "models": [
            {"file": f"model-{n}.tflite", "name": path.name, "bytes": path.stat().st_size}
            for n, path in enumerate(paths, start=1)
        ]
    }
    assert (site / "model-2.tflite").read_bytes() == paths[1].read_bytes()
    assert json.loads((site / "unicode.json").read_bytes()) == character_table()
    for name in LITERTJS_FILES:
        assert (site / "litert" / name).read_text(encoding="utf-8") == name
    page = (site / "index.html").read_text(encoding="utf-8")
    for name in ("page.js", "style.css", "litert/core/dist/index.js"):
        assert name in page
        assert (site / name).is_file()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["site"]


def test_a_name_that_is_not_utf_8_is_escaped(tmp_path, litertjs):
    path = write_model(tmp_path / os.fsdecode(b"caf\xe9.tflite"))
    demo.write_demo([path], litertjs, tmp_path / "site")
    [model] = json.loads((tmp_path / "site" / "demo.json").read_bytes())["models"]
    assert model["name"] == r"caf\udce9.tflite"


def test_the_page_names_no_other_host(tmp_path, litertjs):
    demo.write_demo([write_model(tmp_path / "a.tflite")], litertjs, tmp_path / "site")
    kinds = (".html", ".js", ".css")
    ours = [path for path in (tmp_path / "site").iterdir() if path.suffix in kinds]
    assert len(ours) > 8
    elsewhere = re.compile(r"""https?:|["'(]//""")
    assert [path.name for path in ours if elsewhere.search(path.read_text("utf-8"))] == []


def test_what_stands_there_is_kept(tmp_path, litertjs):
    (tmp_path / "site").mkdir()
    with pytest.raises(FileExistsError, match="site exists; choose another path."):
        demo.write_demo([write_model(tmp_path / "a.tflite")], litertjs, tmp_path / "site")


def test_a_cut_off_writing_leaves_nothing(tmp_path, litertjs, monkeypatch):
    def fail():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "character_table", fail)
    with pytest.raises(OSError, match="No space left on device: '.*site'"):
        demo.write_demo([write_model(tmp_path / "a.tflite")], litertjs, tmp_path / "site")
    assert not [path for path in tmp_path.iterdir() if "site" in path.name]


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("task", {"task": "regression"}),
        ("input", {"settings": {"height": 32, "width": 32}}),
        ("length", {"max_length": 32}),
        ("labels", {"labels": b"no\nmaybe\n"}),
        ("tokenizer", {"kind": "characters"}),
    ],
)
def test_files_side_by_side_are_of_one_model(tmp_path, what, changes):
    paths = [write_model(tmp_path / "a.tflite"), write_model(tmp_path / "b.tflite", **changes)]
    demo.check_files(paths[:1])
    sentence = (
        f"Expected files of the same {what} to stand side by side; that of {paths[1]} is not that "
        f"of {paths[0]}."
    )
    with pytest.raises(InputError) as caught:
        demo.check_files(paths)
    assert str(caught.value) == sentence


def test_inputs_that_the_page_does_not_make(tmp_path):
    path = write_model(tmp_path / "a.tflite", modality="series")
    with pytest.raises(InputError, match="one of text, image, audio, .*a.tflite reads series"):
        demo.check_files([path])


def test_three_files_are_too_many(tmp_path):
    path = write_model(tmp_path / "a.tflite")
    with pytest.raises(InputError, match="at most 2 files side by side, got 3"):
        demo.check_files([path] * 3)


def test_a_changed_file_is_refused(tmp_path):
    path = write_model(tmp_path / "a.tflite")
    path.write_bytes(path.read_bytes().replace(FLATBUFFER, FLATBUFFER[::-1]))
    with pytest.raises(InputError, match="a.tflite is no TFLite file"):
        demo.check_files([path])


@pytest.mark.parametrize("missing", ["task", "max_length", "labels.txt"])
def test_a_file_that_lacks_what_the_page_reads(tmp_path, missing):
    path = write_model(tmp_path / "a.tflite")
    flatbuffer, description, files = unpack(path)
    description.pop(missing, None)
    files.pop(missing, None)
    path.write_bytes(pack(flatbuffer, description, files))
    with pytest.raises(InputError, match=f"a.tflite is damaged: .* has no {missing}"):
        demo.check_files([path])


def test_the_server_says_what_browsers_want_to_hear(tmp_path, litertjs):
    demo.write_demo([write_model(tmp_path / "a.tflite")], litertjs, tmp_path / "site")
    types = {
        "": "text/html; charset=utf-8",
        "page.js": "text/javascript",
        "style.css": "text/css",
        "unicode.json": "application/json",
        "litert/core/wasm/litert_wasm_internal.wasm": "application/wasm",
        "model-1.tflite": "application/octet-stream",
    }
    with demo.server(tmp_path / "site", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        for name, expected in types.items():
            connection.request("GET", f"/{name}")
            response = connection.getresponse()
            assert len(response.read()) > 0
            assert (response.status, response.headers["Content-Type"]) == (200, expected)
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "'unsafe-inline'" not in policy
        connection.request("GET", "/../a.tflite")
        assert connection.getresponse().status == 404
        connection.close()
        with (
            pytest.raises(InputError, match=f"Port {server.server_port} is in use; give another"),
            demo.server(tmp_path / "site", server.server_port),
        ):
            pass
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/", "127.0.0.1:{port}", 200),
        ("/", "localhost:{port}", 200),
        ("/", "evil.example:{port}", 421),
        ("/model-1.tflite", "evil.example", 421),
        ("/", "127.0.0.1:1", 421),
        ("/", None, 421),
        ("/litert/", "localhost:{port}", 404),
        ("/%00", "localhost:{port}", 404),
        ("/model-1.tflite%00.html", "localhost:{port}", 404),
    ],
)
def test_the_server_answers_its_own_page_alone(tmp_path, litertjs, path, host, status):
    demo.write_demo([write_model(tmp_path / "a.tflite")], litertjs, tmp_path / "site")
    with demo.server(tmp_path / "site", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        for method in ("GET", "HEAD"):
            connection.putrequest(method, path, skip_host=True)
            if host is not None:
                connection.putheader("Host", host.format(port=server.server_port))
            connection.endheaders()
            response = connection.getresponse()
            response.read()
            assert response.status == status
        connection.close()
        server.shutdown()


def test_the_policy_names_each_inline_script(tmp_path, litertjs):
    demo.write_demo([write_model(tmp_path / "a.tflite")], litertjs, tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    inline = re.findall(r"<script(?: type=\"importmap\")?>(.*?)</script>", page, re.DOTALL)
    assert len(inline) == 2
    policy = demo.content_policy(page.encode())
    assert policy.count("'sha256-") == 2
    for script in inline:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    # What the browser would refuse: code and styles in attributes, code that is made of text.
    ours = [path for path in (tmp_path / "site").iterdir() if path.suffix in (".html", ".js")]
    refused = re.compile(r"\son\w+=|\sstyle=|\beval\(|new Function|setAttribute\(\"style")
    assert [path.name for path in ours if refused.search(path.read_text("utf-8"))] == []


def test_the_table_has_what_python_knows():
    table = character_table()
    assert table["unicode"] == unicodedata.unidata_version
    assert table["casefold"]["ß"] == "ss"
    assert len(table["casefold"]) == sum(chr(c).casefold() != chr(c) for c in range(0x110000))
    categories = [unicodedata.category(chr(code)) for code in range(0x110000)]
    for name, category in (("marks", "Mn"), ("unassigned", "Cn")):
        bounds = [*table[name], 0x110000]
        held = set()
        for first, past in zip(bounds[::2], bounds[1::2], strict=False):
            held.update(range(first, past))
        assert held == {code for code, one in enumerate(categories) if one == category}


def test_a_file_that_another_host_tokenizes_for_is_refused(tmp_path):
    path = write_model(tmp_path / "a.tflite", target="mediapipe")
    with pytest.raises(InputError, match="the target plain or micro, .*a.tflite is for mediapipe"):
        demo.check_files([path])
