"""Files of a data folder: in a folder for each class, or named by the rows of a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from keras_transformer.zoo.errors import InputError, placed


# On Python 3.11 only the class of the platform's paths can be a base.
class RowFile(type(Path())):  # type: ignore[misc]
    """A file that a row of a table names.

    Attributes:
        place: location of the row, for messages.
    """

    place: str

    @classmethod
    def at(cls, path: Path, place: str) -> Self:
        """Creates it from a path and a location."""
        made = cls(path)
        made.place = place
        return made

    # Other processes get the place, too.
    def __reduce__(self) -> tuple[Any, ...]:
        return RowFile.at, (Path(self), self.place)


def named_file(path: str | Path) -> str:
    """Returns a file in messages: its path, behind the row that names it, if one does."""
    place = getattr(path, "place", None)
    return str(path) if place is None else f"{place}: {path}"


def read_class_folder(
    path: str | Path, suffixes: Sequence[str]
) -> tuple[list[Path], list[str]]:
    """Returns the files in the folders of a folder, sorted, and the names of their folders.

    Hidden files and folders are passed over, and a link that leads out of the folder is an error.

    Args:
        path: the folder.
        suffixes: how the names of the files end, in lower case.

    Raises:
        InputError: if there are no folders, one has no file, or there is a file of another kind or
            one beside the folders.
    """
    root = Path(path)
    classes = sorted(one for one in root.iterdir() if not one.name.startswith("."))
    beside = [one for one in classes if not one.is_dir()]
    if beside or not classes:
        got = f"the file {beside[0].name}" if beside else "none"
        raise InputError(f"{root}: expected a folder of files for each class, got {got}.")
    files, names = [], []
    for folder in classes:
        found = sorted(_files(folder, root, suffixes))
        if not found:
            raise InputError(
                f"{folder}: expected files of the class {folder.name!r} "
                f"({', '.join(suffixes)}), got none; remove the folder, or fill it."
            )
        files += found
        names += [folder.name] * len(found)
    return files, names


def _files(folder, root, suffixes):
    for one in folder.rglob("*"):
        if any(part.startswith(".") for part in one.relative_to(folder).parts) or one.is_dir():
            continue
        if one.suffix.lower() not in suffixes:
            raise InputError(f"{one}: expected a file that ends in {', '.join(suffixes)}.")
        yield inside(one.relative_to(root), root)


def inside(path: Path, folder: Path) -> Path:
    """Returns the path of a file of a data folder.

    Raises:
        InputError: if it leaves the folder, by `..`, as an absolute path or through a link.
    """
    joined = folder / path
    if not joined.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"Expected a path within {folder}, got {path}, which leaves it; copy the file there."
        )
    return joined


def row_file(value: str | Path, place: str, folder: Path | None, noun: str) -> Path:
    """Returns the path of the file that a row names, with the row's location if a table has it.

    Args:
        value: path, relative to the folder.
        place: location of the row, for messages.
        folder: folder that the file must be in; None for data in memory, whose paths are free.
        noun: what the file is, for messages.

    Raises:
        InputError: if it is blank, leaves the folder, or there is no such file.
    """
    if not str(value).strip():
        raise InputError(f"{place}: expected the path of {_with_article(noun)}, got {value!r}.")
    path = Path(value)
    with placed(place):
        path = path if folder is None else inside(path, folder)
    if path.is_dir():
        raise InputError(f"{place}: expected {_with_article(noun)}, got the folder {path}.")
    if not path.is_file():
        raise InputError(f"{place}: there is no {noun} {path}.")
    return path if folder is None else RowFile.at(path, place)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
