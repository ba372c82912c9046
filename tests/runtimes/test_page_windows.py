"""The demo page's words, windows, entities and answers, run by Node, are those of Python."""

import itertools
import shutil

import numpy as np
import pytest

from keras_transformer.zoo.answering.answers import answer_outputs, answer_predictions
from keras_transformer.zoo.answering.windows import question_windows
from keras_transformer.zoo.tagging.decoding import tag_predictions
from keras_transformer.zoo.tagging.windows import windows_of
from keras_transformer.zoo.tagging.words import words_of
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary
from tests.hard_strings import HARD
from tests.runtimes.page import answer_of, write_files, write_page
from tests.runtimes.test_page_tokenizer import LEARNED, SOME_CODES

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
LONG = "Ada Lovelace, who lived in St. James's (London), paid 1,000.50 for a two-year lease. " * 3
TEXTS = [*HARD[::3], LONG]
QUESTIONS = [*HARD[1::3][: len(TEXTS)]]
QUESTIONS += ["Where did Ada live? " * 9] * (len(TEXTS) - len(QUESTIONS))
RULES = [(24, 0), (24, 9), (128, 0)]
LABELS = [
    ("O", "B-LOC", "I-LOC", "B-PER", "I-PER"), ("NOUN", "VERB", "X"),
    ("O", "B-A", "I-A", "E-A", "S-A", "B-B-C", "I-B-C", "E-B-C", "S-B-C"), ("B-A", "I-A"),
]  # fmt: skip
CONFIGS = [
    TokenizerConfig(), TokenizerConfig(normalization="bert", lowercase=False, strip_accents=False),
    TokenizerConfig(kind="bytes"), TokenizerConfig(kind="sentencepiece"),
    TokenizerConfig(
        special=SpecialTokens(segments=False, pair=("[CLS]", "$A", "[SEP]", "[SEP]", "$B", "[SEP]"))
    ),
]  # fmt: skip
THRESHOLD = -3.0
# Their exponentials are too large or too small for a float.
LOGITS = [[0.5], [1000.0, 1001.5, -3.0], [-2000.0, -2000.0], [0.0, 1.0, 2.0, 2.0]]
# What the page takes of LiteRT.js.
LITERT = """
export class Tensor { constructor(data, shape) { this.data = data; } delete() {} }
export function loadAndCompile() {}
"""


def outputs_of(windows, units):
    """The outputs that windows.mjs makes of windows."""
    found = []
    for window in windows:
        ids = window.ids.astype("int64")[:, None]
        numbers = ids * 7919 + np.arange(len(ids))[:, None] * 104729 + np.arange(units) * 1299709
        found.append((numbers % 99991 / 4096).astype("float32"))
    return found


def ask(folder, tokenizers, texts, questions):
    write_page(folder, litert=LITERT)
    return answer_of(
        "windows.mjs", folder,
        {
            "files": write_files(folder, tokenizers), "texts": texts, "questions": questions,
            "rules": RULES, "labels": LABELS, "threshold": THRESHOLD, "logits": LOGITS,
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def tokenizers():
    return [
        Tokenizer(config, () if config.kind == "bytes" else learn_vocabulary(LEARNED, 500, config))
        for config in CONFIGS
    ]


@pytest.fixture(scope="module")
def answer(tokenizers, tmp_path_factory):
    return ask(tmp_path_factory.mktemp("page"), tokenizers, TEXTS, QUESTIONS)


def test_words_are_those_of_python(tmp_path):
    texts = [f"a{chr(code)}1.{chr(code)},2{chr(code)}" for code in SOME_CODES] + TEXTS
    found = ask(tmp_path, [], texts, [])["places"]
    for text, places in zip(texts, found, strict=True):
        assert list(map(tuple, places)) == words_of(text).places, ascii(text)


def test_sums_of_exponentials_are_those_of_numpy(answer):
    expected = [np.logaddexp.reduce(row) for row in LOGITS]
    np.testing.assert_allclose(answer["logSums"], expected, rtol=1e-12)


@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_entities_and_tags_are_those_of_python(tokenizers, answer, number):
    found = iter(answer["tokenizers"][number])
    counts = []
    for max_length, stride in RULES:
        for text in TEXTS:
            page = next(found)
            expected = windows_of(tokenizers[number], [words_of(text)], max_length, stride)
            assert [
                (one["ids"], one["words"], one["starts"]) for one in page["tagged"]
            ] == [
                (one.ids.tolist(), one.words.tolist(), one.positions.tolist())
                for one in expected.windows
            ], ascii(text)  # fmt: skip
            assert page["tagTruncated"] == expected.truncated[0]
            counts.append(len(expected.windows))
            rules = itertools.product(LABELS, (True, False))
            for (labels, constrained), spans in zip(rules, page["spans"], strict=True):
                outputs = expected.outputs(
                    outputs_of(expected.windows, len(labels)), len(labels)
                )
                [tagged] = tag_predictions(labels, outputs, constrained)
                assert [(one["label"], one["start"], one["end"]) for one in spans] == [
                    (one.label, one.start, one.end) for one in tagged.spans
                ], ascii(text)
                np.testing.assert_allclose(
                    [one["score"] for one in spans], [one.score for one in tagged.spans], rtol=1e-9
                )
    assert max(counts) > 3 and min(counts) == 0


@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_answers_are_those_of_python(tokenizers, answer, number):
    found = iter(answer["tokenizers"][number])
    none = 0
    for max_length, stride in RULES:
        for question, text in zip(QUESTIONS, TEXTS, strict=True):
            page = next(found)
            expected = question_windows(
                tokenizers[number], [question], [words_of(text)], max_length, stride
            )
            names = ("ids", "segment_ids", "words", "starts", "ends")
            for one, window in zip(page["asked"], expected.windows, strict=True):
                for name in names:
                    key = "segmentIds" if name == "segment_ids" else name
                    assert one[key] == getattr(window, name).tolist(), (name, ascii(text))
            assert page["askTruncated"] == expected.truncated[0]
            outputs = outputs_of(expected.windows, 2)
            for threshold, given in zip((None, THRESHOLD), page["answers"], strict=True):
                [best] = answer_predictions((), answer_outputs(expected, outputs, threshold))
                assert (given["start"], given["end"]) == (best.start, best.end), ascii(text)
                assert given["score"] == pytest.approx(best.score, rel=1e-9)
                none += best.start is None
    assert 0 < none < 2 * len(RULES) * len(TEXTS)


def test_the_page_shows_what_its_modules_find(answer):
    page, row = answer["page"], answer["tokenizers"][0][len(TEXTS) - 1]
    assert page["tagged"]["spans"] == row["spans"][0] and page["tagged"]["score"] is None
    assert page["tagged"]["runs"] == len(row["tagged"]) > 1
    best = row["answers"][1]
    assert page["answered"]["score"] == best["score"]
    assert page["answered"]["spans"] == (
        [] if best["start"] is None else [{"label": "answer", **best}]
    )
    assert page["none"]["spans"] == [] and page["none"]["runs"] == 0
