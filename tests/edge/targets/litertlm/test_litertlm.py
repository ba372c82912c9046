"""What stands in a `.litertlm` file, what is refused, and what is not kept."""

import dataclasses

import pytest
import sentencepiece
from google.protobuf import text_format

from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.targets import target as edge_target
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.chat.chat import Chat
from keras_transformer.zoo.chat.template import render
from keras_transformer.zoo.data.batches import Batches
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import all_layers
from tests.edge.generators import WRITER_LENGTH, generator, quantized_writer, writer
from tests.edge.models import random_model
from tests.zoo.chat.templates import DATED, HEADERS

litertlm_builder = pytest.importorskip("litert_lm_builder.litertlm_builder")
llm_metadata_pb2 = pytest.importorskip("litert_lm_builder.runtime.proto.llm_metadata_pb2")
litertlm = pytest.importorskip("keras_transformer.edge.targets.litertlm.litertlm")
lm_file = pytest.importorskip("keras_transformer.edge.targets.litertlm.lm_file")


@pytest.fixture
def without_runtime(monkeypatch):
    """As where `litert_lm` is not installed, which the tests in tests/runtimes use."""
    monkeypatch.setattr(litertlm, "find_spec", lambda _: None)


def test_the_parts_of_the_file(without_runtime, tmp_path):
    exported = convert(writer(), target="litertlm")
    assert (exported.target, exported.precision) == ("litertlm", "float32")
    assert exported.description["lengths"] == [16, 64, 96]
    assert exported.parity.rows > 100
    assert exported.parity.agreement == 1
    assert exported.measured == {"greedy tokens of LiteRT-LM": "not installed"}
    card = exported.card("writer.litertlm")
    assert "| greedy tokens of LiteRT-LM | not installed |" in card
    assert 'litert_lm.Engine("writer.litertlm")' in card
    assert "| latency |" not in card

    packed, folder = tmp_path / "model.litertlm", tmp_path / "unpacked"
    packed.write_bytes(bytes(exported))
    litertlm_builder.unpack(str(packed), str(folder))
    [model] = folder.glob("*prefill_decode.tflite")
    assert model.read_bytes()[4:8] == b"TFL3"
    [pieces] = folder.glob("*.spiece")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    assert processor.encode("ab  ce!") == writer().tokenizer.model.ids("ab  ce!")
    text = (folder / "LlmMetadataProto.pbtext").read_text()
    metadata = text_format.Parse(text, llm_metadata_pb2.LlmMetadata())
    # [SEP] is 3; [PAD], [UNK], [CLS], [MASK] and the bytes of line breaks are never written.
    breaks = [writer().tokenizer.vocabulary.index(f"<0x{byte}>") for byte in ("0A", "0D")]
    assert list(metadata.start_token.token_ids.ids) == [3]
    assert [list(stop.token_ids.ids) for stop in metadata.stop_tokens] == [[3]]
    assert list(metadata.suppress_tokens.ids) == [0, 1, 2, 4, *breaks]
    assert (metadata.max_num_tokens, metadata.sampler_params.k) == (96, 1)


@pytest.mark.slow
def test_a_quantized_checkpoint_is_written_in_its_own_precision(without_runtime):
    exported = convert(quantized_writer("int8", "gpt"), target="litertlm")
    assert exported.precision == "int8"


@pytest.mark.slow
def test_a_float_checkpoint_is_calibrated(without_runtime):
    rows = Batches({"ids": list(writer("gpt").probes["ids"])}, batch_tokens=512)
    exported = convert(
        writer("gpt"), "int8", target="litertlm", calibration=rows, lengths=[8, WRITER_LENGTH]
    )
    assert (exported.precision, exported.description["lengths"]) == ("int8", [8, WRITER_LENGTH])


