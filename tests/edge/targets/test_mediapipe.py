"""Files for MediaPipe Tasks; tests/runtimes/test_mediapipe.py loads them there."""

import dataclasses
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.table import Table
from scipy.special import log_softmax

from keras_transformer.edge.compare.probes import probe_inputs
from keras_transformer.edge.runtime.packed import unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.targets.target import About
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.edge.generators import generator
from tests.edge.models import VOCABULARY, calibration, random_model
from tests.slow import mostly_slow

TEXTS = ["w1 w2 w3", "w30 w4", "", "w7 " * 40]
ABOUT = About(name="a model", description="what it does", version="7", license="Apache-2.0")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Paths by name; a file is converted when a test that runs asks for it."""
    folder = tmp_path_factory.mktemp("mediapipe")
    trained = random_model(pooling="mean")
    made = {
        "plain": {}, "classifier": {"target": "mediapipe"},
        "embedder": {"target": "mediapipe", "embedding": True},
        "int8": {"precision": "int8", "target": "mediapipe"}, "int8_plain": {"precision": "int8"},
    }  # fmt: skip

    class Paths(dict):
        def __missing__(self, name):
            batches = calibration() if "precision" in made[name] else None
            converted = convert(trained, calibration=batches, about=ABOUT, **made[name])
            self[name] = folder / f"{name}.tflite"
            self[name].write_bytes(bytes(converted))
            return self[name]

    return Paths()


@pytest.mark.slow
@pytest.mark.parametrize(("file", "plain"), [("classifier", "plain"), ("int8", "int8_plain")])
def test_probabilities_are_those_of_the_plain_file(paths, file, plain):
    expected = Runner(paths[plain]).predict(TEXTS)
    found = Runner(paths[file]).predict(TEXTS)
    assert [one.label for one in found] == [one.label for one in expected]
    for one, other in zip(found, expected, strict=True):
        # The softmax in the graph and NumPy's round the last bits otherwise.
        assert one.scores == pytest.approx(other.scores, abs=1e-6)
        assert one.truncated == other.truncated


def test_what_is_told_is_the_difference_from_the_checkpoint():
    """Not that from the model that rounds as the file does, which is hardly any."""
    trained = random_model(pooling="mean")
    made = convert(trained, "dynamic_int8", target="mediapipe")
    inputs = probe_inputs(trained, trained.max_length)
    expected = log_softmax(np.asarray(trained.model(inputs)), axis=1)
    off = np.abs(Runner(made).run(inputs) - expected).max()
    assert made.parity.largest == pytest.approx(off, rel=1e-3) and off > 1e-3
    assert f" against the checkpoint: the same choice in {made.parity.agreement:.1%}" in made.card()


@pytest.mark.parametrize("target", mostly_slow(["mediapipe", "text"], ["mediapipe"]))
def test_probabilities_are_calibrated(target):
    trained = random_model(pooling="mean")
    trained.task = dataclasses.replace(trained.task, temperature=2.5)
    runner, texts = Runner(convert(trained, target=target)), TEXTS[:1]
    [expected] = trained.predict(texts)
    assert runner.predict(texts)[0].scores == pytest.approx(expected.scores, abs=1e-6)
    # The graph itself gives them, to whatever reads the file.
    if target == "text":
        inputs = {"texts": np.array([texts[0].encode()], object)}
    else:
        ids = trained.encode(texts).pad(trained.inputs, runner.max_length)
        inputs = {**runner.modality.beside(ids), **ids}
    given = runner.interpreter.get_signature_runner("predict")(**inputs)["probabilities"][0]
    np.testing.assert_allclose(given, [expected.scores[one] for one in trained.labels], atol=1e-6)


@pytest.mark.slow
def test_an_embedding_is_what_the_head_reads(paths):
    trained = random_model(pooling="mean")
    weights = {weight.path: np.asarray(weight.value) for weight in trained.model.weights}
    vectors = Runner(paths["embedder"]).embed(TEXTS)
    assert vectors.shape == (len(TEXTS), trained.config.hidden_dim)
    logits = vectors @ weights["head/kernel"] + weights["head/bias"]
    # Kernel and vectors are float32; sums of 32 products.
    np.testing.assert_allclose(logits, Runner(paths["plain"]).scores(TEXTS), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_an_embedding_is_no_prediction(paths):
    with pytest.raises(InputError, match="a file that predicts, .* gives embeddings"):
        Runner(paths["embedder"]).predict(TEXTS)
    with pytest.raises(InputError, match="a file that gives embeddings, .* gives output; convert"):
        Runner(paths["plain"]).embed(TEXTS)


def test_padding_and_a_second_text_are_masked(paths):
    runner = Runner(paths["classifier"])
    predict = runner.interpreter.get_signature_runner("predict")
    row = np.array([[2, 9, 8, 3] + [0] * 8], np.int32)
    mask, none = (row != 0).astype(np.int32), np.zeros_like(row)
    expected = predict(ids=row, mask=mask, segment_ids=none)["probabilities"]
    longer = row.copy()
    longer[0, 4:6] = 11, 3
    second = np.zeros_like(row)
    second[0, 4:6] = 1
    for real, segment_ids in ((mask, none), (np.ones_like(row), second)):
        given = predict(ids=longer, mask=real, segment_ids=segment_ids)
        np.testing.assert_array_equal(given["probabilities"], expected)


def table_at(table, number):
    return table.Indirect(table.Pos + table.Offset(4 + 2 * number))


def text_at(table, number):
    return table.String(table.Pos + table.Offset(4 + 2 * number)).decode()


def tables_at(table, number):
    """Tables of a vector of them."""
    place = table.Offset(4 + 2 * number)
    start = table.Vector(place)
    return [
        Table(table.Bytes, table.Indirect(start + 4 * i)) for i in range(table.VectorLen(place))
    ]


def metadata_of(path):
    """The root table of a file's metadata, found as MediaPipe finds it."""
    flatbuffer, _, _ = unpack(path)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    (entry,) = [one for one in model.metadata if one.name == b"TFLITE_METADATA"]
    data = bytes(model.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    return Table(data, flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0)), model


