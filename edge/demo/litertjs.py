"""Installation of LiteRT.js, the browser's runtime for `.tflite` files, from npm.

`edge/demo/npm/` pins the version and the hash of each package; npm checks downloads against them.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.storage.caches import cache_home
from keras_transformer.zoo.storage.files import new_folder

_NPM_FILES = Path(__file__).parent / "npm"
VERSION = json.loads((_NPM_FILES / "package.json").read_bytes())["dependencies"]["@litertjs/core"]
# Files that the page loads, by package: scripts, and WebAssembly for browsers with and without
# relaxed SIMD. The variants with threads, which need headers from the web server, are left out.
_FILES = {
    "core": (
        "package.json",
        "dist/index.js",
        "wasm/litert_wasm_internal.js",
        "wasm/litert_wasm_internal.wasm",
        "wasm/litert_wasm_compat_internal.js",
        "wasm/litert_wasm_compat_internal.wasm",
    ),
    "wasm-utils": ("package.json", "dist/index.js"),
}


def cache_folder() -> Path:
    """Returns the folder in which LiteRT.js is cached between demos."""
    return cache_home() / "keras-transformer" / f"litertjs-{VERSION}"


def find_litertjs(folder: Path | None, note: Callable[[str], None]) -> Path:
    """Returns the folder in which LiteRT.js is installed; fetches it first if necessary.

    Args:
        folder: folder in which `npm install @litertjs/core` was run; None for the cache, which npm
            fills once.
        note: function that receives a message about what is fetched, and where it goes.

    Raises:
        InputError: if a file of LiteRT.js is not in the folder, or npm is not installed.
        RunError: if npm fails.
    """
    if folder is None:
        folder = cache_folder()
        if not folder.exists():
            _fetch(folder, note)
    for package, names in _FILES.items():
        for name in names:
            if not (_package(folder, package) / name).is_file():
                raise InputError(
                    f"Expected {_package(folder, package) / name} to be a file of LiteRT.js, "
                    f"there is none; run npm install @litertjs/core@{VERSION} in {folder}."
                )
    return folder


def copy_litertjs(folder: Path, out: Path) -> None:
    """Copies the files of LiteRT.js that a page needs.

    Args:
        folder: folder returned by `find_litertjs`.
        out: folder to create.
    """
    for package, names in _FILES.items():
        for name in names:
            target = out / package / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_package(folder, package) / name, target)


def _package(folder, package):
    return folder / "node_modules" / "@litertjs" / package


def _fetch(folder, note):
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"Expected npm to fetch LiteRT.js {VERSION}, it is not installed; install Node.js, or "
            f"run npm install @litertjs/core@{VERSION} elsewhere and give that folder by --litert."
        )
    note(f"Fetching LiteRT.js {VERSION} by npm into {folder}; this happens once.")
    with new_folder(folder) as partial:
        for path in _NPM_FILES.glob("*.json"):
            shutil.copyfile(path, partial / path.name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=partial, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            reason = lines[0] if lines else f"exit code {done.returncode}"
            raise RunError(f"npm could not fetch LiteRT.js {VERSION}: {reason}.")
