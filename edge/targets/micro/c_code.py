"""C code: the files of `c/` with a model's name and tables, arrays and strings."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

_FOLDER = Path(__file__).parent / "c"
_WIDTH = 92
_OWN = re.compile(r"\b(model|MODEL)(?=_)")


def filled(file: str | Path, name: str, parts: Mapping[str, str]) -> str:
    """Returns a file of `c/` for one model.

    Args:
        file: its name, or the path of a file elsewhere.
        name: of the model, in C, which is put in the place of `model`.
        parts: code for each `@mark@`, in which `model` is replaced too.
    """
    text = re.sub(r"@(\w+)@", lambda match: parts[match[1]], template(file))
    return _OWN.sub(lambda match: name.upper() if match[1].isupper() else name, text)


def template(file: str | Path) -> str:
    """Returns a file of `c/` as it is."""
    return (_FOLDER / file).read_text(encoding="utf-8")


def array(kind: str, name: str, values: Iterable[int | str]) -> str:
    """Returns the definition of a constant array; of none, which C has not, one of a 0."""
    texts = [str(value) for value in values] or ["0"]
    rows = re.findall(rf".{{1,{_WIDTH}}}(?:,|$)", ", ".join(texts))
    body = "\n".join(f"    {row.strip()}" for row in rows)
    return f"static const {kind} {name}[{len(texts)}] = {{\n{body}}};"


def quoted(text: str) -> str:
    """Returns a string literal in C, of which all but plain ASCII is escaped byte by byte."""
    plain = (chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode())
    # A label's `model_` is not what `filled` replaces.
    return '"' + _OWN.sub(lambda one: f"\\{ord(one[1][0]):03o}{one[1][1:]}", "".join(plain)) + '"'
