"""What is installed; an installation in place, as the tests have it, finds what is not named too."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_folder_of_modules_is_a_package():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    named = {}
    for line in parser["options"]["package_dir"].split("\n"):
        if line:
            package, folder = line.split(" = ")
            named |= {
                ".".join([package, *path.parent.relative_to(ROOT / folder).parts]): path.parent
                for path in (ROOT / folder).glob("**/*.py")
            }
    assert sorted(parser["options"]["packages"].split()) == sorted(named)
    assert [str(folder) for folder in named.values() if not (folder / "__init__.py").exists()] == []
