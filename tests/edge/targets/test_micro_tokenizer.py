"""The tokenizer in C of the target `micro`, against the tokenizer of the training."""

import random
import shutil
import string
import subprocess
import sys

import numpy as np
import pytest

from keras_transformer.edge.targets.micro.tokenizing import tables_of, tokenizer_code
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.hard_strings import HARD

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
LENGTH = 48
# Reads the number of bytes of a text, or of two, and their bytes; writes the count and all ids.
MAIN = """\
#include "my_model_tokenizer.h"
#include <stdio.h>
#include <stdlib.h>

/* Of its own size, so that the sanitizer sees a read of one byte more. */
static char* read_text(size_t* size) {
  char* text;
  if (fread(size, sizeof(*size), 1, stdin) != 1) return NULL;
  text = malloc(*size);
  if (*size && fread(text, 1, *size, stdin) != *size) exit(2);
  return text;
}

int main(int count, char** arguments) {
  int length = atoi(arguments[1]), all = length > 0 ? length : 1;
  size_t sizes[2];
  int32_t* ids = malloc(sizeof(int32_t) * all);
  int32_t* segments = malloc(sizeof(int32_t) * all);
  char *text, *second = NULL;
  (void)count;
  (void)segments;
  while ((text = read_text(&sizes[0])) != NULL) {
    int32_t found;
#ifdef PAIR
    second = read_text(&sizes[1]);
    found = my_model_tokenize_pair(text, sizes[0], second, sizes[1], ids, segments, length);
#else
    found = my_model_tokenize(text, sizes[0], ids, length);
#endif
    fwrite(&found, sizeof(found), 1, stdout);
    if (found >= 0) fwrite(ids, sizeof(*ids), length, stdout);
#ifdef PAIR
    if (found >= 0) fwrite(segments, sizeof(*segments), length, stdout);
#endif
    free(text);
    free(second);
  }
  free(ids);
  free(segments);
  return 0;
}
"""
STRICT = [
    "gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-O1",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
]  # fmt: skip


def compiled(folder, tokenizer, *, pair=False):
    """A program that reads texts."""
    sources = tokenizer_code("my_model", tokenizer, LENGTH, pair=pair)
    assert set(sources) == {"my_model_tokenizer.h", "my_model_tokenizer.c"}
    for name, text in sources.items():
        assert text.isascii()
        (folder / name).write_text(text)
    (folder / "main.c").write_text(MAIN)
    command = [*STRICT, *(["-DPAIR"] if pair else []), "main.c", "my_model_tokenizer.c"]
    subprocess.run([*command, "-o", "tokenize"], cwd=folder, check=True)
    return folder / "tokenize"


def run(program, texts, length=LENGTH, *, pair=False):
    """The counts, and the ids and the segment ids of each text or pair."""
    sent = b"".join(np.array([len(one)], np.uintp).tobytes() + one for one in texts)
    child = subprocess.run([program, str(length)], input=sent, capture_output=True, check=True)
    width = 1 + length * (1 + pair)
    found = np.frombuffer(child.stdout, np.int32).reshape(-1, width)
    assert len(found) == len(texts) // (1 + pair)
    return found[:, 0], found[:, 1:]


def check(program, tokenizer, texts, length=LENGTH):
    """Compares what the program reads in texts or bytes with what Python reads."""
    sent = [one if isinstance(one, bytes) else one.encode() for one in texts]
    counts, ids = run(program, sent, length)
    read = [one.decode(errors="replace") for one in sent]
    expected = tokenizer.encode(read, max_length=length)
    for text, found, row in zip(read, ids, expected.pad(length)[0], strict=True):
        assert found.tolist() == row.tolist(), ascii(text)
    assert counts.tolist() == [len(row) for row in expected.ids]


def of_utf8(texts):
    """Texts in which half a surrogate pair is U+FFFD."""
    return [one.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for one in texts]


