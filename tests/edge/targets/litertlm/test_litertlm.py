"""What stands in a `.litertlm` file, what is refused, and what is not kept."""

import dataclasses
import json

import pytest
import sentencepiece
from google.protobuf import text_format

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.targets.exported import export as edge_export
from keras_transformer.edge.targets.exported.export import export
from keras_transformer.edge.targets.litertlm import lm_target
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import build
from tests.edge.generators import generator, quantized_writer, writer
from tests.edge.models import random_model

litertlm_builder = pytest.importorskip("litert_lm_builder.litertlm_builder")
llm_metadata_pb2 = pytest.importorskip("litert_lm_builder.runtime.proto.llm_metadata_pb2")
export_litertlm = pytest.importorskip("keras_transformer.edge.targets.litertlm.litertlm")


@pytest.fixture
def without_runtime(monkeypatch):
    """As where `litert_lm` is not installed, which the tests in tests/runtimes use."""
    monkeypatch.setattr(export_litertlm, "find_spec", lambda _: None)


def test_the_parts_of_the_file(without_runtime, tmp_path):
    exported = export(writer(), "litertlm")
    assert set(exported.files) == {
        "model.litertlm", "tokenizer.json", "sentencepiece.tsv", "labels.txt", "model.json",
    }  # fmt: skip
    description = json.loads(exported.files["model.json"])
    assert (description["format"], description["precision"]) == ("litertlm", "float32")
    assert description["lengths"] == [16, 64, 96]
    assert description["measured"] == exported.measured
    assert exported.measured["tokens"] > 100
    assert exported.measured["same choice"] == "100.0%"
    assert exported.measured["greedy tokens of LiteRT-LM"] == "not installed"

    packed, folder = tmp_path / "model.litertlm", tmp_path / "unpacked"
    packed.write_bytes(exported.files["model.litertlm"])
    litertlm_builder.unpack(str(packed), str(folder))
    [model] = folder.glob("*prefill_decode.tflite")
    assert model.read_bytes()[4:8] == b"TFL3"
    [pieces] = folder.glob("*.spiece")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    assert processor.encode("ab  ce!") == writer().tokenizer.model.ids("ab  ce!")
    text = (folder / "LlmMetadataProto.pbtext").read_text()
    metadata = text_format.Parse(text, llm_metadata_pb2.LlmMetadata())
    # [SEP] is 3; [PAD], [UNK], [CLS] and [MASK] are never written.
    assert list(metadata.start_token.token_ids.ids) == [3]
    assert [list(stop.token_ids.ids) for stop in metadata.stop_tokens] == [[3]]
    assert list(metadata.suppress_tokens.ids) == [0, 1, 2, 4]
    assert (metadata.max_num_tokens, metadata.sampler_params.k) == (96, 1)


def test_a_quantized_checkpoint_is_written_in_its_own_precision(without_runtime):
    exported = export(quantized_writer("int8", "gpt"), "litertlm")
    assert exported.description["precision"] == "int8"


@pytest.mark.parametrize(
    ("trained", "precision", "sentence"),
    [
        (
            random_model, None,
            "Expected a decoder, which is all that LiteRT-LM runs, got an encoder; "
            "keras-transformer convert writes it as a .tflite file.",
        ),
        (
            lambda: generator("transformer"), None,
            "Expected a decoder, which is all that LiteRT-LM runs, got an encoder-decoder; "
            "keras-transformer convert writes it as a .tflite file.",
        ),
        (
            lambda: generator("llama"), None,
            "Expected a tokenizer of the kind sentencepiece, which LiteRT-LM has, got kind=bytes; "
            "train the model with --tokenizer sentencepiece.",
        ),
        (
            lambda: dataclasses.replace(
                generator("llama", vocab_size=400), tokenizer=writer().tokenizer
            ), None,
            "Expected a tokenizer of the 400 tokens that the model embeds, got one of 334.",
        ),
        (
            lambda: dataclasses.replace(generator("llama"), tokenizer=writer().tokenizer), None,
            "Expected a vocabulary of at most the embedding's 261 ids, got 334 pieces.",
        ),
        (
            writer, "integer",
            "Expected a precision that the bundle litertlm can run, which are float32, float16, "
            "dynamic_int8, int8, int16x8, int4; got precision=integer.",
        ),
        (
            writer, "int8",
            "Expected a checkpoint that was quantized for int8, got a float one; make it with "
            "keras-transformer quantize --precision int8.",
        ),
        (
            lambda: dataclasses.replace(writer(), bits=dict(PRECISIONS["dynamic_int8"].bits)),
            "float32",
            "Expected precision dynamic_int8, for which this checkpoint was quantized, got "
            "precision=float32; convert the float checkpoint that it was made from.",
        ),
    ],
)  # fmt: skip
def test_what_litert_lm_does_not_run(trained, precision, sentence, without_runtime):
    with pytest.raises(InputError) as error:
        export(trained(), "litertlm", precision)
    assert str(error.value) == sentence


def test_a_graph_that_computes_something_else_is_not_kept(without_runtime, monkeypatch):
    """Another epsilon in the norms, which no shape and no name tells."""
    signatures = lm_target.make_lm_signatures
    other = build(writer().config.replace(epsilon=1e-2), writer().task)

    def of_another_model(trained, model, lengths):
        other.set_weights(model.get_weights())
        return signatures(trained, other, lengths)

    monkeypatch.setattr(lm_target, "make_lm_signatures", of_another_model)
    with pytest.raises(RunError, match="^Expected the float32 file to follow the Keras model "):
        export(writer(), "litertlm")


def test_the_builder_is_not_installed(monkeypatch):
    monkeypatch.setattr(edge_export, "find_spec", lambda _: None)
    with pytest.raises(InputError) as error:
        export(None, "litertlm")
    assert str(error.value) == (
        "Expected litert_lm_builder to be installed, which the format litertlm needs; "
        'type: pip install "keras-transformer-zoo[litertlm]"'
    )


def test_a_precision_for_a_format_of_floats():
    with pytest.raises(InputError) as error:
        export(None, "saved_model", "int8")
    assert str(error.value) == (
        "Expected no precision for the format saved_model, which holds floats, got precision=int8."
    )
