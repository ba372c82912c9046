"""The distribution of the device: NumPy, LiteRT and our files of their rooms run a model."""

import configparser
import email
import importlib.metadata
import re
import subprocess
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.device_wheel import device_wheel
from tests.rooms import ROOMS

ROOT = Path(__file__).parents[3]
RUNTIME = ROOT / "edge" / "runtime"
# Of what is needed to run a file; LiteRT's other requirements serve its tools.
PROGRAM = """
import sys
from keras_transformer.edge.runtime import Runner
runner = Runner(sys.argv[1])
for prediction in runner.predict(["violin song", "rain cloud"]):
    print(prediction.label, round(prediction.score, 4))
frameworks = {"tensorflow", "keras", "safetensors", "sklearn", "click"} & set(sys.modules)
print(sorted(frameworks))
"""


def settings() -> dict:
    return tomllib.loads((RUNTIME / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(name: str) -> set[str]:
    """Returns the installed distributions that one needs, itself included."""
    found = {name}
    for line in importlib.metadata.requires(name) or ():
        needed, _, marker = line.partition(";")
        if "extra" not in marker:
            found |= requirements(re.match(r"[\w.-]+", needed)[0])
    return found


def copy_distribution(name: str, site: Path) -> None:
    """Links what an installed distribution has in site-packages."""
    for top in {file.parts[0] for file in importlib.metadata.files(name)} - {"..", "__pycache__"}:
        source = Path(importlib.metadata.distribution(name).locate_file(top))
        if source.exists() and not (site / top).exists():
            (site / top).symlink_to(source)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with the wheel and its requirements; without a network, from those here."""
    folder = tmp_path_factory.mktemp("device")
    wheel = device_wheel(folder)
    venv.create(folder / "venv")
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder / "venv")}))
    zipfile.ZipFile(wheel).extractall(site)
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    for requirement in metadata.get_all("Requires-Dist"):
        for needed in requirements(re.match(r"[\w.-]+", requirement)[0]):
            copy_distribution(needed, site)
    return folder / "venv", metadata


def test_it_needs_numpy_and_litert_alone(environment):
    _, metadata = environment
    lines = metadata.get_all("Requires-Dist")
    needed = {re.match(r"[\w.-]+", line)[0] for line in lines if "extra" not in line}
    assert needed == {"numpy", "ai-edge-litert"}
    # Files of pictures and of sounds need a decoder.
    assert metadata.get_all("Provides-Extra") == ["image", "sound"]


def test_it_runs_a_file(environment, files, runs):
    folder, _ = environment
    # Not -c without -P, which would find the checkout's own folder first.
    command = [folder / "bin" / "python", "-P", "-c", PROGRAM, files["int8"]]
    ran = subprocess.run(command, capture_output=True, text=True, env={})
    assert ran.returncode == 0, ran.stderr
    *labels, frameworks = ran.stdout.splitlines()
    assert [line.split()[0] for line in labels] == ["music", "weather"]
    assert frameworks == "[]"


def test_it_has_the_rooms_of_the_device():
    rooms = {f"keras_transformer.{room}" for room, rules in ROOMS.items() if rules.device}
    folders = {name for name in rooms if (ROOT / name.split(".", 1)[1].replace(".", "/")).is_dir()}
    packages = set(settings()["tool"]["setuptools"]["packages"])
    assert packages == folders | {f"keras_transformer{part}" for part in ("", ".zoo", ".edge")}


def test_its_version_and_bounds_are_those_of_the_zoo():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    needed = config["options"]["install_requires"].split("\n")
    project = settings()["project"]
    assert project["version"] == config["metadata"]["version"]
    [litert] = [line for line in project["dependencies"] if line.startswith("ai-edge-litert")]
    assert litert in needed
