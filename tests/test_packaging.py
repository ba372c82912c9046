"""What is installed: in place, as the tests have it, Python also finds what is not named."""

import configparser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What makes another package of one.
ELSEWHERE = ("edge/runtime/pyproject.toml",)


@pytest.fixture(scope="module")
def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def folders(setup):
    """The folder of each package that has modules."""
    found = {}
    for line in filter(None, setup["options"]["package_dir"].split("\n")):
        package, folder = line.split(" = ")
        for path in (ROOT / folder).glob("**/*.py"):
            parts = path.parent.relative_to(ROOT / folder).parts
            found[".".join([package, *parts])] = path.parent
    return found


def test_every_folder_of_modules_is_a_package(setup, folders):
    assert sorted(setup["options"]["packages"].split()) == sorted(folders)
    assert [name for name, folder in folders.items() if not (folder / "__init__.py").exists()] == []


def test_every_other_file_is_data_of_a_package(setup, folders):
    data = {
        path
        for package, patterns in setup["options.package_data"].items()
        for pattern in patterns.split() for path in folders[package].glob(pattern)
    }  # fmt: skip
    others = {
        path
        for folder in folders.values() for path in folder.glob("*.*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }  # fmt: skip
    assert sorted(path.relative_to(ROOT).as_posix() for path in others - data) == [*ELSEWHERE]
    assert any(path.name == "listen.c" for path in data)