def test_metadata_by_the_schemas_field_numbers(paths):
    root, model = metadata_of(paths["classifier"])
    assert [text_at(root, number) for number in (0, 1, 2, 5)] == [
        "a model", "what it does", "7", "Apache-2.0",
    ]  # fmt: skip
    (subgraph,) = tables_at(root, 3)
    # Inputs by the place that the subgraph has them at, whatever the converter made of their order.
    names = {one.tensorIndex: one.name.decode() for one in model.signatureDefs[0].inputs}
    order = [names[place] for place in model.subgraphs[0].inputs.tolist()]
    assert [text_at(tensor, 0) for tensor in tables_at(subgraph, 2)] == order
    assert sorted(order) == ["ids", "mask", "segment_ids"]
    (output,) = tables_at(subgraph, 3)
    (labels,) = tables_at(output, 6)
    assert (text_at(output, 0), text_at(labels, 0)) == ("probabilities", "labels.txt")
    (unit,) = tables_at(subgraph, 5)
    options = Table(unit.Bytes, table_at(unit, 1))
    assert unit.Get(flatbuffers.number_types.Uint8Flags, unit.Pos + unit.Offset(4)) == 4
    (vocabulary,) = tables_at(options, 0)
    assert text_at(vocabulary, 0) == "vocab.txt"


def test_attached_files_are_not_compressed(paths):
    with zipfile.ZipFile(paths["classifier"]) as archive:
        kinds = {entry.filename: entry.compress_type for entry in archive.infolist()}
    assert {"labels.txt", "vocab.txt"} < kinds.keys()
    assert set(kinds.values()) == {zipfile.ZIP_STORED}


def test_scores_are_calibrated_where_it_is_asked_for(tmp_path):
    lines = b"1,2.5,-0.5\n\n0.9,1,0,0.2\n"
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(convert(random_model(), target="mediapipe", score_calibration=lines)))
    assert unpack(path)[2]["score_calibration.txt"] == lines
    root, _ = metadata_of(path)
    (output,) = tables_at(tables_at(root, 3)[0], 3)
    assert [text_at(file, 0) for file in tables_at(output, 6)] == [
        "labels.txt", "score_calibration.txt",
    ]  # fmt: skip
    (unit,) = tables_at(output, 4)
    assert unit.Get(flatbuffers.number_types.Uint8Flags, unit.Pos + unit.Offset(4)) == 2


