"""README.md and docs/ are current: pages of commands, links, sizes."""

import re
from pathlib import Path

import pytest

from keras_transformer.cli import pages

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def test_the_pages_of_commands_are_current():
    written = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "cli").iterdir()}
    assert written == pages.pages(), "run python -m keras_transformer.cli.pages docs/cli"


@pytest.mark.parametrize("name", sorted(set(pages.pages()) - {"index.md"}))
def test_every_command_has_an_example(name):
    assert "## Examples" in pages.pages()[name]


def test_links_lead_somewhere():
    dead = []
    for path in PAGES:
        for link in LINK.findall(path.read_text(encoding="utf-8")):
            if link.startswith("https://"):
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / name) if name else path
            if not target.exists() or (
                anchor and anchor not in anchors(target.read_text(encoding="utf-8"))
            ):
                dead.append(f"{path.relative_to(ROOT)}: {link}")
    assert dead == []


def test_anchors_are_read_as_github_makes_them():
    assert anchors("# One\n\n## A file, by `x`\n") == {"one", "a-file-by-x"}


def test_every_page_is_linked():
    linked = set()
    for path in PAGES:
        for link in LINK.findall(path.read_text(encoding="utf-8")):
            linked.add((path.parent / link.partition("#")[0]).resolve())
    assert [path.relative_to(ROOT) for path in DOCS.rglob("*.md") if path not in linked] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 9000