def vocabulary(characters, config):
    """Pieces of many lengths, of the hard strings' words too, in an order of their own."""
    rng = random.Random(1)
    pieces = dict.fromkeys(characters)
    pieces |= dict.fromkeys(f"##{one}" for one in characters)
    plain = Tokenizer(config, [*SPECIAL_TOKENS, *pieces]).model
    for word in plain.split(" ".join(HARD).replace("\0", " ")):
        for _ in range(3):
            start = rng.randrange(len(word))
            part = word[start : start + rng.randrange(1, 9)]
            pieces[part if start == 0 else f"##{part}"] = None
    pieces |= dict.fromkeys(["##", "###", "#", "the", "##e", "\ufffd"])
    kept = [one for one in pieces if len(one.encode()) < 200 and one not in SPECIAL_TOKENS]
    rng.shuffle(kept)
    return [*SPECIAL_TOKENS, *(one for one in kept if not {"\n", "\0"} & {*one})]


ASCII = string.ascii_letters + string.digits + string.punctuation
OF_HARD = "".join(sorted({*"".join(of_utf8(HARD))} - {"\0", "\n"}))
CONFIGS = {
    "default": ({}, ASCII),
    "cased": ({"lowercase": False, "strip_accents": False}, OF_HARD),
    "accents": ({"strip_accents": False}, OF_HARD + "ßsʼnſϕ" + "が"),
    "no accents": ({}, OF_HARD + "".join(map(chr, [*range(0x1100, 0x1200), 0x3099, 0x309A]))),
    "all accents": ({"accents": "all", "max_characters_per_word": 7}, OF_HARD),
    "cased, no accents": ({"lowercase": False, "max_bytes_per_word": 12}, OF_HARD),
    "bert": ({"normalization": "bert"}, OF_HARD + "\U00050001"),
    "bert, cased": (
        {"normalization": "bert", "lowercase": False, "strip_accents": False},
        ASCII + "\U000f0001\U00050001",
    ),
}


# The default, and what differs most from it.
QUICK = ("default", "bert, cased")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in CONFIGS
    ],
)
def made(request, tmp_path_factory):
    settings, characters = CONFIGS[request.param]
    config = TokenizerConfig(**settings)
    tokenizer = Tokenizer(config, vocabulary(characters, config))
    return compiled(tmp_path_factory.mktemp("c"), tokenizer), tokenizer


@needs_gcc
def test_hard_strings(made):
    program, tokenizer = made
    for length in (3, LENGTH, 4000):
        check(program, tokenizer, of_utf8(HARD), length)


def every_character():
    """All that UTF-8 has, but of planes that are unassigned or private some alone."""
    yield from (chr(one) for one in range(0x40000) if not 0xD800 <= one < 0xE000)
    yield from map(chr, range(0xE0000, 0xE1000))
    for plane in range(0x40000, sys.maxunicode, 0x10000):
        yield from (chr(plane + low) for low in (0, 1, 0x3FF, 0x8000, 0xFFFD, 0xFFFE, 0xFFFF))


@needs_gcc
def test_every_character(made):
    program, tokenizer = made
    characters = [*every_character()]
    # In a word, where a character that ends words leaves two and that of no piece an unknown one.
    words = [f"e{one}a" for one in characters]
    texts = [" ".join(words[at : at + 300]) for at in range(0, len(words), 300)]
    check(program, tokenizer, texts, 1600)


def random_texts(count, tokenizer, seed):
    """Texts of characters of all of Unicode, of the vocabulary, and of pieces in a row."""
    rng = random.Random(seed)
    pieces = [one.removeprefix("##") for one in tokenizer.vocabulary]
    known = "".join(pieces)

    def part():
        kind = rng.random()
        if kind < 0.1:
            return rng.choice(" \t\u3000\u00ad.")
        if kind < 0.4:
            return rng.choice(pieces)
        if kind < 0.7:
            return rng.choice(known)
        return chr(rng.randrange(rng.choice([0x250, 0x3000, sys.maxunicode + 1])))

    return of_utf8("".join(part() for _ in range(rng.randrange(40))) for _ in range(count))