def cased():
    trained = random_model()
    tokenizer = Tokenizer(TokenizerConfig(lowercase=False), VOCABULARY)
    trained.modality = dataclasses.replace(trained.modality, tokenizer=tokenizer)
    return trained


def with_long_words():
    trained = random_model()
    tokenizer = Tokenizer(TokenizerConfig(), [*VOCABULARY[:-1], "##" + "ไ" * 10])
    trained.modality = dataclasses.replace(trained.modality, tokenizer=tokenizer)
    word = [5, *[len(VOCABULARY) - 1] * 4]
    trained.probes = {"ids": np.array([[2, *word, 3]], np.int32)}
    return trained


def with_pad_id(pad_id):
    trained = random_model()
    trained.tokenizer.pad_id = pad_id
    return trained


def with_tokenizer(**settings):
    trained = random_model()
    tokenizer = Tokenizer(TokenizerConfig(**settings), VOCABULARY)
    trained.modality = dataclasses.replace(trained.modality, tokenizer=tokenizer)
    return trained


# [MASK] in the place of [SEP].
MASK_ENDS = SpecialTokens(end="[MASK]", mask="[SEP]", single=("[CLS]", "$A", "[MASK]"))
ONLY_END = SpecialTokens(single=("$A", "[SEP]"))


def with_a_larger_vocabulary():
    trained = random_model()
    tokenizer = Tokenizer(TokenizerConfig(), [*VOCABULARY, "more"])
    trained.modality = dataclasses.replace(trained.modality, tokenizer=tokenizer)
    return trained


@pytest.mark.parametrize(
    ("make", "options", "arguments", "sentence"),
    [
        (random_model, {}, {"precision": "integer"}, "which are float32, float16, dynamic_int8"),
        (lambda: random_model("regression"), {}, {}, "Expected one label of single texts"),
        (lambda: random_model(pair=True), {}, {}, "got pairs in classification"),
        (lambda: generator("gpt"), {}, {}, "got language-modeling"),
        (lambda: with_pad_id(1), {}, {}, r"Expected \[PAD\] to be id 0 of the vocabulary, got 1"),
        (with_a_larger_vocabulary, {}, {}, "at most the embedding's 40 ids, got 41 pieces"),
        (cased, {}, {}, "folds case, as MediaPipe's always does, got lowercase=False"),
        (
            lambda: with_tokenizer(special=MASK_ENDS), {}, {},
            r"special tokens \[UNK\], \[CLS\] and \[SEP\], .* got \[UNK\], \[CLS\], \[MASK\]; use",
        ),
        (
            lambda: with_tokenizer(special=ONLY_END), {}, {},
            r"one token on either side of a text .* single='\$A \[SEP\]'",
        ),
        (lambda: with_tokenizer(normalization="bert"), {}, {}, "got normalization='bert'; use"),
        (with_long_words, {}, {}, "at most the 100 bytes .* got one of 12. bytes"),
        (random_model, {}, {"lengths": [8, 12]}, "Expected one length .* got lengths=8,12"),
        (
            random_model, {"score_calibration": "a file"}, {},
            "Expected score_calibration to be of type bytes, got score_calibration='a file'",
        ),
        (random_model, {"score_calibration": b"1,1,1\n"}, {}, "for each of 3 labels, got 1"),
        (random_model, {"score_calibration": b"1,1,1\n\n1,b,1\n"}, {}, "in line 3 .* got '1,b,1'"),
        (random_model, {"score_calibration": b"1,1,1\n\n-1,1,1"}, {}, "in line 3 .* got '-1,1,1'"),
    ],
)  # fmt: skip
def test_what_mediapipe_cannot_run(make, options, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        convert(make(), target="mediapipe", **arguments, **options)
