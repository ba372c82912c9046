import json
import subprocess
import sys

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.piece_list import (
    BYTE_PIECES,
    CLS,
    MASK,
    PAD,
    SEP,
    UNK,
    Vocabulary,
)
from keras_transformer.zoo.tokenizers.tokenizer import Encoded, Tokenizer, TokenizerConfig

SPECIAL = [PAD, UNK, CLS, SEP, MASK]
VOCABULARY = [*SPECIAL, "a", "##a", "b", "##b", "ab", "##ab", "abab", ",", "é", "我"]
A, AA, B, BB, AB, ABAB, COMMA, E, WO = 5, 6, 7, 8, 9, 11, 12, 13, 14
SENTENCEPIECE = Vocabulary(
    (*SPECIAL, *BYTE_PIECES, "▁", "a", "b", "▁ab"), (0.0,) * 261 + (-2.5, -2.0, -1.75, -3.1)
)
KINDS = {
    "wordpiece": VOCABULARY,
    "bytes": (),
    "characters": (*SPECIAL, "a", "b", " ", "\n", "\u2028", "é"),
    "sentencepiece": SENTENCEPIECE,
}


def tokenizer(**settings):
    return Tokenizer(TokenizerConfig(**settings), VOCABULARY)


def test_pieces_are_matched_longest_first():
    texts = ["ababa", "aab,b", "abc a", "", "我AB我", "[CLS]"]
    assert tokenizer().pieces(texts) == [
        [ABAB, AA],
        [A, 10, COMMA, B],
        [1, A],
        [],
        [WO, AB, WO],
        [1, 1, 1],
    ]


def test_accents_and_case_follow_the_settings():
    assert tokenizer(strip_accents=False).pieces(["é É e"]) == [[E, E, 1]]
    assert tokenizer(lowercase=False, strip_accents=False).pieces(["é É A"]) == [[E, 1, 1]]


def test_a_word_with_too_many_bytes_is_unknown():
    assert tokenizer(max_bytes_per_word=4).pieces(["abab ababa"]) == [[ABAB, 1]]
    assert tokenizer(max_bytes_per_word=1, strip_accents=False).pieces(["é a"]) == [[1, A]]


def test_bytes_are_utf8_after_five_special_tokens():
    settings = TokenizerConfig(kind="bytes", lowercase=False, strip_accents=False)
    plain = Tokenizer(settings)
    assert plain.vocab_size == 261
    assert plain.pieces(["A é\n", "", "\ud800"]) == [
        [5 + byte for byte in b"A \xc3\xa9\n"],
        [],
        [5 + byte for byte in b"\xef\xbf\xbd"],
    ]
    assert Tokenizer(TokenizerConfig(kind="bytes")).pieces(["É"]) == [[5 + ord("e")]]


def test_encode_puts_in_special_tokens():
    encoded = tokenizer().encode(["a b", ""], max_length=8)
    assert [row.tolist() for row in encoded.ids] == [[2, A, B, 3], [2, 3]]
    assert [row.tolist() for row in encoded.segment_ids] == [[0, 0, 0, 0], [0, 0]]
    assert all(row.dtype == np.int32 for row in encoded.ids + encoded.segment_ids)
    assert encoded.num_truncated == 0


def test_encode_pairs():
    encoded = tokenizer().encode(["a", ""], ["b b", "a"], max_length=6)
    assert [row.tolist() for row in encoded.ids] == [[2, A, 3, B, B, 3], [2, 3, A, 3]]
    assert [row.tolist() for row in encoded.segment_ids] == [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1]]


def test_encode_uses_the_ids_of_the_vocabulary():
    ordered = Tokenizer(TokenizerConfig(), [PAD, "a", SEP, CLS, MASK, UNK])
    assert ordered.encode(["a b"], max_length=4).ids[0].tolist() == [3, 1, 5, 2]


def test_encode_truncates_and_counts():
    encoded = tokenizer().encode(["a a a", "a a", "a"], max_length=4)
    assert [row.tolist() for row in encoded.ids] == [[2, A, A, 3], [2, A, A, 3], [2, A, 3]]
    assert encoded.num_truncated == 1


@pytest.mark.parametrize("max_length", range(5, 16))
def test_of_a_pair_the_longer_text_is_truncated_first(max_length):
    lengths = [(a, b) for a in range(8) for b in range(8)]
    texts = [" ".join("a" * a) for a, _ in lengths]
    pairs = [" ".join("b" * b) for _, b in lengths]
    expected, num_truncated = [], 0
    for a, b in lengths:
        num_truncated += a + b > max_length - 3
        while a + b > max_length - 3:
            a, b = (a - 1, b) if a > b else (a, b - 1)
        expected.append([2, *[A] * a, 3, *[B] * b, 3])
    encoded = tokenizer().encode(texts, pairs, max_length=max_length)
    assert [row.tolist() for row in encoded.ids] == expected
    assert encoded.num_truncated == num_truncated


