"""Text in files: unpacked within a bound, decoded, and cut into lines whatever ends them."""

import contextlib
import contextvars
import gzip
import itertools
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from keras_transformer.zoo.errors import InputError, no_file

# What a packed file may unpack to by itself: text shrinks to a third or a tenth, and a file made to
# fill the memory to a thousandth.
MOST_TIMES, LEAST_BOUND = 50, 16 * 2**20
_PIECE = 2**20
_max_unpacked = contextvars.ContextVar("max_unpacked", default=0)


@contextlib.contextmanager
def max_unpacked(size: int) -> Iterator[None]:
    """Lets packed files unpack to that many bytes meanwhile, whatever their own size.

    Raises:
        InputError: the size is not above 0.
    """
    if size < 1:
        raise InputError(f"Expected a size above 0 to unpack, got size={size}.")
    token = _max_unpacked.set(size)
    try:
        yield
    finally:
        _max_unpacked.reset(token)


def read_text(path: Path) -> str:
    """Returns the text of a file, plain or `.gz`, without a byte order mark.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is a folder, not UTF-8, or damaged, or it unpacks to more than `MOST_TIMES`
            its size (`LEAST_BOUND` for small ones, see `max_unpacked`).
    """
    if path.is_dir():
        raise InputError(f"{path}: expected a file, got a folder.")
    try:
        return b"".join(_pieces(path, _PIECE)).decode("utf-8-sig").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from None


def decoded_blocks(path: Path, size: int = 2**23) -> Iterator[str]:
    """Yields what `read_text` returns in blocks, of which all but the last end in LF.

    Args:
        path: file, plain or `.gz`.
        size: bytes of a block, at least.

    Raises:
        FileNotFoundError, InputError: see `read_text`.
    """
    line, left, is_first = 1, b"", True
    for data in itertools.chain(_pieces(path, size), [b""]):
        left += data
        end = left.rfind(b"\n") + 1 if data else len(left)
        if data and not end:
            continue
        block, left = left[:end], left[end:]
        try:
            text = block.decode("utf-8-sig" if is_first else "utf-8")
        except UnicodeDecodeError as error:
            raise _not_utf8(path, error, line) from None
        line += block.count(b"\n")
        yield text.lstrip("\ufeff") if is_first else text
        is_first = False


def rows_on_lines(text: str) -> str:
    """Returns the text of a table with LF at the end of each line.

    Lines end in LF or CR LF; in a text without LF, in CR; in one that has neither, in NEL (U+0085).
    Where they do not end lines, CR and NEL are part of a cell.
    """
    if "\n" in text:
        return re.sub("\r+\n", "\n", text) if "\r" in text else text
    return text.replace("\r" if "\r" in text else "\x85", "\n")


def text_blocks(
    path: Path, size: int = 2**23, on_lines: Callable[[str], str] = rows_on_lines
) -> Iterator[str]:
    """Yields the text of a table's file, plain or `.gz`, in blocks of whole lines.

    The blocks are as `table_parts` reads them, and make up what `read_text` and `rows_on_lines`
    return; blank lines at the end are left out.

    Args:
        path, size: see `decoded_blocks`.
        on_lines: function that puts the rows of a text without LF on lines.

    Raises:
        FileNotFoundError, InputError: see `read_text`.
    """
    blank, has_lines = 0, False
    for text in decoded_blocks(path, size):
        if text.endswith("\n"):
            has_lines = True
            text = rows_on_lines(text)[:-1]
        elif not has_lines:
            text = on_lines(text)
        elif "\r" in text:
            text = re.sub("\r+\n", "\n", text)
        # Blank lines end the file, or are rows if others follow.
        text = "\n" * blank + text
        kept = text.rstrip("\n")
        blank = len(text) - len(kept) + (not kept)
        if kept:
            yield kept


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """The bytes of a file, plain or packed, in pieces."""
    try:
        if path.suffix != ".gz":
            with open(path, "rb") as file:
                while piece := file.read(size):
                    yield piece
            return
        packed, unpacked = path.stat().st_size, 0
        bound = _max_unpacked.get() or max(LEAST_BOUND, MOST_TIMES * packed)
        with gzip.open(path) as file:
            while piece := file.read(size):
                unpacked += len(piece)
                if unpacked > bound:
                    raise InputError(
                        f"{path}: expected at most {bound / 2**20:.0f} MB unpacked, got more of a "
                        f"file of {packed / 2**20:.1f} MB; --max-unpacked MB (max_unpacked in "
                        "Python) lifts the bound."
                    )
                yield piece
    except FileNotFoundError:
        raise no_file(path) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: the gzip data is damaged or cut short ({error}).") from None


def _not_utf8(path: Path, error: UnicodeDecodeError, first: int = 1) -> InputError:
    # The codec counts from behind the byte order mark, which holds no line break.
    line = first + error.object[: error.start].count(b"\n")
    return InputError(
        f"{path}, line {line}: the file is not UTF-8 (byte 0x{error.object[error.start]:02x})."
    )


def plain_lines(text: str) -> str:
    """Returns plain text with LF at the end of each line, where CR LF, CR or NEL (U+0085) are.

    A byte order mark at the start of a line, as joined files have it, is left out.
    """
    text = re.sub("\r\n|\r|\x85", "\n", text)
    return re.sub("(?m)^\ufeff+", "", text) if "\ufeff" in text else text
