"""Rows of several kinds: their forms, specs and files, and what is said of wrong ones."""

import re
from pathlib import Path

import numpy as np
import pytest

from keras_transformer.zoo.data.sources import of_kinds
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.image import Image
from keras_transformer.zoo.modalities.registry import modality_named
from keras_transformer.zoo.modalities.several import several_of
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.tasks.classification import Classification
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.zoo.modalities.asked import asked, write_asked

IMAGES = {"height": 8, "width": 8, "patch": 4}
SETTINGS = {"image": IMAGES, "text": {}}
COLUMNS, ANSWERS = asked(4)


def modality():
    text = Text(max_length=5, tokenizer=Tokenizer(TokenizerConfig(kind="bytes")))
    image = Image(max_length=5, settings=IMAGES)
    return modality_named("image+text")(
        max_length=12, settings=SETTINGS, members={"image": image, "text": text}
    )


def reading(modality="image+text"):
    return Classification(labels=("no", "yes"), modality=modality)


def test_its_inputs_are_those_of_its_kinds():
    specs = modality().inputs()
    assert [(one.name, one.dtype, one.is_variable) for one in specs] == [
        ("pixels", "uint8", False), ("ids", "int32", True)
    ]  # fmt: skip
    assert modality().positions(SETTINGS) is None
    both = {"audio": {"rate": 800, "samples": 400, "frame": 80, "hop": 40, "mels": 4}}
    # Of 9 frames and a class token; 4 patches and one.
    assert modality_named("audio+image").positions({**both, "image": IMAGES}) == 10


def test_rows_have_several_forms():
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    expected = modality().encode(rows)
    for form in (rows, [tuple(row.values()) for row in rows], COLUMNS):
        checked, pairs = modality().checked(form)
        assert pairs is None
        found = modality().encode(checked)
        for name, values in expected.columns.items():
            np.testing.assert_array_equal(np.stack(found.columns[name]), np.stack(values))
    # The text is cut at the whole's length, of which the file's lengths are.
    assert expected.truncated == [True] * 4
    arrays = expected.pad(modality().inputs())
    np.testing.assert_array_equal(modality().num_real(arrays), [12] * 4)


def test_its_files_make_it_again():
    one = modality()
    again = type(one).from_files(one.files(), max_length=12, settings=SETTINGS)
    assert {*one.files()} <= one.file_names()
    assert again.text.tokenizer.config == one.text.tokenizer.config and again.text.max_length == 12
    assert one.model_settings() == {"text.vocab_size": one.text.tokenizer.vocab_size}
    assert "8 x 8 pixels" in one.limit() and "12 tokens" in one.limit()
    assert one.texts_of([{"image": b"", "text": "why?"}]) == ["why?"]
    assert "members" in one.misfit({}) and "pieces" in one.misfit(
        {"members": {"image": {}, "text": {"vocab_size": 3, "source_vocab_size": 0}}}
    )


@pytest.mark.parametrize(
    ("rows", "error", "got"),
    [
        ([{"image": "cat.jpg"}], InputError, "got image in place 1"),
        (["cat.jpg"], InputError, "got 'cat.jpg' in place 1"),
        ([{"image": COLUMNS["image"][0], "text": " "}], InputError, "got ' ' in place 1"),
        ([{"image": COLUMNS["image"][0], "text": 3}], TypeError, "got 3"),
        ([{"image": 3.5, "text": "why?"}], TypeError, "got float 3.5 in place 1"),
        ({"image": ["cat.jpg"]}, InputError, "names image, text, got image"),
        ({"image": "cat.jpg", "text": ["why?"]}, TypeError, "got 'cat.jpg'; put it in a list"),
        ({"image": ["cat.jpg"], "text": []}, InputError, "got 1 of image and 0 of text"),
        ("cat.jpg", TypeError, "got str 'cat.jpg'"),
    ],
)
def test_rows_of_other_forms_are_errors(rows, error, got):
    with pytest.raises(error, match=re.escape(got)):
        modality().checked(rows)


@pytest.mark.parametrize(
    ("names", "got"), [("text+image", "got text+image"), ("text+text", "got text+text"),
                       ("image+taste", "got modality='image+taste'")],
)  # fmt: skip
def test_unknown_kinds(names, got):
    with pytest.raises(InputError, match=re.escape(got)):
        modality_named(names)
    with pytest.raises(InputError, match="got pairs"):
        several_of(Image, Text).specs(SETTINGS, pair=True)


def test_a_table_has_a_column_of_each_kind(tmp_path):
    table = write_asked(tmp_path, 6)
    names = {"image": "picture", "text": "question", "label": "answer"}
    examples = reading().read(str(table), names)
    assert examples.texts[0] == {
        "image": tmp_path / "pictures" / "0_0.png", "text": asked(6)[0]["text"][0]
    }  # fmt: skip
    assert reading().vocabulary_texts(examples) == {"tokenizer": asked(6)[0]["text"]}
    in_memory = reading().read((COLUMNS, ANSWERS))
    assert in_memory.texts[1]["text"] == COLUMNS["text"][1] and len(in_memory.targets) == 4
    assert of_kinds("rows.tsv", ["image"]) == "rows.tsv"
    np.savez(tmp_path / "rows.npz", **COLUMNS, label=ANSWERS)
    found = reading().read(str(tmp_path / "rows.npz"))
    assert found.texts[3]["text"] == COLUMNS["text"][3]


@pytest.mark.parametrize(
    ("line", "got"),
    [
        ("pictures/none.png\twhy?\tyes", "line 2: there is no image"),
        ("../secret.png\twhy?\tyes", "which leaves it"),
        ("pictures/0_0.png\t \tyes", "line 2: expected a text, got ' '"),
        ("\twhy?\tyes", "line 2: "),
        ("pictures/0_0.png\tyes", "expected 3 columns"),
    ],
)
def test_wrong_rows_of_a_table_are_named(tmp_path, line, got):
    write_asked(tmp_path, 1)
    (tmp_path.parent / "secret.png").write_bytes(b"")
    table = tmp_path / "wrong.tsv"
    table.write_text(f"image\ttext\tlabel\n{line}\n")
    with pytest.raises(InputError, match=re.escape(got)):
        reading().read(str(table))


def test_columns_of_several_kinds_are_their_own(tmp_path):
    table = write_asked(tmp_path, 2)
    names = {"image": "picture", "text": "picture", "label": "answer"}
    with pytest.raises(InputError, match="for each of image, text, got image='picture', text='pi"):
        reading().read(table, names)
    names |= {"text": "question"}
    with pytest.raises(InputError, match="Expected no text_pair column .* text_pair='answer'"):
        reading().read(table, {**names, "text_pair": "answer"})
    with pytest.raises(InputError, match=r"pictures: expected a table \(.tsv, .* got a folder"):
        reading().read(tmp_path / "pictures", names)


def test_columns_of_other_kinds_are_errors(tmp_path):
    table = write_asked(tmp_path, 1)
    with pytest.raises(InputError, match="no audio column for a model that reads rows of image"):
        reading().read(str(table), {"audio": "picture"})
    with pytest.raises(InputError, match="there is no column 'image'"):
        reading().read(({"text": ["why?"]}, ["yes"]))
    with pytest.raises(InputError, match="expected a text, got None"):
        reading().read(({"image": COLUMNS["image"][:1], "text": [None]}, ["yes"]))
    with pytest.raises(InputError, match=f"{re.escape(str(Path(tmp_path)))}: expected a"):
        reading().read(str(tmp_path))
