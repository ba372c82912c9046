import datetime
import re
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import babel.dates
import pytest

from keras_transformer.zoo.data.tables import read_table
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.samples import dates
from keras_transformer.zoo.samples.dates import LOCALES, date_examples, write_date_tables
from keras_transformer.zoo.samples.tables import SPLITS, load_locale

FEW = ("en_US", "de", "ar_EG", "ja")
MONTH_FIRST = ("en_US",)
YEAR_FIRST = ("sv", "hu", "zh", "ja", "ko")


@pytest.fixture(scope="module")
def default_examples():
    return date_examples()


def read_date(text, locale):
    """Reads a date from its numbers, and from the month's name where there are only two."""
    # Vietnamese numbers the days of the week too.
    text = re.sub(r"^Th(ứ)? \d, ", "", text)
    numbers = re.findall(r"\d+", text)
    if len(numbers) == 3 and locale in YEAR_FIRST:
        year, month, day = numbers
    elif len(numbers) == 3 and locale in MONTH_FIRST:
        month, day, year = numbers
    elif len(numbers) == 3:
        day, month, year = numbers
    else:
        (year,) = (number for number in numbers if len(number) == 4)
        (day,) = (number for number in numbers if len(number) < 3)
        if locale not in MONTH_FIRST:
            # Not before them: Spanish abbreviates Tuesday as it does March.
            text = re.split(r"\d+", text)[1]
        named = {
            (len(name), month)
            for width in ("abbreviated", "wide")
            for month, name in load_locale(locale, "locale").months["format"][width].items()
            if name in text
        }
        month = max(named)[1]
    # int() reads the digits of every script.
    year = int(year) if len(year) == 4 else 1950 + (int(year) - 50) % 100
    return datetime.date(year, int(month), int(day))


def test_every_text_reads_as_its_date(default_examples):
    for rows in default_examples.values():
        for text, iso, locale in rows:
            tag, written = text.split(": ", 1)
            assert (tag, read_date(written, locale).isoformat()) == (locale, iso), text


@pytest.mark.parametrize(
    "locale, written",
    [
        ("en_US", ["3/4/21", "3/4/2021", "Mar 4, 2021", "March 4, 2021"]),
        ("en_US", ["Thursday, March 4, 2021", "Thu, Mar 4, 2021"]),
        ("en_GB", ["04/03/2021", "4 Mar 2021", "4 March 2021", "Thursday, 4 March 2021"]),
        ("de", ["04.03.21", "4.3.2021", "4. März 2021", "Donnerstag, 4. März 2021"]),
        ("fr", ["04/03/2021", "4 mars 2021", "jeudi 4 mars 2021"]),
        ("es", ["4/3/21", "4 de marzo de 2021", "jueves, 4 de marzo de 2021"]),
        ("sv", ["2021-03-04", "4 mars 2021", "torsdag 4 mars 2021"]),
        ("fi", ["4.3.2021", "4. maaliskuuta 2021"]),
        ("ru", ["04.03.2021", "4 марта 2021 г.", "четверг, 4 марта 2021 г."]),
        ("ar_EG", ["٤/٣/٢٠٢١", "٤ مارس ٢٠٢١", "الخميس، ٤ مارس ٢٠٢١"]),
        ("bn", ["৪/৩/২১"]),
        ("ja", ["2021/03/04", "2021年3月4日", "2021年3月4日木曜日"]),
        ("ko", ["2021년 3월 4일", "2021년 3월 4일 목요일"]),
    ],
)
def test_ways_of_a_locale(monkeypatch, locale, written):
    monkeypatch.setattr(dates, "FIRST_DAY", datetime.date(2021, 3, 4))
    monkeypatch.setattr(dates, "LAST_DAY", datetime.date(2021, 3, 4))
    rows = [row for rows in date_examples((locale,), dates=50).values() for row in rows]
    assert {(f"{locale}: {text}", "2021-03-04", locale) for text in written} <= set(rows)


def test_two_digits_are_a_year_from_1950_to_2049(default_examples):
    short = {
        iso: text
        for rows in default_examples.values()
        for text, iso, locale in rows
        if locale == "de" and re.search(r"\d\d\.\d\d\.\d\d$", text)
    }
    years = {int(iso[:4]) for iso in short}
    assert min(years) == 1950 and max(years) == 2049
    assert all(text.endswith(f".{iso[2:4]}") for iso, text in short.items())


def test_contradicting_orders_are_left_out():
    # CLDR's tables of Asu write the day first, but not in the style with a weekday.
    rows = [row for rows in date_examples(("asa",), dates=2_000).values() for row in rows]
    numeric = [(text, iso) for text, iso, _ in rows if len(re.findall(r"\d+", text)) == 3]
    assert len(numeric) > 200
    for text, iso in numeric:
        assert read_date(text, "asa").isoformat() == iso


def test_only_fields_that_people_write():
    # CLDR's tables of Kikuyu have the year of the week, which is another one around New Year.
    patterns = {way.pattern for way in dates._patterns(load_locale("ki", "locale"))}
    assert load_locale("ki", "locale").datetime_skeletons["yMMMd"].pattern == "dd-MM-YYYY"
    assert patterns >= {"dd/MM/y", "dd-MM-y", "EEEE, d MMMM y"}
    assert "dd-MM-YYYY" not in patterns


@pytest.mark.parametrize("field", ["ddd", "YYYY", "MMMMM", "yyy", "EEEEE", "D"])
def test_a_pattern_of_another_field_is_left_out(field):
    locale = load_locale("de", "locale")
    odd = babel.dates.parse_pattern(f"y M d {field}")
    # Babel keeps the tables of a locale that it has parsed, so they are changed in a copy.
    tables = SimpleNamespace(
        date_formats={**locale.date_formats, "long": odd}, datetime_skeletons={"yMMMd": odd}
    )
    assert {way.pattern for way in dates._patterns(tables)} == {
        locale.date_formats[style].pattern for style in ("short", "medium", "full")
    }


