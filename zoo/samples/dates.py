"""Sample data for sequence-to-sequence models: dates as people write them, and in ISO 8601."""

import datetime
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.samples.tables import (
    SPLITS,
    hash_number,
    load_locale,
    split_of,
    split_paths,
    write_splits,
)

LOCALES = (
    *("en_US", "en_GB", "de", "nl", "sv", "fi", "hu", "tr", "vi"),
    *("es", "pt_BR", "fr", "it", "pl", "cs", "ru", "uk", "el"),
    *("he", "ar_EG", "hi", "bn", "th", "zh", "ja", "ko"),
)
# A century, so that a two-digit year is unambiguous.
FIRST_DAY, LAST_DAY = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)
# Shares in thousandths of the days; the rest is training data.
VALIDATION_PARTS, TEST_PARTS = 22, 90
STYLES = ("short", "medium", "long", "full")
# The skeletons that every locale has in every release of CLDR: the month a number or a short name,
# without and with the weekday. Others come and go.
SKELETONS = ("yMd", "yMEd", "yMMMd", "yMMMEd")
FIELD = re.compile(r"'[^']*'|([A-Za-z])\1*")
# Fields that people write; CLDR has `ddd` too, which would be the 001st of August.
WRITTEN = re.compile(r"y|yy|yyyy|M{1,4}|d{1,2}|E{1,4}|c{3,4}|G")
# Zero of a locale's default digits in CLDR; Babel itself writes dates in Latin digits.
ZEROS = {
    "adlm": 0x1E950,
    "arab": 0x0660,
    "arabext": 0x06F0,
    "beng": 0x09E6,
    "cakm": 0x11136,
    "deva": 0x0966,
    "hmnp": 0x1E140,
    "mtei": 0xABF0,
    "mymr": 0x1040,
    "nkoo": 0x07C0,
    "olck": 0x1C50,
    "tibt": 0x0F20,
}
# They control the display of Arabic and Hebrew; nobody types them.
DIRECTION_MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u061c"))


def date_examples(
    locales: Sequence[str] = LOCALES, *, seed: int = 0, dates: int = 45_000
) -> dict[str, list[tuple[str, str, str]]]:
    """Generates dates as people of a locale write them, with the date in ISO 8601.

    A text is the locale's code and a Gregorian date from 1950 to 2049 in one of CLDR's styles
    (short to full) or skeletons (year, month and day, without and with the weekday: Unicode
    Technical Standard 35, part 4), in the locale's digits: `en_US: 3/4/21` is 2021-03-04,
    `de: 3.4.2021` is 2021-04-03. A two-digit year is in that century, numbers are in the order of
    the locale's short style, and texts that are still ambiguous are left out, so a text has one
    meaning. It depends on accents: without them, January and March are the same in Thai.

    Each release of Babel includes its own CLDR tables: from 2.16 to 2.19, rows of 9 of the 26
    default locales differ.

    The split is by date: no date of one split is in another, in any locale or style. In each split
    the locales have equal shares, and so have the styles of a locale.

    Args:
        locales: codes of locales that Babel knows.
        seed: seed of the split and of the way each date is written.
        dates: number of dates to write. The century has 36,525 days; after all of them they repeat,
            written in other ways.

    Returns:
        `train`, `validation` and `test` to sorted (text, iso, locale).

    Raises:
        InputError: if Babel is not installed, a locale is unknown or repeated, there is none, or
            `dates` is not positive.
    """
    if not locales or len(set(locales)) < len(locales):
        raise InputError(
            f"Expected at least one locale and none twice, got {', '.join(locales) or 'none'}."
        )
    if dates < 1:
        raise InputError(f"Expected dates to be at least 1, got dates={dates}.")
    tables = [load_locale(code, "locale") for code in locales]
    patterns = [_patterns(table) for table in tables]
    drawn: dict[str, list[datetime.date]] = {split: [] for split in SPLITS}
    for day in _days(dates, seed):
        split = split_of(f"date {day}", seed, validation=VALIDATION_PARTS, test=TEST_PARTS)
        drawn[split].append(day)
    examples: dict[str, set[tuple[str, str, str]]] = {split: set() for split in SPLITS}
    meanings: dict[str, set[datetime.date]] = {}
    for split, days in drawn.items():
        for i, day in enumerate(days):
            # In turn, not at random: a thousand rows contain every locale and style.
            turn, which = divmod(i, len(locales))
            pattern = patterns[which][turn % len(patterns[which])]
            text = f"{locales[which]}: {_write(day, pattern, tables[which])}"
            meanings.setdefault(text, set()).add(day)
            examples[split].add((text, day.isoformat(), locales[which]))
    return {
        split: sorted(row for row in rows if len(meanings[row[0]]) == 1)
        for split, rows in examples.items()
    }


def write_date_tables(
    folder: str | Path,
    *,
    locales: Sequence[str] = LOCALES,
    seed: int = 0,
    dates: int = 45_000,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Writes train.tsv, validation.tsv and test.tsv with the columns `text`, `iso` and `locale`.

    Raises:
        InputError: as `date_examples`.
        FileExistsError: if a table exists and `overwrite` is False.
    """
    paths = split_paths(folder, overwrite=overwrite)
    examples = date_examples(locales, seed=seed, dates=dates)
    write_splits(paths, ("text", "iso", "locale"), examples, overwrite=overwrite)
    return paths


def _days(count: int, seed: int) -> Iterator[datetime.date]:
    """Yields days in random order, all of them before any repeats."""
    century = [
        FIRST_DAY + datetime.timedelta(days=i) for i in range((LAST_DAY - FIRST_DAY).days + 1)
    ]
    for start in range(0, count, len(century)):
        century.sort(key=lambda day: hash_number(f"turn {start} {day}", seed))
        yield from century[: count - start]


def _patterns(locale) -> list:
    """Returns the locale's date patterns with fields that people write, in the locale's order."""
    short = locale.date_formats["short"]
    found = [locale.date_formats[style] for style in STYLES]
    skeletons = locale.datetime_skeletons
    found += [skeletons[skeleton] for skeleton in SKELETONS if skeleton in skeletons]
    order = _numbers(short.pattern)
    ways = {}
    for way in found:
        fields = [match[0] for match in FIELD.finditer(way.pattern) if match[1]]
        if not all(map(WRITTEN.fullmatch, fields)):
            continue
        numbers = _numbers(way.pattern)
        # If the month is a name, a four-digit year is distinct from the day in any order.
        if numbers == order or ("M" not in numbers and "yy" not in way.pattern):
            # One, two and three letters of a weekday are the same.
            ways[re.sub(r"(?<!E)E{2,3}(?!E)", "E", way.pattern)] = way
    return list(ways.values())


def _numbers(pattern: str) -> list[str]:
    """Returns the fields of a pattern that are written as numbers, in their order."""
    fields = [match for match in FIELD.finditer(pattern) if match[1] in ("y", "M", "d")]
    return [match[1] for match in fields if match[1] != "M" or len(match[0]) < 3]


def _write(day: datetime.date, pattern, locale) -> str:
    """Writes a date as one line of text in the locale's digits."""
    text = unicodedata.normalize("NFC", pattern.apply(day, locale)).translate(DIRECTION_MARKS)
    zero = ZEROS.get(locale.default_numbering_system, ord("0"))
    return " ".join(text.translate({ord("0") + i: zero + i for i in range(10)}).split())
