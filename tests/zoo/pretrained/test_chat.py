"""Chats of published models: ids of conversations and answers, against `transformers`."""

import importlib.util
import json
import re
import shutil

import pytest

import keras_transformer as kt
from keras_transformer.zoo.chat.chat import CHAT_FILE, TEMPLATE_FILE
from keras_transformer.zoo.chat.published import read_chat
from keras_transformer.zoo.pretrained.vocabularies.files import read_json
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer
from tests.zoo.chat.templates import CHATML, CONVERSATIONS, SPECIAL, TEMPLATES
from tests.zoo.pretrained.test_generation import TEXTS, widened
from tests.zoo.pretrained.tiny import REFERENCES

needs_transformers = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers", "tokenizers"))),
    reason="needs PyTorch, transformers and tokenizers",
)
ENDS = {"chatml": "<|im_end|>", "headers": "<|eot|>", "dated": "<|eot|>",
        "folded": "<end_of_turn>", "thinking": "<|im_end|>"}  # fmt: skip
NAMES = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}


def byte_pairs():
    """A small tokenizer of GPT-2's kind."""
    import tokenizers

    learned = tokenizers.Tokenizer(tokenizers.models.BPE())
    learned.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=320, special_tokens=[*NAMES.values(), *SPECIAL], initial_alphabet=alphabet
    )
    learned.train_from_iterator(TEXTS, trainer)
    return learned


def sentence_pairs(scheme):
    """A small tokenizer of Llama's (`None` for its older files), Mistral's or Gemma's kind."""
    import tokenizers

    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    learned = tokenizers.Tokenizer(
        tokenizers.models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    )
    marks = tokenizers.normalizers.Replace(" ", "▁")
    if scheme is None:
        first = tokenizers.normalizers.Prepend("▁")
        learned.normalizer = tokenizers.normalizers.Sequence([first, marks])
    else:
        learned.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(
            prepend_scheme=scheme, split=False
        )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=360, special_tokens=[*NAMES.values(), *SPECIAL, *bytes_]
    )
    learned.train_from_iterator(TEXTS, trainer)
    return learned


KINDS = {
    "bytes": byte_pairs,
    "spaced": lambda: sentence_pairs(None),
    "spaced_first": lambda: sentence_pairs("first"),
    "unspaced": lambda: sentence_pairs("never"),
}


def saved(folder, learned, template, **options):
    import transformers

    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=learned, **NAMES, additional_special_tokens=list(SPECIAL), **options
    )
    made.chat_template = template
    made.save_pretrained(folder)
    (folder / "config.json").write_text("{}")
    return made


def ids_of(folder, messages):
    published = read_tokenizer(folder)
    chat = read_chat(folder, read_json)
    text = chat.text(messages)
    assert chat.text(messages, by_turns=True) == text
    return published.rows[chat.ids(text, published.tokenizer)].tolist()


@needs_transformers
@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
def test_ids_equal_transformers(tmp_path, kind, name):
    tokenizer = saved(tmp_path, KINDS[kind](), TEMPLATES[name])
    for messages in CONVERSATIONS.values():
        expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        assert ids_of(tmp_path, messages) == expected["input_ids"]


@needs_transformers
def test_tokens_that_take_white_space(tmp_path):
    import tokenizers

    learned = byte_pairs()
    taking = [
        tokenizers.AddedToken("<|im_start|>", rstrip=True, special=True),
        tokenizers.AddedToken("<|im_end|>", lstrip=True, rstrip=True, special=True),
    ]
    learned.add_special_tokens(taking)
    tokenizer = saved(tmp_path, learned, CHATML)
    for messages in CONVERSATIONS.values():
        expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        assert ids_of(tmp_path, messages) == expected["input_ids"]


@pytest.fixture(scope="module")
def talker(tmp_path_factory):
    """A folder with a random Llama that knows ChatML, the model and its tokenizer."""
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("talker")
    tokenizer = saved(folder, byte_pairs(), CHATML)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        bos_token_id=0, eos_token_id=1, tie_word_embeddings=True,
    )  # fmt: skip
    model = widened(transformers.LlamaForCausalLM(config))
    with torch.no_grad():
        # Turns end within a few tokens.
        model.model.embed_tokens.weight[tokenizer.convert_tokens_to_ids("<|im_end|>")] *= 4
    model.save_pretrained(folder)
    return folder, model, tokenizer


@needs_transformers
@pytest.mark.parametrize("beams", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_answers_equal_transformers(talker, beams):
    import torch

    folder, model, tokenizer = talker
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    banned = [i for i in tokenizer.all_special_ids if i not in (1, end)]
    checkpoint = kt.load(folder)
    answers = checkpoint.answers(CONVERSATIONS.values(), max_tokens=24, beams=beams)
    for messages, found in zip(CONVERSATIONS.values(), answers, strict=True):
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        written = model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=24, do_sample=False, num_beams=beams, eos_token_id=[1, end],
            pad_token_id=1, suppress_tokens=banned,
        )[0, len(ids) :]  # fmt: skip
        assert found.text == tokenizer.decode(written, skip_special_tokens=True)
    assert {one.finished for one in answers} == {True, False}