def test_a_text_that_is_two_dates_is_left_out(monkeypatch):
    days = [datetime.date(1952, 2, 1)] * 50 + [datetime.date(2052, 2, 1)] * 50
    monkeypatch.setattr(dates, "_days", lambda count, seed: days)
    texts = {text for rows in date_examples(("de",)).values() for text, _, _ in rows}
    assert {"de: 1.2.1952", "de: 1.2.2052"} < texts
    assert "de: 01.02.52" not in texts


def test_sizes_and_locales(default_examples):
    assert tuple(default_examples) == SPLITS
    sizes = {split: len(rows) for split, rows in default_examples.items()}
    assert 39_000 < sizes["train"] < 41_000
    assert 900 < sizes["validation"] < 1_100
    assert 3_800 < sizes["test"] < 4_200
    for split, rows in default_examples.items():
        counts = Counter(locale for _, _, locale in rows)
        assert set(counts) == set(LOCALES)
        assert min(counts.values()) > 0.9 * sizes[split] / len(LOCALES)


@pytest.mark.parametrize(
    "locale, shapes",
    [
        ("en_US", {"#/#/#", "@ #, #", "@, @ #, #", "@, #/#/#"}),
        ("zh", {"#/#/#", "#@#@#@", "#/#/#@"}),
        ("sv", {"#-#-#", "# @ #", "@ # @ #", "@, #-#-#"}),
    ],
)
def test_all_styles_are_in_all_splits(default_examples, locale, shapes):
    for rows in default_examples.values():
        texts = [text.split(": ", 1)[1] for text, _, where in rows if where == locale]
        found = {re.sub(r"[^\W\d]+", "@", re.sub(r"\d+", "#", text)) for text in texts}
        assert {shape.replace("@.", "@") for shape in found} == shapes


def test_no_date_is_in_two_splits_and_no_text_is_two_dates(default_examples):
    days = [{iso for _, iso, _ in rows} for rows in default_examples.values()]
    assert len(set.union(*days)) == sum(map(len, days)) == 36_525
    texts = [text for rows in default_examples.values() for text, _, _ in rows]
    assert len(texts) == len(set(texts))


def test_texts_are_short_clean_lines_of_known_characters(default_examples):
    known = {character for text, _, _ in default_examples["train"] for character in text}
    for rows in default_examples.values():
        assert rows == sorted(rows)
        for text, _, _ in rows:
            assert text == " ".join(text.split())
            assert len(text) <= 48
            assert set(text) <= known


def test_deterministic_and_seeded():
    first = date_examples(FEW, dates=500)
    assert date_examples(FEW, dates=500) == first
    assert date_examples(FEW, dates=500, seed=1) != first


def test_a_date_keeps_its_split_with_other_locales_and_more_dates():
    def split_of(examples):
        return {iso: split for split, rows in examples.items() for _, iso, _ in rows}

    few = split_of(date_examples(FEW, dates=500))
    assert split_of(date_examples(("fr",), dates=1_000)).items() >= few.items()


def test_tables(tmp_path):
    paths = write_date_tables(tmp_path / "data", locales=FEW, dates=500)
    assert paths == {split: tmp_path / "data" / f"{split}.tsv" for split in SPLITS}
    for split, rows in date_examples(FEW, dates=500).items():
        columns = read_table(paths[split]).columns
        assert list(columns) == ["text", "iso", "locale"]
        assert list(zip(*columns.values(), strict=True)) == rows
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(
        f"{split}.tsv" for split in SPLITS
    )


def test_existing_tables_are_kept(tmp_path):
    (tmp_path / "test.tsv").write_text("mine")
    with pytest.raises(FileExistsError) as error:
        write_date_tables(tmp_path, locales=FEW, dates=500)
    assert (
        str(error.value) == f"{tmp_path}/test.tsv exists; choose another path or give --overwrite."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["test.tsv"]
    write_date_tables(tmp_path, locales=FEW, dates=500, overwrite=True)
    assert (tmp_path / "test.tsv").read_text().startswith("text\tiso\tlocale\n")


@pytest.mark.parametrize("locale", ["xx", "", "no such"])
def test_unknown_locale(locale):
    with pytest.raises(InputError) as error:
        date_examples(("de", locale))
    assert str(error.value) == f"Expected a locale that Babel knows, got {locale!r}."


@pytest.mark.parametrize("locales, got", [((), "none"), (("de", "fr", "de"), "de, fr, de")])
def test_no_locale_or_one_twice(locales, got):
    with pytest.raises(InputError) as error:
        date_examples(locales)
    assert str(error.value) == f"Expected at least one locale and none twice, got {got}."


@pytest.mark.parametrize("count", [0, -1])
def test_no_dates(count):
    with pytest.raises(InputError) as error:
        date_examples(FEW, dates=count)
    assert str(error.value) == f"Expected dates to be at least 1, got dates={count}."


def test_without_babel(tmp_path):
    program = (
        "import sys; sys.modules['babel'] = None\n"
        "from keras_transformer.zoo.errors import InputError\n"
        "from keras_transformer.zoo.samples.dates import write_date_tables\n"
        "try: write_date_tables(sys.argv[1])\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        "The embedded data is made with Babel, which is not installed; "
        "run: pip install 'keras-transformer-zoo[demo]'.\n"
    )
    assert not (tmp_path / "data").exists()
