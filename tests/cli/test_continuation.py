"""`run` prints a prompt and what is added to it as one text, with a checkpoint and its file."""

import dataclasses
import json

import numpy as np
import pytest

from keras_transformer.edge.load import load
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.generation.prompt import read_prompt
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.cli.calls import call
from tests.edge.generators import LENGTH, generator
from tests.zoo.generation.test_prompt import EXACT, LETTERS, TOKENIZERS

# A random model goes on with punctuation as if it were a word: there is none.
WORDS = (*LETTERS, *(f"##{letter}" for letter in LETTERS), "ab", "##od", "bañ")
MADE = {
    "wordpiece": Tokenizer(TokenizerConfig(**EXACT), (*SPECIAL_TOKENS, *WORDS)),
    "sentencepiece": TOKENIZERS["sentencepiece"],
}
PROMPTS = ["ab ba", "ab b", "ab ", "bañ\n\nab", "ab\n", "ab xyz"]
# Of a random model, in which the most probable token soon is always the same.
OPTIONS = {"max_tokens": 6, "temperature": 2.0, "seed": 5}
ARGUMENTS = [word for name, value in OPTIONS.items()
             for word in (f"--{name.replace('_', '-')}", value)]  # fmt: skip


@pytest.fixture(scope="module", params=MADE)
def models(request, tmp_path_factory):
    """A random language model's tokenizer, its checkpoint and its file."""
    tokenizer = MADE[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    probes = np.random.default_rng(1).integers(5, tokenizer.vocab_size, (8, 20)).astype("int32")
    trained = dataclasses.replace(
        generator("gpt", vocab_size=tokenizer.vocab_size, num_layers=1), probes={"ids": probes},
        modality=Text(tokenizer=tokenizer, max_length=LENGTH),
    )  # fmt: skip
    trained.save(folder / "checkpoint")
    (folder / "model.tflite").write_bytes(bytes(convert(trained, "float32")))
    return tokenizer, (folder / "checkpoint", folder / "model.tflite")


def whole_text(tokenizer, prompt, added):
    """The last line of a prompt and what is added to it, as its ids say it."""
    return tokenizer.model.text(read_prompt(prompt + added, tokenizer).line)


def test_a_prompt_and_what_is_added_are_one_text(models):
    tokenizer, (checkpoint, file) = models
    predictor, told = load(file), dict.fromkeys(range(len(PROMPTS)), "")

    def tell(row, piece):
        told[row] += piece

    added = predictor.generate(PROMPTS, **OPTIONS)
    assert load(checkpoint).generate(PROMPTS, **OPTIONS) == added
    assert predictor.generate(PROMPTS, on_text=tell, **OPTIONS) == added == list(told.values())
    result = call("run", file, *PROMPTS, "--json", *ARGUMENTS)
    assert [row["generated"] for row in json.loads(result.stdout)["predictions"]] == added
    for prompt, text in zip(PROMPTS, added, strict=True):
        assert text.strip() and "##" not in text and "\u2581" not in text
        last = prompt.rpartition("\n")[2]
        if "x" not in last:
            assert whole_text(tokenizer, prompt, text) == f"{last}{text}"
        # A sample is drawn by its place among the prompts: a single one has another.
        [alone] = predictor.generate([prompt], **OPTIONS)
        assert call("run", file, prompt, *ARGUMENTS).stdout == f"{prompt}{alone}\n"
    assert call("run", checkpoint, prompt, *ARGUMENTS).stdout == f"{prompt}{alone}\n"


def test_a_stop_text_ends_what_every_command_writes(models):
    tokenizer, (checkpoint, file) = models
    [whole] = load(file).generate(["ab"], **OPTIONS)
    stop = whole[2:4]
    expected = whole[: whole.index(stop)]
    arguments = ("ab", "--stop", stop, *ARGUMENTS)
    assert call("run", checkpoint, *arguments).stdout == f"ab{expected}\n"
    assert call("run", file, *arguments).stdout == f"ab{expected}\n"
    [row] = json.loads(call("run", file, *arguments, "--json").stdout)["predictions"]
    assert (row["generated"], row["finished"]) == (expected, True)
    if tokenizer.config.kind == "sentencepiece":
        assert call("run", file, "ab", "--stop", ".", *ARGUMENTS).exit_code == 0
