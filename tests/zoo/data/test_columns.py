from types import SimpleNamespace

import pytest

from keras_transformer.zoo.data.columns import columns_of
from keras_transformer.zoo.errors import InputError

COLUMNS = {"text": "text", "text_pair": None, "label": "label"}


def model(**changes):
    values = {"task_name": "classification", "labels": ("a", "b"), "pair": False}
    return SimpleNamespace(**{**values, "columns": COLUMNS, **changes})


def test_columns_are_those_given_or_those_of_training():
    nothing = dict.fromkeys(COLUMNS)
    assert columns_of(model()) == columns_of(model(), **nothing) == COLUMNS
    assert columns_of(model(), label="topic") == {**COLUMNS, "label": "topic"}


def test_a_language_is_the_column_of_its_name():
    translator = model(
        task_name="translation", labels=("de", "fr"), columns={"source": "en", "target": "de,fr"}
    )
    assert columns_of(translator, language="fr") == {"source": "en", "target": "fr"}
    with pytest.raises(InputError, match="one of de, fr, got 'nl'.$"):
        columns_of(translator, language="nl")


def test_a_column_that_nobody_names():
    older = model(columns=dict.fromkeys(COLUMNS))
    with pytest.raises(InputError, match="^Expected the name of the column label, .*, got none.$"):
        columns_of(older, text="text")
    with pytest.raises(InputError, match="the name of the column text_pair"):
        columns_of(model(pair=True))


@pytest.mark.parametrize("name", ["source", "target"])
def test_a_column_of_another_task(name):
    with pytest.raises(InputError) as caught:
        columns_of(model(), **{name: "en"})
    assert str(caught.value) == (
        f"Expected columns of classification (text, text_pair, label), got {name}='en'."
    )


def test_a_folder_of_classes_has_no_columns(tmp_path):
    table = tmp_path / "rows.tsv"
    table.write_text("text\tlabel\n")
    for data in (None, table, str(table), ([], [])):
        assert columns_of(model(), data=data, label="topic")["label"] == "topic"
    assert columns_of(model(), data=tmp_path) == columns_of(model())
    for data in (tmp_path, str(tmp_path)):
        with pytest.raises(InputError, match=f"no label column for {tmp_path}, .* got label='topi"):
            columns_of(model(), data=data, label="topic")
