"""Published writers with their tokenizers: what they generate, against `transformers`."""

import importlib.util

import pytest

import keras_transformer as kt

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers", "tokenizers"))),
    reason="needs PyTorch, transformers and tokenizers",
)
TEXTS = [f"{one} {two} {three}" for one in ("the", "a", "no") for two in ("king", "queen's fool")
         for three in ("speaks.", "is dead!", "walks; alone", "knows 3 things")]  # fmt: skip
PROMPTS = TEXTS[:20]
TOKENS = 16


def byte_pairs(folder):
    """A small tokenizer of GPT-2's kind."""
    import tokenizers
    import transformers

    learned = tokenizers.Tokenizer(tokenizers.models.BPE())
    learned.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    learned.train_from_iterator(
        TEXTS, tokenizers.trainers.BpeTrainer(
            vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet
        )
    )  # fmt: skip
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    made = transformers.GPT2TokenizerFast(tokenizer_object=learned, **names)
    made.save_pretrained(folder)
    return made


def unigrams(folder):
    """A small tokenizer of T5's kind."""
    import tokenizers
    import transformers

    names = ["<pad>", "</s>", "<unk>"]
    learned = tokenizers.Tokenizer(tokenizers.models.Unigram())
    learned.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    learned.decoder = tokenizers.decoders.Metaspace()
    learned.train_from_iterator(
        TEXTS, tokenizers.trainers.UnigramTrainer(
            vocab_size=80, special_tokens=names, unk_token="<unk>"
        )
    )  # fmt: skip
    learned.post_processor = tokenizers.processors.TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", 1)]
    )
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=learned, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    made.save_pretrained(folder)
    return made


def widened(model):
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


@pytest.fixture(scope="module")
def gpt(tmp_path_factory):
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("gpt")
    tokenizer = byte_pairs(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=64, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    model = widened(transformers.GPT2LMHeadModel(config))
    model.save_pretrained(folder)
    return folder, model, tokenizer


def translator(folder, more):
    """A model of T5's kind, with more rows than tokens, and its tokenizer."""
    import torch
    import transformers

    tokenizer = unigrams(folder)
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=len(tokenizer) + more, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model = widened(transformers.T5ForConditionalGeneration(config))
    model.save_pretrained(folder)
    return folder, model, tokenizer


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return translator(tmp_path_factory.mktemp("t5"), more=4)


@pytest.mark.parametrize("beams", [1, 4])
def test_a_decoder_continues_as_published(gpt, beams):
    folder, model, tokenizer = gpt
    found = kt.load(folder).generations(PROMPTS, max_tokens=TOKENS, beams=beams)
    for prompt, one in zip(PROMPTS, found, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")
        expected = model.generate(
            **ids, max_new_tokens=TOKENS, do_sample=False, pad_token_id=0, num_beams=beams
        )[0][ids["input_ids"].shape[1] :]
        assert one.text == tokenizer.decode(expected, skip_special_tokens=True)


@pytest.mark.parametrize(("beams", "more"), [(1, 4), (4, 0)])
def test_a_translator_writes_as_published(tmp_path, beams, more):
    folder, model, tokenizer = translator(tmp_path, more)
    found = kt.load(folder).generations(PROMPTS, max_tokens=TOKENS, beams=beams)
    # Special tokens but the end, and rows of no token, which ours never writes: what a random model
    # gives the latter is in the scores of beams.
    banned = [0, 2, *range(len(tokenizer), model.config.vocab_size)]
    for prompt, one in zip(PROMPTS, found, strict=True):
        expected = model.generate(
            **tokenizer(prompt, return_tensors="pt"), max_new_tokens=TOKENS, do_sample=False,
            suppress_tokens=banned, num_beams=beams,
        )[0]  # fmt: skip
        assert one.text == tokenizer.decode(expected, skip_special_tokens=True)


@pytest.mark.slow
def test_writers_are_trained_and_converted(gpt, t5, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS * 4))
    options = {"epochs": 1, "max_length": 32, "report": kt.Report()}
    for (folder, *_), task, data in (
        (gpt, "language-modeling", text),
        (t5, "translation", (TEXTS, TEXTS[::-1])),
    ):
        published = kt.load(folder)
        trained = kt.train(str(folder), task, train=data, validation=data, **options)
        assert trained.config == published.config
        assert trained.recipe.model.published["source"] == str(folder)
        for checkpoint in (published, trained):
            runner = kt.Runner(kt.convert(checkpoint))
            found = runner.generations(PROMPTS[:3], max_tokens=8)
            expected = checkpoint.generations(PROMPTS[:3], max_tokens=8)
            assert [one.text for one in found] == [one.text for one in expected]