@needs_gcc
def test_random_texts(made):
    program, tokenizer = made
    texts = random_texts(400, tokenizer, seed=5)
    for length in (5, LENGTH, 300):
        check(program, tokenizer, texts, length)


@needs_gcc
def test_bytes_that_are_no_utf8(made):
    program, tokenizer = made
    rng = random.Random(7)
    likely = bytes([*range(0x7E, 0xFF), 0xFF]) + b"ae .\xe1\x88\x9f\xf0\xf4\xed"
    texts = [bytes(rng.choices(likely, k=rng.randrange(24))) for _ in range(600)]
    # Characters of every length, cut anywhere, and changed in a byte.
    whole = "é는\U0001f642a\u0800\uffff\U00010000\U0010ffff".encode()
    texts += [whole[start:end] for start in range(len(whole)) for end in range(start, len(whole))]
    for place in range(len(whole)):
        texts += [whole[:place] + bytes([byte]) + whole[place + 1 :] for byte in range(0, 256, 5)]
    texts += [b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"a\0b", b"\xef\xbf\xbd"]
    check(program, tokenizer, texts)


def test_the_vocabulary_is_in_hexadecimal_and_all_of_unicode_is_small():
    tokenizer = Tokenizer(TokenizerConfig(), [*SPECIAL_TOKENS, *string.ascii_letters, "hidden"])
    tables = tables_of(tokenizer).tables
    assert bytes(tables["pieces"].values) == b"abcdefghhiddenijklmnopqrstuvwxyz"
    assert "0x68, 0x69, 0x64, 0x64, 0x65, 0x6e" in tables["pieces"].code("pieces")
    source = tokenizer_code("my_model", tokenizer, LENGTH)["my_model_tokenizer.c"]
    assert "hidden" not in source and "[CLS]" not in source
    # Runs of two bytes and one of what is read there, and the texts: 200 to 300 runs of punctuation
    # and of what separates words are in every table, those of Latin letters with marks in this.
    assert sum(one.size for name, one in tables.items() if "piece" not in name) < 2500


@needs_gcc
@pytest.mark.parametrize("segments", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_pairs(segments, tmp_path):
    special = SpecialTokens(
        pad="<pad>", unk="<unk>", begin="<s>", end="</s>", mask=None, segments=segments,
        single=("<s>", "$A", "</s>"), pair=("<s>", "$A", "</s>", "</s>", "$B", "</s>"),
    )  # fmt: skip
    config = TokenizerConfig(special=special)
    words = [*special.names, *"abcde", *(f"##{one}" for one in "abcde"), "ab", "##cd"]
    tokenizer = Tokenizer(config, words)
    program = compiled(tmp_path, tokenizer, pair=True)
    rng = random.Random(3)
    texts = ["".join(rng.choices("abcde é.", k=rng.choice([0, 3, 40]))) for _ in range(400)]
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    for length in (6, 7, 12, 48):
        counts, found = run(program, [one.encode() for one in texts], length, pair=True)
        expected = tokenizer.encode(*zip(*pairs, strict=True), max_length=length)
        np.testing.assert_array_equal(found, np.hstack(expected.pad(length)))
        assert counts.tolist() == [len(row) for row in expected.ids]
    counts, _ = run(program, [], 5, pair=True)
    sent = b"".join(np.array([1], np.uintp).tobytes() + b"a" for _ in range(2))
    child = subprocess.run([program, "5"], input=sent, capture_output=True, check=True)
    assert np.frombuffer(child.stdout, np.int32).tolist() == [-1]


@needs_gcc
def test_no_room_for_a_piece(made):
    program, _ = made
    for length in (2, 0, -1, -(2**31)):
        sent = np.array([1], np.uintp).tobytes() + b"a"
        child = subprocess.run([program, str(length)], input=sent, capture_output=True, check=True)
        assert np.frombuffer(child.stdout, np.int32).tolist() == [-1]