def test_encode_refuses_what_cannot_fit():
    with pytest.raises(InputError, match="^Expected max_length to be at least 3, got max_length=2"):
        tokenizer().encode(["a"], max_length=2)
    with pytest.raises(InputError, match="^Expected max_length to be at least 5, got max_length=4"):
        tokenizer().encode(["a"], ["a"], max_length=4)
    with pytest.raises(InputError, match="got 1 pairs for 2 texts"):
        tokenizer().encode(["a", "b"], ["a"], max_length=8)


def test_pad():
    encoded = tokenizer().encode(["a", ""], ["b", "b"], max_length=8)
    ids, segment_ids = encoded.pad()
    np.testing.assert_array_equal(ids, [[2, A, 3, B, 3], [2, 3, B, 3, 0]])
    np.testing.assert_array_equal(segment_ids, [[0, 0, 0, 1, 1], [0, 0, 1, 1, 0]])
    ids, segment_ids = encoded.pad(6)
    np.testing.assert_array_equal(ids, [[2, A, 3, B, 3, 0], [2, 3, B, 3, 0, 0]])
    assert ids.dtype == segment_ids.dtype == np.int32
    with pytest.raises(ValueError, match="at least the longest row's 5, got length=4"):
        encoded.pad(4)
    assert Encoded(ids=[], segment_ids=[]).pad(3)[0].shape == (0, 3)


def test_encode_sequences():
    encode = tokenizer().encode_sequences
    encoded = encode(["a b", ""], max_length=3)
    assert [row.tolist() for row in encoded.ids] == [[A, B, 3], [3]]
    assert [row.tolist() for row in encoded.segment_ids] == [[0, 0, 0], [0]]
    assert all(row.dtype == np.int32 for row in encoded.ids + encoded.segment_ids)
    encoded = encode(["a b", ""], max_length=3, begin=True, end=False)
    assert [row.tolist() for row in encoded.ids] == [[2, A, B], [2]]
    assert [row.tolist() for row in encode(["b"], max_length=1, end=False).ids] == [[B]]


def test_encode_sequences_counts_what_it_cuts():
    texts = ["a b a", "a b", "a", ""]
    encoded = tokenizer().encode_sequences(texts, max_length=3, begin=True)
    assert [row.tolist() for row in encoded.ids] == [[2, A, 3], [2, A, 3], [2, A, 3], [2, 3]]
    assert encoded.num_truncated == 2
    assert tokenizer().encode_sequences(texts, max_length=3).num_truncated == 1
    assert tokenizer().encode_sequences([], max_length=3).ids == []


@pytest.mark.parametrize(
    "begin, end, least", [(False, False, 1), (False, True, 2), (True, True, 3)]
)
def test_encode_sequences_needs_room(begin, end, least):
    message = f"Expected max_length to be at least {least}, got max_length={least - 1}."
    with pytest.raises(InputError, match=f"^{message}$"):
        tokenizer().encode_sequences(["a"], max_length=least - 1, begin=begin, end=end)


@pytest.mark.parametrize(
    "kind, text, decoded",
    [
        ("wordpiece", "ABA b,abab", "aba b, abab"),
        ("wordpiece", "a x 我", "a 我"),
        ("bytes", "É b\n", "e b\n"),
        ("characters", " a\n\u2028éb ", " a\n\u2028éb "),
        ("sentencepiece", "  ab\tÉ abé🙂 ", "ab É abé🙂"),
    ],
)
def test_decode_leaves_special_tokens_out(kind, text, decoded):
    made = Tokenizer(TokenizerConfig(kind=kind), KINDS[kind])
    ids = made.encode([text], max_length=40).pad(45)[0][0]
    assert made.decode(ids) == made.decode(ids.tolist()) == decoded
    assert made.decode([]) == made.decode([2, 3, 0, 0]) == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", [-1, 0, 7])