@needs_transformers
def test_a_chat_is_read_once_where_the_vocabulary_is_pruned(talker, monkeypatch):
    folder, *_ = talker
    calls = []
    monkeypatch.setattr(
        "keras_transformer.zoo.pretrained.load.read_chat",
        lambda *args: calls.append(args) or read_chat(*args),
    )
    pruned = kt.load(folder, prune_vocabulary=TEXTS)
    assert pruned.modality.chat == kt.load(folder).modality.chat and len(calls) == 2


@needs_transformers
def test_a_chat_goes_with_its_model(talker, tmp_path, monkeypatch):
    folder, *_ = talker
    checkpoint = kt.load(folder)
    checkpoint.save(tmp_path / "saved")
    assert (tmp_path / "saved" / TEMPLATE_FILE).read_text("utf-8") == CHATML
    assert json.loads((tmp_path / "saved" / CHAT_FILE).read_bytes())["turns"]["system"]
    loaded = kt.load(tmp_path / "saved")
    runner = kt.Runner(kt.convert(loaded, lengths=[192]))
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS))
    trained = kt.train(
        str(folder), "language-modeling", train=text, validation=text, epochs=1, max_length=192,
        report=kt.Report(),
    )  # fmt: skip
    for messages in CONVERSATIONS.values():
        ids, said = checkpoint.chat_ids(messages), checkpoint.chat(messages, max_tokens=8)
        for other in (loaded, runner):
            assert other.chat_ids(messages) == ids
            assert other.chat(messages, max_tokens=8) == said
        assert trained.chat_ids(messages) == ids
    # Pieces as they come, and without Jinja2 on a device.
    monkeypatch.setattr("keras_transformer.zoo.chat.chat.has_jinja", lambda: False)
    monkeypatch.setattr("keras_transformer.zoo.chat.template.has_jinja", lambda: False)
    pieces = []
    said = runner.chat(messages, max_tokens=8, on_text=lambda row, piece: pieces.append(piece))
    assert "".join(pieces) == said == checkpoint.generator().answer(
        [ids], end_ids=checkpoint.modality.chat.end_ids(checkpoint.tokenizer), max_tokens=8
    )[0].text  # fmt: skip
    with pytest.raises(kt.InputError, match="^Expected jinja2 for the model's chat template"):
        checkpoint.chat(messages)


@needs_transformers
@pytest.mark.parametrize("name", TEMPLATES)
def test_answers_end_with_the_turn(tmp_path, name):
    saved(tmp_path, byte_pairs(), TEMPLATES[name])
    tokenizer, chat = read_tokenizer(tmp_path).tokenizer, read_chat(tmp_path, read_json)
    ends = {"<eos>"} | ({ENDS[name]} if chat.turns else set())
    assert {tokenizer.vocabulary.pieces[i] for i in chat.end_ids(tokenizer)} == ends
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 6, 999]}))
    ends.add(SPECIAL[3])
    chat = read_chat(tmp_path, read_json)
    assert {tokenizer.vocabulary.pieces[i] for i in chat.end_ids(tokenizer)} == ends


@pytest.mark.parametrize("value", ["a", ["default", "tool_use"]], ids=["one", "several"])
def test_templates_in_older_files(tmp_path, value):
    if isinstance(value, list):
        value = [{"name": name, "template": name[0]} for name in reversed(value)]
    settings = {"chat_template": value, "eos_token": {"content": "</s>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    chat = read_chat(tmp_path, read_json)
    assert chat.template == ("a" if value == "a" else "d")
    assert chat.tokens == {"eos_token": "</s>"}
    (tmp_path / TEMPLATE_FILE).write_text("b")
    assert read_chat(tmp_path, read_json).template == "b"
    (tmp_path / TEMPLATE_FILE).write_bytes(b"\xff")
    with pytest.raises(kt.InputError, match="to be text in UTF-8, got invalid start byte.$"):
        read_chat(tmp_path, read_json)


def test_no_template(tmp_path):
    assert read_chat(tmp_path, read_json) is None
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": 7}))
    with pytest.raises(kt.InputError, match=re.escape("tokenizer_config.json to be text, got 7.")):
        read_chat(tmp_path, read_json)


def test_a_model_without_a_chat():
    writer = kt.load(REFERENCES / "gpt2")
    with pytest.raises(kt.InputError, match="^Expected a model with a chat template, as published"):
        writer.chat([{"role": "user", "content": "a"}])


@needs_transformers
def test_a_pruned_vocabulary_reads_the_template_as_before(talker, tmp_path):
    folder, *_ = talker
    shutil.copytree(folder, tmp_path / "talker")
    # Words that the tokenizer has pieces of, and that the kept text lacks.
    said = CHATML.replace("You are helpful.", next(text for text in TEXTS if "'" not in text))
    (tmp_path / "talker" / TEMPLATE_FILE).write_text(said, "utf-8")
    whole = kt.load(tmp_path / "talker")
    pruned = kt.load(tmp_path / "talker", prune_vocabulary=["a"])
    assert pruned.tokenizer.vocab_size < whole.tokenizer.vocab_size
    old = {piece: i for i, piece in enumerate(whole.tokenizer.vocabulary)}
    ids = [old[piece] for piece in pruned.tokenizer.vocabulary]
    for before in ([], [{"role": "system", "content": "."}]):
        messages = [*before, {"role": "user", "content": "a"}]
        assert [ids[i] for i in pruned.chat_ids(messages)] == whole.chat_ids(messages)
