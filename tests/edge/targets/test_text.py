"""Files that read strings, in an interpreter with TensorFlow Text's ops."""

import dataclasses

import numpy as np
import pytest

from keras_transformer.edge.runtime.interpreters import make_interpreter
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.targets.text import TextGraph
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.tokenizers.normalizers.bert import split_bert_words
from keras_transformer.zoo.tokenizers.normalizers.normalize import split_words
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.edge.models import VOCABULARY, calibration, random_model
from tests.hard_strings import UTF8
from tests.slow import mostly_slow

FOLDED = {"lowercase": True, "strip_accents": True}
# Every character of the hard strings is a piece, at the start of a word and within it, but for
# some that are left to [UNK].
CHARACTERS = sorted({c for text in UTF8 for c in "".join(split_words(text, **FOLDED))})
PIECES = [*SPECIAL_TOKENS, "rain", "##cloud", *CHARACTERS[5:], *(f"##{c}" for c in CHARACTERS[5:])]


def with_pieces(config, pieces, **settings):
    trained = random_model(vocab_size=len(pieces), **settings)
    tokenizer = Tokenizer(config, pieces)
    trained.modality = dataclasses.replace(
        trained.modality, tokenizer=tokenizer, max_length=trained.config.max_length
    )
    return trained


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    trained = with_pieces(TokenizerConfig(), PIECES, max_length=64)
    path = tmp_path_factory.mktemp("text") / "model.tflite"
    converted = convert(trained, "float32", lengths=[64], target="text")
    path.write_bytes(bytes(converted))
    return trained, path


@pytest.mark.parametrize("rows", [1, 7])
def test_ids_are_the_tokenizers(reader, rows):
    trained, path = reader
    runner = Runner(path)
    expected, _ = trained.tokenizer.encode(UTF8, max_length=64).pad(64)
    assert (expected == trained.tokenizer.unk_id).any()
    for start in range(0, len(UTF8), rows):
        texts = UTF8[start : start + rows]
        _, ids = runner.run_texts(texts)
        for text, row, wanted in zip(texts, ids, expected[start:], strict=False):
            np.testing.assert_array_equal(row, wanted, err_msg=repr(text[:40]))


@pytest.mark.slow
@pytest.mark.parametrize("lowercase", mostly_slow([True, False], [True]))
def test_ids_of_berts_normalization_and_other_roles(tmp_path, lowercase):
    words = split_bert_words(" ".join(UTF8), lowercase=lowercase, strip_accents=lowercase)
    letters = sorted(set("".join(words)))
    names = ["<pad>", "<unk>", "<s>", "</s>"]
    pieces = [*names, *letters[5:], *(f"##{c}" for c in letters[5:])]
    special = SpecialTokens(
        pad="<pad>", unk="<unk>", begin="<s>", end="</s>", mask=None,
        single=("<s>", "$A", "</s>"), pair=("<s>", "$A", "</s>", "$B", "</s>"),
    )  # fmt: skip
    config = TokenizerConfig(
        normalization="bert", lowercase=lowercase, strip_accents=lowercase, special=special
    )
    trained = with_pieces(config, pieces, max_length=64)
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(convert(trained, "float32", lengths=[64], target="text")))
    _, ids = Runner(path).run_texts(UTF8)
    expected, _ = trained.tokenizer.encode(UTF8, max_length=64).pad(64)
    for text, row, wanted in zip(UTF8, ids, expected, strict=True):
        np.testing.assert_array_equal(row, wanted, err_msg=repr(text[:40]))


def test_predictions_are_the_keras_models(reader):
    trained, path = reader
    found = Runner(path).predict(UTF8)
    trained.modality = dataclasses.replace(trained.modality, max_length=64)
    logits = trained.scores(UTF8)
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = exponents / exponents.sum(1, keepdims=True)
    scores = [list(one.scores.values()) for one in found]
    np.testing.assert_allclose(scores, probabilities, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_cased_tokenizer_and_stored_activations(tmp_path):
    config = TokenizerConfig(lowercase=False, strip_accents=False)
    trained = with_pieces(config, [*VOCABULARY[:-1], "Ä"])
    path = tmp_path / "model.tflite"
    batches = calibration()
    converted = convert(trained, "int8", calibration=batches, target="text")
    path.write_bytes(bytes(converted))
    outputs, ids = Runner(path).run_texts(["w3 Ä ä"])
    assert ids[0, :5].tolist() == [2, VOCABULARY.index("w3"), len(VOCABULARY) - 1, 1, 3]
    assert outputs.shape == (1, 3)


def test_the_file_says_what_it_reads(reader):
    _, path = reader
    runner = Runner(path)
    with pytest.raises(InputError, match="a file that reads arrays, .* reads texts"):
        runner.run({"ids": np.ones((1, 64), np.int32)})
    flatbuffer, description, _ = unpack(path)
    assert description["custom_ops"] == list(TextGraph.custom_ops)
    interpreter = make_interpreter(flatbuffer, description)
    assert set(interpreter.get_signature_list()["predict"]["outputs"]) == {"ids", "probabilities"}


def test_other_ids_than_the_tokenizers_are_found(monkeypatch):
    trained = random_model()
    monkeypatch.setattr(trained.tokenizer, "cls_id", 3)
    make = TextGraph.signatures
    monkeypatch.setattr(TextGraph, "signatures", lambda *args: swapped(trained, make, args))
    with pytest.raises(RunError, match="Expected the graph to read .* as the ids"):
        convert(trained, "float32", target="text")


def swapped(trained, make, args):
    """The signatures of a tokenizer with another id of [CLS] than the one that checks."""
    trained.tokenizer.cls_id = 4
    made = make(*args)
    for function in made.values():
        function.get_concrete_function()
    trained.tokenizer.cls_id = 3
    return made


@pytest.mark.parametrize(
    ("make", "precision", "sentence"),
    [
        (lambda: random_model(pair=True), "float32", "Expected a task of single texts .* pairs"),
        (random_model, "integer", "which are float32, float16, dynamic_int8, int8; got"),
        (
            lambda: with_pieces(TokenizerConfig(kind="characters"), [*SPECIAL_TOKENS, "a"]),
            "float32", "a tokenizer of word pieces for the target text, got kind='characters'",
        ),
        (
            lambda: with_pieces(
                TokenizerConfig(special=SpecialTokens(single=("[CLS]", "$A"))), VOCABULARY
            ),
            "float32", r"one token on either side of a text .* single='\[CLS\] \$A'",
        ),
    ],
)  # fmt: skip
def test_what_the_ops_cannot_do(make, precision, sentence):
    with pytest.raises(InputError, match=sentence):
        convert(make(), precision, target="text")