def test_decode_refuses_ids_outside_the_vocabulary(kind, offset):
    made = Tokenizer(TokenizerConfig(kind=kind), KINDS[kind])
    wrong = -1 if offset < 0 else made.vocab_size + offset
    message = f"Expected ids from 0 to {made.vocab_size - 1}, got {wrong}."
    with pytest.raises(InputError, match=f"^{message}$"):
        made.decode([3, wrong])


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_have_ids(kind):
    made = Tokenizer(TokenizerConfig(kind=kind), KINDS[kind])
    assert (made.pad_id, made.unk_id, made.cls_id, made.sep_id) == (0, 1, 2, 3)
    ordered = Tokenizer(TokenizerConfig(), [PAD, "a", SEP, CLS, MASK, UNK])
    assert (ordered.pad_id, ordered.unk_id, ordered.cls_id, ordered.sep_id) == (0, 5, 3, 2)
    assert ordered.decode([0, 1, 2, 3, 4, 5, 1]) == "a a"


FILES = {
    "wordpiece": ["tokenizer.json", "vocab.txt"],
    "bytes": ["tokenizer.json"],
    "characters": ["tokenizer.json", "characters.json"],
    "sentencepiece": ["tokenizer.json", "sentencepiece.tsv"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load(tmp_path, kind):
    saved = Tokenizer(TokenizerConfig(kind=kind, lowercase=True), KINDS[kind])
    saved.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert loaded.config == saved.config
    assert loaded.vocabulary == saved.vocabulary
    assert {path.name for path in tmp_path.iterdir()} == set(FILES[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_two_tokenizers_in_one_place(kind):
    target = Tokenizer(TokenizerConfig(kind=kind), KINDS[kind])
    source = Tokenizer(TokenizerConfig(lowercase=False), VOCABULARY)
    files = {**source.to_files(), **target.to_files("target_"), "labels.txt": b""}
    assert list(target.to_files("target_")) == [f"target_{name}" for name in FILES[kind]]
    read = Tokenizer.from_files(files, "target_")
    assert (read.config, read.vocabulary) == (target.config, target.vocabulary)
    read = Tokenizer.from_files(files)
    assert (read.config, read.vocabulary) == (source.config, source.vocabulary)
    with pytest.raises(InputError, match="^Expected a file other_tokenizer.json, got none.$"):
        Tokenizer.from_files(files, "other_")


def test_unusual_white_space_in_pieces_survives_the_file():
    pieces = [*SPECIAL, "\x85", "\u2028", "\r", "\x1c", " "]
    files = Tokenizer(TokenizerConfig(), pieces).to_files()
    read = Tokenizer.from_files(files)
    assert list(read.vocabulary) == pieces


def test_files_that_describe_no_tokenizer(tmp_path):
    with pytest.raises(FileNotFoundError):
        Tokenizer.load(tmp_path)
    good = json.dumps(TokenizerConfig().to_json())
    with pytest.raises(InputError, match="Expected a file tokenizer.json, got none"):
        Tokenizer.from_files({})
    with pytest.raises(InputError, match="Expected vocab.txt beside tokenizer.json, got none"):
        Tokenizer.from_files({"tokenizer.json": good.encode()})
    with pytest.raises(InputError, match="Expected tokenizer.json to hold JSON"):
        Tokenizer.from_files({"tokenizer.json": b"{"})
    with pytest.raises(InputError, match=r"settings to be an object, got \[\]"):
        Tokenizer.from_files({"tokenizer.json": b"[]"})
    (tmp_path / "tokenizer.json").write_text(good)
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(InputError, match="vocab.txt to be UTF-8"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    "vocabulary, message",
    [
        ([], "Expected the vocabulary to hold .PAD."),
        (SPECIAL[:-1], "Expected the vocabulary to hold .MASK."),
        ([*SPECIAL, "a", "b", "a"], "'a' on lines 6 and 8"),
        ([*SPECIAL, ""], "got '' on line 6"),
        ([*SPECIAL, "a\nb"], "on line 6"),
        ([*SPECIAL, "a\0"], "on line 6"),
        ([*SPECIAL, "\ud800"], "on line 6"),
        ([*SPECIAL, "##" + "a" * 256, "é" * 129], "at most 256 bytes .* got 258 bytes on line 7"),
        ([UNK, PAD, CLS, SEP, MASK], "on line 2: its id must be 0"),
    ],
)
def test_vocabularies_are_checked(vocabulary, message):
    with pytest.raises(InputError, match=message):
        Tokenizer(TokenizerConfig(), vocabulary)


def test_a_bytes_tokenizer_takes_no_vocabulary():
    with pytest.raises(InputError, match="Expected no vocabulary for a bytes tokenizer, got 15"):
        tokenizer(kind="bytes")


def test_the_device_path_loads_no_tensorflow():
    script = (
        "import sys\n"
        "from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig\n"
        "Tokenizer(TokenizerConfig(kind='bytes')).encode(['a'], max_length=8).pad()\n"
        "heavy = {'tensorflow', 'tensorflow_text', 'tf_keras', 'keras', 'jax', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr
