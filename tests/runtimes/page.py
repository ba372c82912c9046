"""The demo page's modules as Node loads them, and what its programs answer."""

import json
import shutil
import subprocess
from pathlib import Path

from keras_transformer.edge.demo import demo
from keras_transformer.edge.demo.character_table import character_table
from keras_transformer.edge.runtime.packed import pack

FLATBUFFER = b"\x20\0\0\0TFL3" + bytes(range(60))
_MODULE = '{"type": "module"}'


def write_page(folder, *, litert=None):
    """Copies the page's modules, beside a program in place of LiteRT.js if one is given."""
    shutil.copytree(Path(demo.__file__).parent / "web", folder, dirs_exist_ok=True)
    # Node takes a file for a module only where it is told so.
    (folder / "package.json").write_text(_MODULE, encoding="utf-8")
    (folder / "unicode.json").write_text(json.dumps(character_table()), encoding="utf-8")
    if litert is not None:
        package = folder / "node_modules" / "@litertjs" / "core"
        package.mkdir(parents=True)
        (package / "package.json").write_text(_MODULE, encoding="utf-8")
        (package / "index.js").write_text(litert, encoding="utf-8")


def write_files(folder, tokenizers):
    """Writes a file with each tokenizer, and returns their paths as text."""
    files = [folder / f"{number}.tflite" for number in range(len(tokenizers))]
    for path, tokenizer in zip(files, tokenizers, strict=True):
        path.write_bytes(pack(FLATBUFFER, {}, tokenizer.to_files()))
    return list(map(str, files))


def answer_of(program, folder, request):
    """What a program beside this file answers to a request."""
    done = subprocess.run(
        ["node", Path(__file__).with_name(program), folder], input=json.dumps(request).encode(),
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)
