"""CoNLL files: columns, comments, what is passed over, and what is refused."""

import gzip
import re

import pytest

from keras_transformer.zoo.data.conll import is_conll, read_conll
from keras_transformer.zoo.errors import InputError

SPACED = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

# SYM O O
"""
CONLLU = """# newdoc id = x
# sent_id = 1
# text = Don't # go
1-2\tDon't\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_
2\tn't\tnot\tPART\tRB\t_
3\t#\t#\tSYM\tNN\t_
3.1\tgone\tgo\tVERB\tVB\t_
4\tgo on\tgo\tVERB\tVB\t_

"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.conll"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        return path

    return write


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.bio.gz"])
def test_first_and_last_column_by_default(write, name, ends):
    path = write(SPACED.replace("\n", ends), name)
    assert is_conll(path)
    assert read_conll(path, "tokens", "tags") == [
        (["EU", "rejects"], ["B-ORG", "O"], [3, 4]), (["#"], ["O"], [6])
    ]  # fmt: skip


def test_spaces_around_cells_are_of_no_word_and_no_break_spaces_are(write):
    expected = [(["10\u00a0000", "a b"], ["O", "B-X"], [1, 2])]
    assert read_conll(write("10\u00a0000\tO \n a b \tB-X\n"), "tokens", "tags") == expected
    spaced = read_conll(write(" 10\u00a0000  O \n\u3042 B-X\n"), "tokens", "tags")
    assert spaced == [(["10\u00a0000", "\u3042"], ["O", "B-X"], [1, 2])]


def test_columns_by_number(write):
    path = write(SPACED)
    [first, _] = read_conll(path, "2", "-2")
    assert first == (["NNP", "VBZ"], ["B-NP", "B-VP"], [3, 4])
    [first, _] = read_conll(path, "1", None)
    assert first == (["EU", "rejects"], None, [3, 4])


def test_columns_by_name(write):
    expected = (["Do", "n't", "#", "go on"], ["AUX", "PART", "SYM", "VERB"], [5, 6, 7, 9])
    assert read_conll(write(CONLLU, "a.conllu"), "tokens", "tags") == [expected]
    assert read_conll(write(CONLLU, "a.conllu.gz"), "FORM", "UPOS") == [expected]
    [(_, tags, _)] = read_conll(write(CONLLU, "b.conllu"), "FORM", "XPOS")
    assert tags == ["VB", "RB", "NN", "VB"]
    named = "# global.columns = FORM NER\na\tO\nb\tB-X\n"
    assert read_conll(write(named), "tokens", "NER") == [(["a", "b"], ["O", "B-X"], [2, 3])]


def test_comments_and_the_word_number_sign(write):
    text = "# sent_id = 1\n#\tSYM\t#\n=\tSYM\tNFP\n# newpar\nno\tDET\tDT\n"
    [(words, tags, _)] = read_conll(write(text), "1", "2")
    assert (words, tags) == (["#", "=", "no"], ["SYM", "SYM", "DET"])


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("a\tO\nb\n", ("tokens", "tags"),
         ", line 2: expected a word with its tag in 2 columns, as in the first line of words, got "
         "1."),
        ("\na O\nb O O\n", ("tokens", "tags"), ", line 3: expected a word with its tag in 2"),
        ("a\n", ("tokens", "tags"), ", line 1: expected a column of words and another one of tags, "
         "got 1 column and both in column 1."),
        ("a O\n", ("1", "3"), ", line 1: there is no column 3; the line has 2."),
        ("a O\n", ("1", "-3"), ", line 1: there is no column -3; the line has 2."),
        ("a O\n", ("FORM", "2"),
         ", line 1: expected a column's number, counted from 1, got 'FORM'."),
        ("a\tO\n \tO\n", ("1", "2"), ", line 2: expected text in column 1, got a blank."),
        ("", ("1", "2"), ": the file is empty: it has no line of a word."),
        ("# a = b\n\n-DOCSTART- O\n", ("1", "2"), ": the file is empty: it has no line of a word."),
    ],
)  # fmt: skip
def test_what_is_refused(write, text, columns, said):
    path = write(text)
    with pytest.raises(InputError, match=re.escape(f"{path}{said}")):
        read_conll(path, *columns)
