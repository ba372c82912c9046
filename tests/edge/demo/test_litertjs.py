import json
import os
import sys

import pytest

from keras_transformer.edge.demo import litertjs
from keras_transformer.zoo.errors import InputError, RunError
from tests.edge.demo.pages import LITERTJS_FILES, install_litertjs

# Stand-ins for npm.
FETCHING = f"""
import json, pathlib, sys
assert sys.argv[1:3] == ["ci", "--ignore-scripts"], sys.argv
lock = json.loads(pathlib.Path("package-lock.json").read_text())
assert json.loads(pathlib.Path("package.json").read_text())["private"]
for name in {LITERTJS_FILES}:
    path = pathlib.Path("node_modules/@litertjs", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
"""
FAILING = """
import sys
print("npm warn something", file=sys.stderr)
print("npm error network: there is none", file=sys.stderr)
sys.exit(1)
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, and no npm."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "cache" / "keras-transformer" / f"litertjs-{litertjs.VERSION}"


def install_npm(tmp_path, program):
    """Puts a program of Python there as npm."""
    npm = tmp_path / "bin" / "npm"
    npm.write_text(f"#!{sys.executable}\n{program}", encoding="utf-8")
    npm.chmod(0o755)


def test_npm_fills_the_cache_once(cache, tmp_path):
    install_npm(tmp_path, FETCHING)
    notes = []
    assert litertjs.find_litertjs(None, notes.append) == cache
    assert notes == [
        f"Fetching LiteRT.js {litertjs.VERSION} by npm into {cache}; this happens once."
    ]
    (tmp_path / "bin" / "npm").unlink()
    assert litertjs.find_litertjs(None, notes.append) == cache
    assert len(notes) == 1


def test_a_cache_that_is_relative_is_ignored(monkeypatch, tmp_path):
    """Where npm runs is a folder of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert litertjs.cache_folder().parent == tmp_path / ".cache" / "keras-transformer"


def test_the_packages_are_pinned_by_their_hashes():
    folder = os.path.join(os.path.dirname(litertjs.__file__), "npm")
    with open(os.path.join(folder, "package-lock.json"), encoding="utf-8") as file:
        packages = json.load(file)["packages"]
    names = {name.rpartition("@litertjs/")[2] for name in packages if name}
    assert names == {name.split("/")[0] for name in LITERTJS_FILES}
    for name, package in packages.items():
        if name:
            assert package["version"] == litertjs.VERSION
            assert package["integrity"].startswith("sha512-")
            assert "resolved" not in package


def test_a_failing_npm_leaves_nothing(cache, tmp_path):
    install_npm(tmp_path, FAILING)
    with pytest.raises(RunError, match="could not fetch LiteRT.js .*: npm error network: there is"):
        litertjs.find_litertjs(None, lambda _: None)
    # The folders around it are removed too, which were made for it.
    assert not cache.parent.exists()


def test_without_npm_the_user_learns_what_to_do(cache):
    with pytest.raises(InputError, match="it is not installed; install Node.js, or run npm"):
        litertjs.find_litertjs(None, lambda _: None)


def test_a_folder_of_the_users_is_taken_as_it_is(cache, tmp_path):
    folder = install_litertjs(tmp_path / "mine")
    assert litertjs.find_litertjs(folder, lambda _: None) == folder
    missing = folder / "node_modules" / "@litertjs" / "wasm-utils" / "dist" / "index.js"
    missing.unlink()
    with pytest.raises(InputError, match=f"{missing} to be a file of LiteRT.js, there is none"):
        litertjs.find_litertjs(folder, lambda _: None)
    assert not cache.exists()
