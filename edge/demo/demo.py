"""Demo page: a folder of static files that runs `.tflite` files in the browser, and its server."""

import base64
import contextlib
import errno
import functools
import hashlib
import http.server
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_transformer.edge.demo.character_table import character_table
from keras_transformer.edge.demo.litertjs import copy_litertjs
from keras_transformer.edge.runtime.packed import LABELS, unpack
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.outputs import DECIDING, EMBEDDING, MASKS, REPLACED
from keras_transformer.zoo.printable import printable
from keras_transformer.zoo.storage.files import new_folder

PAGE = "index.html"
MOST_FILES = 2
_TARGETS = ("plain", "micro")
# Modalities whose inputs the page makes.
_MODALITIES = ("text", "image", "audio")
_WEB = Path(__file__).parent / "web"
# The system's own table of types may differ.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".tflite": "application/octet-stream",
    ".wasm": "application/wasm",
}
# Hosts that a browser on this machine may ask for; a page of another name that was bound to this
# machine's address has that name in its requests.
_HOSTS = ("127.0.0.1", "localhost")
_INLINE_SCRIPT = re.compile(rb"<script[^>]*>(.*?)</script>", re.DOTALL)


def check_files(paths: Sequence[Path]) -> None:
    """Checks that files can be shown side by side on a page.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a file was not made by `convert`, there are more than two, or they differ in
            more than weights and precision.
    """
    if len(paths) > MOST_FILES:
        raise InputError(f"Expected at most {MOST_FILES} files side by side, got {len(paths)}.")
    compared = [_common(path) for path in paths]
    for path, one in zip(paths, compared, strict=True):
        for what, value in one.items():
            if value != compared[0][what]:
                raise InputError(
                    f"Expected files of the same {what} to stand side by side; that of {path} is "
                    f"not that of {paths[0]}."
                )


def write_demo(paths: Sequence[Path], litertjs: Path, out: Path) -> None:
    """Writes the page with its models to a new folder, which any web server can serve.

    Args:
        paths: paths of the files, already checked.
        litertjs: folder in which LiteRT.js is installed, see `find_litertjs`.
        out: the new folder.

    Raises:
        FileExistsError: if the folder exists.
    """
    with new_folder(out) as folder:
        shutil.copytree(_WEB, folder, dirs_exist_ok=True)
        copy_litertjs(litertjs, folder / "litert")
        models = []
        for number, path in enumerate(paths, start=1):
            name = f"model-{number}.tflite"
            shutil.copyfile(path, folder / name)
            shown, size = printable(path.name), path.stat().st_size
            models.append({"file": name, "name": shown, "bytes": size})
        _write_json(folder / "demo.json", {"models": models})
        _write_json(folder / "unicode.json", character_table())


@contextlib.contextmanager
def server(folder: Path, port: int) -> Iterator[http.server.ThreadingHTTPServer]:
    """Serves a folder to this machine, until its `serve_forever` ends.

    Args:
        folder: folder written by `write_demo`.
        port: port, or 0 for any free one.

    Raises:
        InputError: if the port is in use.
    """
    policy = content_policy((folder / PAGE).read_bytes())
    handler = functools.partial(_Handler, directory=str(folder), policy=policy)
    try:
        made = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise InputError(f"Port {port} is in use; give another by --port.") from None
    with made:
        yield made


def content_policy(page: bytes) -> str:
    """Returns the Content-Security-Policy of a page: its own files, its own inline scripts."""
    hashes = (
        base64.b64encode(hashlib.sha256(script).digest()).decode()
        for script in filter(None, _INLINE_SCRIPT.findall(page))
    )
    scripts = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval' {scripts}; style-src 'self'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = _TYPES

    def __init__(self, *args, policy, **kwargs):
        self._policy = policy  # before the request is answered, which the base class does at once
        super().__init__(*args, **kwargs)

    def send_head(self):
        port = self.server.server_port
        hosts = {f"{host}:{port}" for host in _HOSTS} | set(_HOSTS if port == 80 else ())
        if self.headers.get_all("Host", []) not in ([host] for host in hosts):
            self.send_error(http.HTTPStatus.MISDIRECTED_REQUEST)
            return None
        if "\0" in self.translate_path(self.path):
            self.send_error(http.HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def list_directory(self, path):
        self.send_error(http.HTTPStatus.NOT_FOUND)

    def end_headers(self):
        # The browser may have cached another demo from this address.
        self.send_header("Cache-Control", "no-store")
        # A page that is isolated like this gets the browser's finer clock.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Content-Security-Policy", self._policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, *_):
        pass


def _write_json(path, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text, encoding="utf-8")


def _common(path):
    """Properties that files side by side must share, by name."""
    _, description, files = unpack(path)
    for name in ("task", "max_length"):
        if name not in description:
            raise InputError(f"{path} is damaged: its description has no {name}.")
    if LABELS not in files:
        raise InputError(f"{path} is damaged: it has no {LABELS}.")
    labels = files.pop(LABELS)
    # Older files call it a bundle, or do not record it.
    target = description.get("target", description.get("bundle", "plain"))
    if target not in _TARGETS:
        raise InputError(
            f"Expected a file for the target {' or '.join(_TARGETS)}, whose ids the page makes; "
            f"{path} is for {target}."
        )
    modality = description.get("modality", "text")
    if modality not in _MODALITIES:
        raise InputError(
            f"Expected a file that reads one of {', '.join(_MODALITIES)}, whose inputs the page "
            f"makes; {path} reads {modality}."
        )
    refused = {
        EMBEDDING: "vectors", MASKS: "pieces for masks", REPLACED: "probabilities of pieces",
    }.get(description.get("output_kind"))  # fmt: skip
    if refused is not None:
        raise InputError(
            f"Expected a file that predicts or writes, which the page shows; {path} gives "
            f"{refused}."
        )
    return {
        # A model that was trained on has thresholds and a temperature of its own.
        "task": {k: v for k, v in description["task"].items() if k not in DECIDING},
        "input": (modality, description.get("model", {}).get("modality_settings", {})),
        "length": description["max_length"],
        "labels": labels,
        "tokenizer": files,
    }
