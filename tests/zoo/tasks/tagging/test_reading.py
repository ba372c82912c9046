"""Words and tags from files and memory: schemes, spans, repairs, and what is refused."""

import json
import re

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks.tagging.token_classification import TokenClassification
from tests.tagging import LABELS, conll, sentences

TASK = TokenClassification()
KNOWN = TokenClassification(labels=LABELS)
WORDS, TAGS = [["Anna", "Stone", "went"], ["Lima", "."]], [["B-PER", "I-PER", "O"], ["B-LOC", "O"]]


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.jsonl"):
        path = tmp_path / name
        lines = text if isinstance(text, str) else "".join(f"{json.dumps(one)}\n" for one in text)
        path.write_text(lines, encoding="utf-8")
        return path

    return write


def check(examples, path="data"):
    assert [row.words for row in examples.texts] == WORDS
    assert examples.tags() == TAGS
    assert examples.labels == list(LABELS) and str(examples.path) == str(path)


def test_one_set_of_rows_from_everywhere(write):
    check(TASK.read((WORDS, TAGS)))
    check(TASK.read({"tokens": WORDS, "tags": TAGS}))
    check(TASK.read([{"a": w, "b": t} for w, t in zip(WORDS, TAGS, strict=True)],
                    {"text": "a", "label": "b"}))  # fmt: skip
    check(TASK.read(list(zip(WORDS, TAGS, strict=True))))
    check(TASK.read((np.array([np.array(w) for w in WORDS], object), TAGS)))
    check(TASK.read(path := write(conll(WORDS, TAGS), "a.conll")), path)
    check(TASK.read(path := write(conll(WORDS, TAGS).replace("\t", " "), "a.txt")), path)
    rows = [{"tokens": w, "tags": t, "x": None} for w, t in zip(WORDS, TAGS, strict=True)]
    check(TASK.read(path := write(rows)), path)
    texts = [
        {"text": "Anna Stone went", "spans": [{"start": 0, "end": 10, "label": "PER"}]},
        {"text": "Lima.", "spans": [{"start": 0, "end": 4, "label": "LOC", "id": 3}]},
    ]
    check(TASK.read(path := write(texts)), path)
    check(TASK.read({key: [row[key] for row in texts] for key in ("text", "spans")}))
    check(KNOWN.read((WORDS, [[3, 4, 0], [1, 0]])))


def test_rows_of_files_hash_alike():
    one, other = TASK.read((WORDS, TAGS)), TASK.read({"tokens": WORDS, "tags": TAGS})
    assert list(one.rows()) == list(other.rows())
    assert list(one.rows())[0] == ("Anna Stone went", *WORDS[0], *TAGS[0])
    taken = one.take([1])
    assert (len(taken), taken.tags(), taken.lines) == (1, TAGS[1:], [2])


def test_tags_are_not_read_where_they_are_not_asked_for(write):
    for source in ((WORDS, TAGS), (WORDS,), {"text": ["Anna", "Lima"]}, [(WORDS[0],)],
                   write(conll(WORDS, TAGS), "a.conll"), write([{"text": "a"}])):  # fmt: skip
        examples = KNOWN.read(source, labelled=False)
        assert examples.targets is None and len(examples) > 0
        assert list(examples.rows())


def test_labels_of_entities_are_all_of_the_scheme():
    assert TASK.read((WORDS, [["I-PER", "O", "O"], ["O", "O"]])).labels == ["O", "B-PER", "I-PER"]
    bioes = TASK.read((WORDS, [["B-P", "E-P", "O"], ["O", "O"]])).labels
    assert bioes == ["O", "B-P", "I-P", "E-P", "S-P"]
    plain = TASK.read((WORDS, [["N", "N", "V"], ["N", "."]]))
    assert plain.labels == [".", "N", "V"] and sum(plain.repairs) == 0
    with pytest.raises(InputError, match="Expected two labels|at least two tags, got only 'N'"):
        TASK.read((WORDS, [["N"] * 3, ["N"] * 2]))


def test_broken_rows_are_repaired_and_counted():
    examples = TASK.read((WORDS, [["I-PER", "I-PER", "O"], ["O", "I-LOC"]]))
    assert examples.tags() == [["B-PER", "I-PER", "O"], ["O", "B-LOC"]]
    assert sum(examples.repairs) == 2
    # BIO is no fault in the data of a model of BIOES.
    bioes = TokenClassification(labels=["O", "B-PER", "I-PER", "E-PER", "S-PER"])
    examples = bioes.read((WORDS, [["B-PER", "I-PER", "O"], ["B-PER", "O"]]))
    assert examples.tags() == [["B-PER", "E-PER", "O"], ["S-PER", "O"]]
    assert sum(examples.repairs) == 0


