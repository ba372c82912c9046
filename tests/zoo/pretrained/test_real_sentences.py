"""Equal ids on real sentences, where KERAS_TRANSFORMER_DATA names a folder with tables of them.

Every `.tsv` and `.tsv.gz` below it is read, each cell a text. KERAS_TRANSFORMER_REAL may name a
folder with tokenizer.json files of unigrams, which are compared with the `tokenizers` library.
"""

import gzip
import json
import os
import random
from pathlib import Path

import pytest
import sentencepiece

from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer
from tests.hard_strings import UTF8

DATA = Path(os.environ.get("KERAS_TRANSFORMER_DATA", "none"))
REAL = Path(os.environ.get("KERAS_TRANSFORMER_REAL", "none"))
COUNT = 20_000

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs KERAS_TRANSFORMER_DATA")


@pytest.fixture(scope="module")
def sentences():
    """Texts of all tables, those with letters of other scripts first."""
    cells = set()
    for path in sorted(DATA.rglob("*.tsv*")):
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8", newline="\n") as file:
            cells.update(cell for line in file for cell in line.rstrip("\n").split("\t"))
    chosen = sorted(cell for cell in cells if len(cell) > 20 and "<s>" not in cell)
    random.Random(0).shuffle(chosen)
    chosen.sort(key=lambda cell: not any(c > "\u0370" and c.isalpha() for c in cell))
    return [*chosen[:COUNT], *UTF8]


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "unigram"}, {"model_type": "unigram", "byte_fallback": True},
        {"model_type": "bpe"}, {"model_type": "bpe", "byte_fallback": True},
    ],
)  # fmt: skip
def test_a_model_trained_on_them(sentences, settings, tmp_path):
    path = tmp_path / "tokenizer.model"
    with open(path, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences[::5]), model_writer=file, vocab_size=4000,
            minloglevel=2, num_threads=1, character_coverage=0.9995, **settings,
        )  # fmt: skip
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    published = read_tokenizer(tmp_path)
    found = [published.rows[ids].tolist() for ids in published.tokenizer.pieces(sentences)]
    assert found == theirs.encode(sentences)


def unigram_folders():
    for path in sorted(REAL.rglob("tokenizer.json")):
        if json.loads(path.read_bytes()).get("model", {}).get("type") == "Unigram":
            yield path.parent


def test_published_unigrams(sentences):
    tokenizers = pytest.importorskip("tokenizers")
    folders = list(unigram_folders())
    if not folders:
        pytest.skip("needs KERAS_TRANSFORMER_REAL")
    # Special tokens in a text are text here.
    texts = [text for text in sentences if "<s>" not in text]
    for folder in folders:
        theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        published = read_tokenizer(folder)
        found = [published.rows[ids].tolist() for ids in published.tokenizer.pieces(texts)]
        expected = theirs.encode_batch(texts, add_special_tokens=False)
        assert found == [one.ids for one in expected]