@pytest.mark.parametrize(
    ("trained", "precision", "sentence"),
    [
        (
            random_model, None,
            "Expected a decoder, which is all that LiteRT-LM runs, got an encoder; "
            "--target plain writes it as a .tflite file.",
        ),
        (
            lambda: generator("transformer"), None,
            "Expected a decoder, which is all that LiteRT-LM runs, got an encoder-decoder; "
            "--target plain writes it as a .tflite file.",
        ),
        (
            lambda: generator("llama"), None,
            "Expected a tokenizer of the kind sentencepiece, which LiteRT-LM has, got kind=bytes; "
            "train the model with --tokenizer sentencepiece.",
        ),
        (
            lambda: dataclasses.replace(
                generator("llama", vocab_size=400), modality=writer().modality
            ), None,
            "Expected a tokenizer of the 400 tokens that the model embeds, got one of 334.",
        ),
        (
            lambda: dataclasses.replace(generator("llama"), modality=writer().modality), None,
            "Expected a vocabulary of at most the embedding's 261 ids, got 334 pieces.",
        ),
        (
            writer, "integer",
            "Expected a precision that the target litertlm can run, which are float32, float16, "
            "dynamic_int8, int8, static_int8, int16x8, int4, channel_int4; got precision=integer.",
        ),
        (
            writer, "int16x8",
            "Expected another precision for the target litertlm, whose hosts are phones, or "
            f"--slow-on-arm, got precision=int16x8: {PRECISIONS['int16x8'].caution}",
        ),
        (
            writer, "int8",
            "Expected calibration data to convert a float checkpoint to int8; give "
            "--calibration FILE, or train it on with keras-transformer quantize first.",
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
        convert(trained(), precision, target="litertlm")
    assert str(error.value) == sentence


def test_what_is_slow_on_phones_is_written_if_asked_for(without_runtime):
    with pytest.raises(InputError, match="Expected calibration data to convert a float checkpoint"):
        convert(writer(), "int16x8", target="litertlm", slow_on_arm=True)


@pytest.mark.slow
def test_a_graph_that_computes_something_else_is_not_kept(without_runtime, monkeypatch):
    """Another epsilon in the norms, which no shape and no name tells."""
    signatures = litertlm.make_lm_signatures

    def of_another_model(trained, model, lengths):
        assert model is not trained.model
        for layer in all_layers(model):
            if hasattr(layer, "epsilon"):
                layer.epsilon = 1e-2
        return signatures(trained, model, lengths)

    monkeypatch.setattr(litertlm, "make_lm_signatures", of_another_model)
    with pytest.raises(RunError, match="^Expected the float32 file to follow the Keras model "):
        convert(writer(), target="litertlm")


def test_the_builder_is_not_installed(monkeypatch):
    monkeypatch.setattr(edge_target, "find_spec", lambda _: None)
    with pytest.raises(InputError) as error:
        convert(None, target="litertlm")
    assert str(error.value) == (
        "Expected litert_lm_builder to be installed, which the target litertlm needs; "
        'type: pip install "keras-transformer-zoo[litertlm]"'
    )


@pytest.mark.parametrize(
    ("template", "affixes", "told"),
    [
        (
            HEADERS,
            {
                role: (f"<|start|>{name}<|stop|>\n\n", "<|eot|>")
                for role, name in (("user", "user"), ("model", "assistant"), ("system", "system"))
            },
            "the template, and the texts around messages of user, assistant, system",
        ),
        pytest.param(
            DATED, {}, "the template alone: Expected a chat template without the date, got one "
            "that writes it.", marks=pytest.mark.slow,
        ),
        pytest.param(
            "{{ messages[0].content }}", {}, "the template alone: Expected a chat template that "
            "writes each message, got one that leaves out message 2.", marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_a_chat_in_the_file(without_runtime, tmp_path, template, affixes, told):
    sep = writer().tokenizer.config.special.end
    chat = Chat(template=template, tokens={"bos_token": sep}, ends=("a",))
    modality = dataclasses.replace(writer().modality, chat=chat)
    exported = convert(
        dataclasses.replace(writer(), modality=modality), target="litertlm", lengths=[WRITER_LENGTH]
    )
    assert exported.measured["chat"] == told
    packed, folder = tmp_path / "model.litertlm", tmp_path / "unpacked"
    packed.write_bytes(bytes(exported))
    litertlm_builder.unpack(str(packed), str(folder))
    text = (folder / "LlmMetadataProto.pbtext").read_text()
    metadata = text_format.Parse(text, llm_metadata_pb2.LlmMetadata())
    assert metadata.jinja_prompt_template == lm_file.lm_template(chat, writer().tokenizer)
    found = {
        role: (getattr(metadata.prompt_templates, role).prefix,
               getattr(metadata.prompt_templates, role).suffix)
        for role in ("user", "model", "system") if metadata.prompt_templates.HasField(role)
    }  # fmt: skip
    assert found == affixes
    ends = [3, writer().tokenizer.model.piece_ids["a"]]
    assert [list(stop.token_ids.ids) for stop in metadata.stop_tokens] == [[end] for end in ends]
    # The runtime writes the first token, and gives contents in parts.
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    whole = [{"role": "user", "content": "Hi"}]
    for messages in (parts, whole):
        written = render(metadata.jinja_prompt_template, messages, {})
        assert written == chat.text(whole).removeprefix(sep)


@pytest.mark.slow
def test_a_chat_that_nobody_tried(without_runtime, monkeypatch):
    monkeypatch.setattr("keras_transformer.zoo.chat.chat.has_jinja", lambda: False)
    modality = dataclasses.replace(writer().modality, chat=Chat(template=HEADERS))
    exported = convert(
        dataclasses.replace(writer(), modality=modality), target="litertlm", lengths=[WRITER_LENGTH]
    )
    assert exported.measured["chat"] == (
        "the template alone: jinja2, which is not installed, shows what it says"
    )
