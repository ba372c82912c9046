"""setup.cfg's bounds and constraints.txt: what a fresh machine installs is what was tested."""

import configparser
import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PINS = [
    line
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
VERSIONS = dict(pin.split("==") for pin in PINS)


def requirements() -> dict[str, list[Requirement]]:
    """Returns what setup.cfg requires, by extra; that of every installation by the name ``."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lists = {"": config["options"]["install_requires"], **config["options.extras_require"]}
    return {
        extra: [Requirement(line) for line in lines.split("\n") if line]
        for extra, lines in lists.items()
    }


EVERY = [one for found in requirements().values() for one in found]


@pytest.mark.parametrize("requirement", EVERY, ids=str)
def test_every_requirement_is_bounded_on_both_sides(requirement):
    operators = {one.operator for one in requirement.specifier}
    exact = operators & {"==", "~="}
    assert exact or (operators & {">=", ">"} and operators & {"<", "<="})


@pytest.mark.parametrize("requirement", EVERY, ids=str)
def test_pins_fit_the_bounds(requirement):
    version = VERSIONS.get(canonicalize_name(requirement.name))
    assert version is None or requirement.specifier.contains(version, prereleases=True)


def test_pins_are_exact_and_in_order():
    assert [pin for pin in PINS if not re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", pin)] == []
    assert sorted(VERSIONS) == list(VERSIONS)


def test_everything_that_is_installed_has_a_pin():
    found = requirements()
    open_ones = [*found[""], *found["demo"], *found["test"]]
    seen: set[str] = set()
    while open_ones:
        requirement = open_ones.pop()
        name = canonicalize_name(requirement.name)
        extras = ("", *requirement.extras)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras
        )
        if name in seen or not wanted:
            continue
        seen.add(name)
        for line in importlib.metadata.requires(name) or []:
            inner = Requirement(line)
            marker = inner.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                inner.marker = None
                open_ones.append(inner)
    assert sorted(seen - set(VERSIONS)) == []
    assert len(seen) > len(found[""])
