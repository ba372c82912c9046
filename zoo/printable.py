"""Text for a terminal: control characters are escaped, long values shortened, passwords hidden."""

import re

MOST_CHARACTERS = 80
_MOST_OF_A_PATH = 300
_MOST_OF_A_SENTENCE = 1200
_MOST_READ = 4000

# Controls of a terminal, line separators, overrides of the writing direction, lone surrogates.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_CONTROL_IN_A_LINE = re.compile(f"(?![\n\t])[{_CONTROLS}]")
# In a string; pairs are characters of their own there.
_LONE = re.compile("[\ud800-\udfff]")
# Where an encoding lacks our own ornaments.
_PLAIN = {"█": "#", "…": "...", "─": "-"}

_OPENING = re.compile(r"(?<!\w)['\"]|[\[{]|(?:(?<=got )|(?<==))\(")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_TOKEN = re.compile(rf"{_QUOTED.pattern}|[\[\]{{}}()]", re.DOTALL)
_DEPTHS = {"[": 1, "{": 1, "(": 1, "]": -1, "}": -1, ")": -1}
# A shortened value with its name and what closes the sentence is no long word.
_MOST_OF_A_WORD = 120
_LONG_WORD = re.compile(rf"\S{{{_MOST_OF_A_WORD + 1},}}")

# A name and a password in what is nearly an address: http:/name:password@host, http//..., https:...
_SECRET = re.compile(
    r"(?<![\w.+-])((?:[A-Za-z][\w+.-]{0,20})?(?::{1,3}/{0,4}|/{2,4}):?)"
    r"[^\s/:@'\"]{1,100}:[^\s/'\"]{0,200}@"
)
# In a path, which lacks what an address begins with.
_SECRET_OF_PATH = re.compile(r"(^|/)[^\s/:@]{1,100}:[^\s/]{0,200}@")


def printable(text: str, encoding: str | None = None, *, lines: bool = False) -> str:
    r"""Returns a text without control characters, and with nothing that an encoding lacks.

    Both are escaped as in Python, such as `\x1b`.

    Args:
        text: any text.
        encoding: encoding of the stream that the text is printed on; None for UTF-8.
        lines: whether line breaks and tabs are kept.
    """
    control = _CONTROL_IN_A_LINE if lines else _CONTROL
    text = control.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    encoding = encoding or "utf-8"
    for ornament, plain in _PLAIN.items():
        if ornament in text and not _encodes(ornament, encoding):
            text = text.replace(ornament, plain)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def printable_json(text: str, encoding: str | None = None) -> str:
    """Returns JSON text with such characters as JSON's escapes, which stand for the same value.

    A lone surrogate, such as that of a file's name that is not UTF-8, is no value of JSON's: it is
    escaped as in `printable`.
    """
    encoding = encoding or "utf-8"
    text = _LONE.sub(lambda match: "\\" + _json_escape(match), text)
    text = _CONTROL_IN_A_LINE.sub(_json_escape, text)
    if _encodes(text, encoding):
        return text
    return "".join(
        one if _encodes(one, encoding) else "".join(map(_utf16_escape, _units(one)))
        for one in text
    )


def without_passwords(text: str, *, is_path: bool = False) -> str:
    """Returns a text with `***` in place of the names and passwords in mistyped addresses.

    Args:
        text: any text. Of an address that is none but for a mistake nothing else knows it.
        is_path: whether the whole text is a path, in which `name:password@` has no other sense.
    """
    text = _SECRET.sub(r"\1***@", text)
    return _SECRET_OF_PATH.sub(r"\1***@", text) if is_path else text


def shortened(sentence: str) -> str:
    """Returns a sentence in which long values are cut to about 80 characters, with an ellipsis.

    Values are quoted texts, lists, objects and words; a path is kept whole up to 300 characters.
    Passwords are hidden, see `without_passwords`.
    """
    if len(sentence) > _MOST_READ:
        # One that is cut here is in the part that is left out below.
        sentence = _cut(sentence, _MOST_READ, _MOST_READ // 10)
    sentence = without_passwords(sentence)
    if len(sentence) <= MOST_CHARACTERS:
        return sentence
    parts, place, unclosed = [], 0, set()
    for opening in _OPENING.finditer(sentence):
        start = opening.start()
        if start < place or opening[0] in unclosed:
            continue
        end = _end_of_value(sentence, start)
        if end is None:
            unclosed.add(opening[0])
            continue
        parts += [sentence[place:start], _cut(sentence[start:end], MOST_CHARACTERS, 1)]
        place = end
    sentence = "".join([*parts, sentence[place:]])
    sentence = _LONG_WORD.sub(_cut_word, sentence)
    return _cut(sentence, _MOST_OF_A_SENTENCE, _MOST_OF_A_SENTENCE // 4)


def shortened_value(value: object) -> str:
    """Returns the repr of a value, cut to about 80 characters."""
    return _cut(repr(value), MOST_CHARACTERS, 1)


def _end_of_value(text: str, start: int) -> int | None:
    """The end of the quoted text or brackets that open at `start`; None if they do not close."""
    if text[start] in "'\"":
        quoted = _QUOTED.match(text, start)
        return quoted and quoted.end()
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += _DEPTHS.get(token[0], 0)
        if depth == 0:
            return token.end()
    return None


def _cut(text: str, most: int, kept_end: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[: most - kept_end - 1]}…{text[len(text) - kept_end :]}"


def _cut_word(word: re.Match) -> str:
    text = word[0]
    if "/" in text or "\\" in text:
        return _cut(text, _MOST_OF_A_PATH, _MOST_OF_A_PATH // 2)
    return _cut(text, MOST_CHARACTERS, 1)


def _encodes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _json_escape(match: re.Match) -> str:
    return _utf16_escape(ord(match[0]))


def _utf16_escape(unit: int) -> str:
    return f"\\u{unit:04x}"


def _units(character: str) -> list[int]:
    """The UTF-16 code units of a character."""
    data = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2)]
