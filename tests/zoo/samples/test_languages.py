import re
import subprocess
import sys

import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.samples.languages import (
    LANGUAGES,
    SPLITS,
    language_examples,
    write_tables,
)
from keras_transformer.zoo.tasks.classification import Classification

FEW = ("de", "en", "fr", "ru")


@pytest.fixture(scope="module")
def default_examples():
    return language_examples()


def test_sizes_and_labels(default_examples):
    assert tuple(default_examples) == SPLITS
    # Loose enough for the tables of another Babel release.
    assert 17_000 < len(default_examples["train"]) < 28_000
    assert 1_500 < len(default_examples["validation"]) < 3_000
    assert 3_000 < len(default_examples["test"]) < 5_500
    for rows in default_examples.values():
        assert {label for _, label in rows} == set(LANGUAGES)


def test_no_text_is_in_two_splits_or_two_languages(default_examples):
    folded = [text.casefold() for rows in default_examples.values() for text, _ in rows]
    assert len(folded) == len(set(folded))


def test_texts_are_one_clean_line(default_examples):
    for rows in default_examples.values():
        for text, _ in rows:
            assert text == " ".join(text.split())
            assert re.search(r"[^\W\d_]", text)


def test_a_concept_is_in_one_split_in_all_languages():
    examples = language_examples(FEW)
    split_of = {(text, label): split for split, rows in examples.items() for text, label in rows}
    mexico = [
        ("Mexiko", "de"),
        ("Mexico", "en"),
        ("Mexique", "fr"),
        ("Мексика", "ru"),
        ("Mexikanischer Peso", "de"),
        ("Mexican Peso", "en"),
        ("peso mexicain", "fr"),
        ("мексиканский песо", "ru"),
    ]
    assert len({split_of[name] for name in mexico}) == 1
    monday = [("Montag", "de"), ("Monday", "en"), ("lundi", "fr"), ("понедельник", "ru")]
    assert len({split_of[name] for name in monday}) == 1


def test_shared_names_are_left_out():
    texts = [text for rows in language_examples(FEW).values() for text, _ in rows]
    assert "Andorra" not in texts
    assert "Deutschland" in texts


def test_deterministic_and_seeded():
    assert language_examples(FEW) == language_examples(FEW)
    assert language_examples(FEW, seed=1) != language_examples(FEW)


def test_split_does_not_depend_on_the_other_languages():
    def german_test(languages):
        return {text for text, label in language_examples(languages)["test"] if label == "de"}

    assert german_test(("de", "ru")) >= german_test(FEW)


def test_tables(tmp_path):
    paths = write_tables(tmp_path / "data", languages=FEW)
    assert paths == {split: tmp_path / "data" / f"{split}.tsv" for split in SPLITS}
    for split, rows in language_examples(FEW).items():
        table = Classification().read(paths[split])
        assert table.labels == sorted(FEW)
        assert table.texts == [text for text, _ in rows]
        assert [table.labels[i] for i in table.targets] == [label for _, label in rows]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(
        f"{split}.tsv" for split in SPLITS
    )


def test_existing_tables_are_kept(tmp_path):
    (tmp_path / "test.tsv").write_text("mine")
    with pytest.raises(FileExistsError) as error:
        write_tables(tmp_path, languages=FEW)
    assert (
        str(error.value) == f"{tmp_path}/test.tsv exists; choose another path or give --overwrite."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["test.tsv"]
    write_tables(tmp_path, languages=FEW, overwrite=True)
    assert (tmp_path / "test.tsv").read_text().startswith("text\tlabel\n")


@pytest.mark.parametrize("language", ["xx", "", "no such"])
def test_unknown_language(language):
    with pytest.raises(InputError) as error:
        language_examples(("de", language))
    assert str(error.value) == f"Expected a language that Babel knows, got {language!r}."


@pytest.mark.parametrize("languages", [(), ("de",), ("de", "de", "fr")])
def test_too_few_languages(languages):
    with pytest.raises(InputError) as error:
        language_examples(languages)
    assert str(error.value) == (
        f"Expected at least two different languages, got {', '.join(languages)}."
    )


def test_without_babel(tmp_path):
    program = (
        "import sys; sys.modules['babel'] = None\n"
        "from keras_transformer.zoo.errors import InputError\n"
        "from keras_transformer.zoo.samples.languages import write_tables\n"
        "try: write_tables(sys.argv[1])\n"
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
