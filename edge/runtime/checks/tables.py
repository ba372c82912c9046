"""Reads tables of a flatbuffer that nobody vouches for: every offset and every size is checked.

A place outside the buffer raises `Damaged`, never a `struct.error`, and nothing is read twice.
Imports only the standard library and NumPy.
"""

import struct

import numpy as np

_U16, _I32, _U32 = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I")
# Formats of the scalars, by NumPy's names.
_SCALARS = {
    name: struct.Struct(f"<{letter}")
    for name, letter in (
        ("bool", "?"), ("int8", "b"), ("uint8", "B"), ("int32", "i"), ("uint32", "I"),
        ("uint64", "Q"),
    )
}  # fmt: skip


class Damaged(ValueError):
    """A flatbuffer that is not what it should be; the message ends a sentence, without its stop."""


class Table:
    """A table, whose fields are read by their number in the schema.

    Args:
        data: the flatbuffer.
        place: of the table.

    Raises:
        Damaged: it does not lie within the flatbuffer.
    """

    __slots__ = ("_count", "_data", "_fields", "_size", "place")

    def __init__(self, data: bytes, place: int):
        end = len(data)
        if not 0 <= place <= end - 4:
            raise Damaged(f"a table at {place} lies outside its {end} bytes")
        fields = place - _I32.unpack_from(data, place)[0]
        if not 0 <= fields <= end - 4:
            raise Damaged(f"the fields of a table at {place} lie outside its {end} bytes")
        span, size = _U16.unpack_from(data, fields)[0], _U16.unpack_from(data, fields + 2)[0]
        if span < 4 or span % 2 or fields + span > end or size < 4 or place + size > end:
            raise Damaged(f"a table at {place} is cut short")
        self._data, self.place, self._fields = data, place, fields
        self._count, self._size = (span - 4) // 2, size

    def _place_of(self, number: int, size: int) -> int | None:
        """Where a field of so many bytes stands; None if it is absent."""
        if number >= self._count:
            return None
        offset = _U16.unpack_from(self._data, self._fields + 4 + 2 * number)[0]
        if not offset:
            return None
        if offset < 4 or offset + size > self._size:
            raise Damaged(f"a field of the table at {self.place} lies outside it")
        return self.place + offset

    def has(self, number: int) -> bool:
        """Whether a field is there."""
        return self._place_of(number, 1) is not None

    def scalar(self, number: int, kind: str, default: int = 0) -> int:
        """Returns a number, by NumPy's name of its type."""
        form = _SCALARS[kind]
        place = self._place_of(number, form.size)
        return default if place is None else form.unpack_from(self._data, place)[0]

    def _target(self, number: int) -> int | None:
        place = self._place_of(number, 4)
        return None if place is None else place + _U32.unpack_from(self._data, place)[0]

    def table(self, number: int) -> "Table | None":
        """Returns the table that a field refers to."""
        place = self._target(number)
        return None if place is None else Table(self._data, place)

    def _span(self, number: int, item: int) -> tuple[int, int] | None:
        """Where the items of a vector begin, and how many there are."""
        place = self._target(number)
        if place is None:
            return None
        if not 0 <= place <= len(self._data) - 4:
            raise Damaged(f"a list of the table at {self.place} lies outside the flatbuffer")
        count = _U32.unpack_from(self._data, place)[0]
        if place + 4 + count * item > len(self._data):
            raise Damaged(f"a list of {count} items at {place} is cut short")
        return place + 4, count

    def array(self, number: int, kind: str) -> np.ndarray | None:
        """Returns a list of numbers, by NumPy's name of their type."""
        dtype = np.dtype(kind).newbyteorder("<")
        span = self._span(number, dtype.itemsize)
        return None if span is None else np.frombuffer(self._data, dtype, span[1], span[0])

    def numbers(self, number: int) -> list[int]:
        """Returns a list of int32, empty if it is absent."""
        span = self._span(number, 4)
        if span is None or not span[1]:
            return []
        return list(struct.unpack_from(f"<{span[1]}i", self._data, span[0]))

    def text(self, number: int) -> str:
        """Returns a string, empty if it is absent."""
        span = self._span(number, 1)
        if span is None:
            return ""
        try:
            return self._data[span[0] : span[0] + span[1]].decode()
        except UnicodeDecodeError:
            raise Damaged(f"a name at {span[0]} is not UTF-8") from None

    def tables(self, number: int, most: int) -> "list[Table]":
        """Returns a list of tables, empty if it is absent.

        Raises:
            Damaged: it is longer than `most`, or one lies outside the flatbuffer.
        """
        span = self._span(number, 4)
        if span is None:
            return []
        start, count = span
        if count > most:
            raise Damaged(f"it has {count} tables in a list of at most {most}")
        offsets = struct.unpack_from(f"<{count}I", self._data, start)
        return [Table(self._data, start + 4 * i + offset) for i, offset in enumerate(offsets)]


def root(data: bytes) -> Table:
    """Returns the table that a flatbuffer begins with."""
    if len(data) < 8:
        raise Damaged(f"it has {len(data)} bytes")
    return Table(data, _U32.unpack_from(data)[0])
