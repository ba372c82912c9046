"""Stop texts: whatever the text can hold, of any number of tokens, streamed and with beams."""

import random
import re

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.decoding import Decoding
from keras_transformer.zoo.generation.prompt import read_prompt
from keras_transformer.zoo.generation.stops import Stops
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer
from keras_transformer.zoo.tokenizers.tokenizer_config import TokenizerConfig
from tests.zoo.generation.prefix_model import END, PrefixModel, exhaustive, run, values
from tests.zoo.generation.test_prompt import (
    KINDS,
    LETTERS,
    PIECES,
    SPACE,
    TOKENIZERS,
    WORDS,
    any_ids,
    continued,
    random_text,
)
from tests.zoo.generation.test_text import Scripted, streamed


def written(tokenizer, prompt, ids, **options):
    """What is written, streamed and not, and whether it ended."""
    start = len(read_prompt(prompt, tokenizer).ids)
    [made] = generator_of(tokenizer, ids, start).generate([prompt], **options)
    told = []
    [again] = generator_of(tokenizer, ids, start).generate(
        [prompt], on_text=lambda _, text: told.append(text), **options
    )
    assert (again.text, again.finished) == ("".join(told), made.finished) == made[::2]
    return made


def generator_of(tokenizer, ids, start=1):
    model = Scripted(tokenizer, lambda source, fed: ids[len(fed) - start], cache_length=99)
    return TextGenerator(model, tokenizer, reads_sources=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_ends_before_the_first_stop_text_it_holds(kind):
    """Every stretch of what is written can end it, and nothing of it is told."""
    tokenizer, rng, inside = TOKENIZERS[kind], random.Random(kind), 0
    for _ in range(200):
        prompt, ids = random_text(rng).strip(), any_ids(tokenizer, rng, 9)
        if kind == "wordpiece":
            # No word goes on with punctuation, which is always a word of its own.
            ids = [i for i in ids if tokenizer.decode([i]) not in ",."]
        whole = continued(tokenizer, prompt, ids)
        start = rng.randrange(len(whole))
        stop = whole[start : start + rng.randint(1, 4)]
        others = ["".join(rng.choices(LETTERS, k=3)) for _ in range(rng.randint(0, 2))]
        made = written(tokenizer, prompt, ids, stop=[*others, stop], max_tokens=len(ids))
        # The one that is complete first, whatever the tokens are.
        found = [text for text in (*others, stop) if text in whole]
        _, first = min((whole.index(text) + len(text), whole.index(text)) for text in found)
        assert (made.text, made.finished) == (whole[:first], True)
        inside += len(made.text) > 0
    assert inside > 100


def test_a_full_stop_ends_a_sentence():
    """Sentencepiece has it with a space before and without, and within other pieces."""
    for piece in (".", f"{SPACE}."):
        ids = [PIECES.vocabulary.index(name) for name in (f"{SPACE}ab", piece, f"{SPACE}a")]
        made = written(PIECES, "ba", ids, stop=["."], max_tokens=3)
        assert (made.text.rstrip(), made.finished) == (" ab", True)
    ids = [WORDS.vocabulary.index(name) for name in ("ab", ".", "a")]
    assert written(WORDS, "ba", ids, stop=["."], max_tokens=3)[::2] == (" ab", True)


def test_the_model_computes_no_step_behind_a_stop_text():
    steps = []

    def write(source, fed):
        steps.append(len(fed))
        return PIECES.vocabulary.index("o")

    generator = TextGenerator(Scripted(PIECES, write, cache_length=99), PIECES, reads_sources=False)
    [made] = generator.generate(["a"], stop=["oooo"], max_tokens=50)
    assert (made.text, made.finished, len(steps)) == ("", True, 4)


def test_what_may_become_a_stop_text_is_told_once_it_has_not():
    generator = generator_of(PIECES, [PIECES.vocabulary.index(letter) for letter in "aababcab"])
    [pieces] = streamed(generator, [""], stop=["abd", "cd"], max_tokens=8)
    assert pieces == ["a", "ab", "ab", "c", "ab"]


def test_stop_texts_are_folded_and_spaced_as_they_would_be_written():
    assert Stops(["a ,  b", " (a", "b\t"], WORDS).texts == ["a, b", " (a", "b "]
    assert Stops(["ab  o ", "．"], PIECES).texts == ["ab o ", "."]
    assert Stops(["a\n\nb", "  "], TOKENIZERS["characters"]).texts == ["a\n\nb", "  "]
    # Lines are written one by one, and their end is the text's.
    for kind in ("wordpiece", "sentencepiece", "identity"):
        assert Stops(["\n", "\r\n", "\n\n", "\x85"], TOKENIZERS[kind]).texts == []
    assert not Stops([], PIECES)
    # A translation is learned whole, and as it is written where that is kept.
    exact = TOKENIZERS["identity"]
    assert Stops(["\n", "a\r\nb"], exact, reads_sources=True).texts == ["\n", "a\r\nb"]
    assert Stops(["\n"], PIECES, reads_sources=True).texts == []
    assert Stops([" ", "\t"], exact).texts == [" ", "\t"]
    assert (Stops([" "], WORDS).texts, Stops([" "], PIECES).texts) == ([" "], [" "])


@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece"])
@pytest.mark.parametrize("stop", ["\t", "  ", "\u3000", " \x0b", "\u2028"])
def test_white_space_that_is_not_written_as_it_is_is_no_stop_text(kind, stop):
    """It would end a text at its first space."""
    with pytest.raises(InputError) as caught:
        Stops(["ab", stop], TOKENIZERS[kind])
    assert str(caught.value) == (
        f"Expected a stop text that the model can write, got {stop!r}: it writes words, with one "
        "space between two."
    )


@pytest.mark.parametrize("stop", ["\u200b", " \u200b", "\u200b\t", "\xad ", "\u200e\u200f"])
def test_format_characters_are_no_stop_text_of_word_pieces(stop):
    with pytest.raises(InputError, match="^Expected a stop text that the model can write, got "):
        Stops([stop], WORDS)


LINE_BREAKS = [PIECES.vocabulary.index(f"<0x{byte}>") for byte in ("0A", "0D")]


@pytest.mark.parametrize(
    ("kind", "reads_sources", "is_written"),
    [
        ("sentencepiece", False, False), ("identity", False, False), ("sentencepiece", True, False),
        ("identity", True, True),
    ],
)  # fmt: skip
def test_line_breaks_are_written_only_where_they_are_learned(kind, reads_sources, is_written):
    """Where lines end in [SEP], no line break is learned, and none written by its byte."""
    tokenizer = TOKENIZERS[kind]
    letter = tokenizer.vocabulary.index("a")
    model = Scripted(tokenizer, lambda *_: [*LINE_BREAKS, letter], cache_length=99)
    generator = TextGenerator(model, tokenizer, reads_sources=reads_sources)
    [made] = generator.generate(["b"], max_tokens=3)
    assert made.text == ("\n\n\n" if is_written else "aaa")
    [made] = generator.generate(["b"], max_tokens=3, beams=2)
    assert is_written or set(made.text) == {"a"}
    [ended] = generator.generate(["b"], max_tokens=3, stop=["\n"])
    assert (ended.text, ended.finished) == (("", True) if is_written else ("aaa", False))


def test_bytes_and_characters_write_line_breaks():
    for kind, breaks in (("bytes", [5 + 10]), ("characters", None)):
        tokenizer = TOKENIZERS[kind]
        breaks = breaks or [tokenizer.vocabulary.index("\n")]
        model = Scripted(tokenizer, lambda *_, ids=breaks: ids, cache_length=99)
        generator = TextGenerator(model, tokenizer, reads_sources=False)
        assert generator.generate(["b"], max_tokens=2)[0].text == "\n\n"


def test_one_string_is_no_list_of_stop_texts():
    with pytest.raises(InputError, match="^Expected a list of stop texts, got one string"):
        generator_of(PIECES, []).generate(["a"], stop="ab")


@pytest.mark.parametrize(
    ("kind", "stop", "message"),
    [
        ("wordpiece", "", "Expected a stop text of at least one character, got ''."),
        ("wordpiece", "x", "Expected a stop text that the vocabulary has, got 'x'."),
        ("characters", "aX", "Expected a stop text that the vocabulary has, got 'aX'."),
        ("sentencepiece", "a\nb", "Expected a stop text of one line, which is all that the model "
         "writes, got 'a\\nb'."),
    ],
)  # fmt: skip
def test_stop_texts_that_are_never_written(kind, stop, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Stops([stop], TOKENIZERS[kind])


def test_repetition_control_spares_tokens_that_hold_a_stop_text():
    stop = PIECES.vocabulary.index(".")
    assert stop in Stops(["."], PIECES).ids
    ids = [stop]
    start = len(PIECES.pieces(["a."])[0]) + 1
    generator = generator_of(PIECES, ids, start)
    options = {"no_repeat_ngram": 1, "repetition_penalty": 90.0, "max_tokens": 1}
    [made] = generator.generate(["a."], stop=["."], **options)
    assert (made.text, made.finished) == ("", True)


@pytest.mark.parametrize("length_penalty", [1.0, 0.0, 2.5])
def test_beams_end_with_stop_texts_as_with_tokens(length_penalty):
    """Tokens 2 and 4 end a hypothesis by what they say: with all beams the best of all is found."""
    model = PrefixModel(40, seed=4)
    forbidden = (START_AND_UNUSED := (0, *range(6, 40)))
    decoding = Decoding(max_tokens=3, beams=40, length_penalty=length_penalty)

    def ends(row, ids):
        return ids[-1] in (2, 4)

    found = run(model, decoding, rows=range(9), stop_ids=(END,), forbidden_ids=forbidden, ends=ends)
    expected = [
        exhaustive(model, (100 + row, 0), (END, 2, 4), START_AND_UNUSED, 3, length_penalty)
        for row in range(9)
    ]
    for one, (ids, own, finished) in zip(values(found), expected, strict=True):
        kept = [i for i in one[0] if i not in (2, 4)]
        assert (kept, one[1], one[2]) == (ids, own, finished)
        # The tokens of a stop text are among the ids.
        assert kept in (one[0], one[0][:-1])
    assert any(one.ids[-1:].tolist() in ([2], [4]) for one in found)


def test_beams_go_on_beside_those_that_end():
    """However many of the best extensions end by what they say, others are looked at."""

    def logits(prefix):
        return np.array([-60, -60, *(5.0 - i for i in range(10)), 6.0, -6.0])

    def ends(row, ids):
        return 2 <= ids[-1] < 12

    model = PrefixModel(14, logits)
    run(model, Decoding(max_tokens=3, beams=2), ends=ends)
    assert model.batches == [1, 2, 2]


def test_beams_with_stop_texts_of_several_tokens():
    """The best of what is written otherwise ends where the text is first held."""
    ids = [WORDS.vocabulary.index(name) for name in ("ab", "##od", "a", "##o", "b")]
    generator = generator_of(WORDS, ids, 2)
    [made] = generator.generate(["b"], stop=["oda", "d a"], beams=3, max_tokens=5)
    assert (made.text, made.finished) == (" abo", True)


@pytest.mark.parametrize("kind", ["bytes", "characters"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x85"])
def test_lines_end_alike_in_stop_texts_and_in_prompts(kind, end):
    vocabulary = [*SPECIAL_TOKENS, "a", "\n"] if kind == "characters" else []
    tokenizer = Tokenizer(TokenizerConfig(kind=kind), vocabulary)
    assert Stops([f"a{end}{end}"], tokenizer).texts == ["a\n\n"]
