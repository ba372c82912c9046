"""The demo page's tokenizers, run by Node, give what Python's give."""

import hashlib
import shutil
import unicodedata

import pytest

from keras_transformer.zoo.tokenizers.normalizers.bert import split_bert_words
from keras_transformer.zoo.tokenizers.normalizers.normalize import ACCENTS, split_words
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary
from tests.hard_strings import HARD
from tests.runtimes.page import answer_of, write_files, write_page

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
# Even those of the hard strings that are not too long for a learner.
LEARNED = [text for text in HARD[::2] if len(text) < 200]
MAX_LENGTH = 24
# The planes that hold characters, without halves of surrogate pairs; then the tags.
CODES = [*range(0xD800), *range(0xE000, 0x32400), *range(0xE0000, 0xE0200)]
# Ideographs and Hangul syllables are treated alike: of those, but for the ideographs of
# compatibility, one in sixteen.
SOME_CODES = [
    code for code in CODES
    if code % 16 == 0 or not (0x3400 <= code < 0xA000 or 0xAC00 <= code < 0xD7A4 or
                              0x20000 <= code < 0x2F800 or 0x2FA20 <= code < 0x32400)
]  # fmt: skip
FOLDINGS = [
    {"lowercase": lowercase, "strip_accents": strip_accents}
    for lowercase, strip_accents in ((True, True), (True, False), (False, True))
]
FOLDINGS = [{**fold, "accents": accents} for fold in FOLDINGS for accents in ACCENTS]
BERT_FOLDINGS = [
    {"lowercase": lowercase, "strip_accents": strip_accents}
    for lowercase in (True, False) for strip_accents in (True, False)
]  # fmt: skip
CONFIGS = [
    TokenizerConfig(),
    TokenizerConfig(lowercase=False, strip_accents=False, max_bytes_per_word=40),
    TokenizerConfig(accents="all", max_characters_per_word=30),
    TokenizerConfig(normalization="bert"),
    TokenizerConfig(normalization="bert", lowercase=False, strip_accents=False),
    TokenizerConfig(kind="characters"),
    TokenizerConfig(kind="characters", lowercase=True, strip_accents=True),
    TokenizerConfig(kind="bytes", lowercase=False),
    TokenizerConfig(kind="sentencepiece"),
    TokenizerConfig(kind="sentencepiece", lowercase=True, strip_accents=True),
    TokenizerConfig(kind="sentencepiece", normalization="identity"),
    TokenizerConfig(kind="sentencepiece", normalization="identity", lowercase=True),
]


@pytest.fixture(scope="module")
def tokenizers():
    return [
        Tokenizer(config, () if config.kind == "bytes" else learn_vocabulary(LEARNED, 700, config))
        for config in CONFIGS
    ]


@pytest.fixture(scope="module")
def answer(tokenizers, tmp_path_factory):
    """What the page's modules make of the hard strings."""
    folder = tmp_path_factory.mktemp("page")
    return ask_page(folder, tokenizers, HARD, HARD[::-1])


def ask_page(folder, tokenizers, texts, pairs, *, codes=(), foldings=()):
    """What the page's modules make of texts, and of pairs with them, for each tokenizer."""
    write_page(folder)
    return answer_of(
        "tokenize.mjs", folder,
        {
            "files": write_files(folder, tokenizers), "texts": texts, "pairs": pairs,
            "maxLength": MAX_LENGTH, "codes": codes, "foldings": foldings,
        },
    )  # fmt: skip


@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_hard_strings_get_the_ids_that_python_gives(answer, tokenizers, number):
    tokenizer, page = tokenizers[number], answer["tokenizers"][number]
    pieces = tokenizer.pieces(HARD)
    encoded = {
        "single": tokenizer.encode(HARD, max_length=MAX_LENGTH),
        "paired": tokenizer.encode(HARD, HARD[::-1], max_length=MAX_LENGTH),
        "sources": tokenizer.encode_sequences(HARD, max_length=MAX_LENGTH),
    }
    for row, text in enumerate(HARD):
        assert page["pieces"][row] == pieces[row], ascii(text)
        assert page["decoded"][row] == tokenizer.decode(pieces[row]), ascii(text)
        for name, expected in encoded.items():
            found = page[name][row]
            assert found["ids"] == expected.ids[row].tolist(), (name, ascii(text))
            assert found["truncated"] == expected.truncated[row]
            if name != "sources":
                assert found["segmentIds"] == expected.segment_ids[row].tolist()


@pytest.mark.parametrize(
    "codes", [SOME_CODES, pytest.param(CODES, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_every_character_is_folded_and_split_as_python_does(tokenizers, tmp_path, codes):
    answer = ask_page(
        tmp_path, tokenizers[:1], ["a"], ["b"], codes=codes,
        foldings=FOLDINGS + [{**fold, "bert": True} for fold in BERT_FOLDINGS],
    )  # fmt: skip
    changes = [
        *(lambda text, fold=fold: " ".join(split_words(text, **fold)) for fold in FOLDINGS),
        *(
            lambda text, fold=fold: " ".join(split_bert_words(text, **fold))
            for fold in BERT_FOLDINGS
        ),
        *(lambda text, form=form: unicodedata.normalize(form, text) for form in ("NFKC", "NFC")),
    ]
    assert answer["characters"] == [every_character(change, codes) for change in changes]


def every_character(change, codes):
    changed = "\n".join(change(chr(code)) for code in codes)
    return hashlib.sha256(changed.encode()).hexdigest()