def test_spans_are_widened_to_words():
    text = "un-American  na\u00efve"
    spans = [{"start": 5, "end": 11, "label": "X"}, {"start": 11, "end": 18, "label": "Y"}]
    examples = TASK.read({"text": [text], "spans": [spans]})
    assert examples.texts[0].words == ["un", "-", "American", "na\u00efve"]
    assert examples.tags() == [["O", "O", "B-X", "B-Y"]]
    assert sum(examples.widenings) == 1, "the second one only has spaces at its start"


def spans(*given):
    return [{"text": "Anna went", "spans": list(given)}]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"tokens": ["a", "b"], "tags": ["O"]}],
         ", line 1: expected a tag for each of the 2 tokens, got 1 tags."),
        ([{"tokens": ["a"], "tags": ["O"]}, {"tokens": ["a"]}],
         ", line 2: expected the key 'tags', got 'tokens'."),
        ([{"tokens": [""], "tags": ["O"]}], ", line 1: expected words of some characters"),
        ([{"tokens": 3, "tags": ["O"]}], ", line 1: expected a text or a list of words, got 3"),
        ([{"tokens": [], "tags": []}], ", line 1: expected at least one word, got none."),
        ([{"tokens": ["a"], "tags": "O"}], ", line 1: expected a list of tags or spans, got 'O'."),
        ([{"tokens": ["a"], "tags": None}],
         ", line 1: expected a list of tags or spans, got None."),
        ([{"tokens": ["a"], "tags": [None]}], ", line 1: expected a tag to be text, or an index"),
        ([{"tokens": ["a"], "tags": [7]}], ", line 1: expected a tag to be text, or an index"),
        ([{"tokens": ["a"], "tags": ["a\nb"]}], ", line 1: expected a label of one line"),
        (spans({"start": 0, "end": 10, "label": "X"}),
         ", line 1: expected a span inside its text of 9 characters, got start=0, end=10."),
        (spans({"start": 4, "end": 4, "label": "X"}), "got start=4, end=4."),
        (spans({"start": 0.0, "end": 4, "label": "X"}), "got start=0.0, end=4."),
        (spans({"start": 0, "end": 4}), ", line 1: expected a span with start, end and label, got"),
        (spans({"start": 0, "end": 4, "label": 3}), "expected a span's label to be text, got 3."),
        (spans({"start": 4, "end": 5, "label": "X"}), "expected a span with a word in it"),
        (spans({"start": 0, "end": 6, "label": "X"}, {"start": 5, "end": 9, "label": "Y"}),
         ", line 1: expected spans that share no word, got two in 'went'."),
        ("", ": the file is empty."), ("{]\n", ", line 1: bad JSON"),
        ("[3]\n", ", line 1: expected a JSON object, got '[3]'."),
    ],
)  # fmt: skip
def test_bad_json_lines(write, rows, said):
    path = write(rows)
    with pytest.raises(InputError, match=re.escape(said)) as error:
        TASK.read(path)
    assert str(error.value).startswith(str(path))


def test_mixed_tags_are_refused_with_their_line(write):
    path = write("a\tB-X\nb\tO\n\nc\tNOUN\n", "a.conll")
    said = (
        f"{path}, line 4: expected tags of entities, O and those that begin with B-, I-, E- or S-, "
        "as others are, got 'NOUN'."
    )
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        TASK.read(path)
    with pytest.raises(InputError, match="got 'NOUN'"):
        TokenClassification(labels=["O", "B-X", "NOUN"])


def test_unknown_tags_are_refused_with_their_line(write):
    path = write("a\tB-PER\n\nb\tB-ORG\n", "a.conll")
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}, line 3: unknown tag 'B-ORG'"):
        KNOWN.read(path)
    with pytest.raises(InputError, match="line 1: unknown tag 'B-PER'"):
        TokenClassification(labels=["N", "V"]).read(path)


def test_other_files_and_columns_are_refused(write):
    path = write("a,b\n", "a.csv")
    with pytest.raises(InputError, match=r"expected a name that ends in \.conll, .*\.jsonl"):
        TASK.read(path)
    with pytest.raises(InputError, match="data: expected a column 'tags'"):
        TASK.read((WORDS,))
    with pytest.raises(FileNotFoundError):
        TASK.read(path.with_name("none.conll"))


def test_a_split_keeps_words_with_their_tags():
    words, tags = sentences(20, 0)
    task, train, validation = TASK.read_parts((words, tags), 0.25)
    assert task.labels == LABELS and (len(train), len(validation)) == (15, 5)
    both = {tuple(w): t for w, t in zip(words, tags, strict=True)}
    for part in (train, validation):
        for row, named in zip(part.texts, part.tags(), strict=True):
            assert both[tuple(row.words)] == named
