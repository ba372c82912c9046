"""From texts to texts over a model whose outputs are written down: NumPy alone."""

import math
import re

import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig

CLS, SEP, MASK = 2, 3, 4
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LOWER = Tokenizer(TokenizerConfig(kind="characters"), (*SPECIAL_TOKENS, *LETTERS, " ", "\n"))
UPPER = Tokenizer(TokenizerConfig(kind="characters"), (*SPECIAL_TOKENS, *"-+", *LETTERS.upper()))
WORDS = Tokenizer(TokenizerConfig(), (*SPECIAL_TOKENS, "a", "b", "##b", "c"))
BYTES = Tokenizer(TokenizerConfig(kind="bytes", lowercase=False, strip_accents=False))
# Logit of the token that is written; all others have 0.
SURE = 9.0


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


class Scripted:
    """Writes the token that a function of the source and the ids fed so far names.

    Attributes:
        read: sizes of what was read at once: sources' lengths, or the prompts' shape.
    """

    def __init__(self, writer, write, *, source_length=16, cache_length=16, batch_size=3):
        self.vocab_size = writer.vocab_size
        self.source_length = source_length
        self.cache_length = cache_length
        self.batch_size = batch_size
        self.read = []
        self._write = write

    def encode(self, sources):
        assert all(source.dtype == np.int32 for source in sources)
        self.read.append([len(source) for source in sources])
        return [(source.tolist(), []) for source in sources]

    def prefill(self, prompts):
        self.read.append(prompts.shape)
        return [(None, prompt.tolist()) for prompt in prompts]

    def step(self, tokens, cache):
        cache = [(source, [*fed, int(i)]) for (source, fed), i in zip(cache, tokens, strict=True)]
        # Another token would overwrite the first.
        assert all(len(fed) <= self.cache_length for _, fed in cache)
        logits = np.zeros((len(cache), self.vocab_size), np.float32)
        for row, (source, fed) in zip(logits, cache, strict=True):
            row[self._write(source, fed)] = SURE
        return logits, cache

    def select(self, cache, rows):
        return [cache[row] for row in rows]


def upper(source, fed):
    """The source's letters with the other tokenizer's ids, then its end."""
    assert fed[0] == CLS and source[-1] == SEP
    # Beams read past a source's end what they wrote in its place.
    token = source[min(len(fed), len(source)) - 1]
    return token if token == SEP else token + 2


def following(source, fed):
    """The letter after the last one, over and over."""
    return 5 + (fed[-1] - 5 + 1) % len(LETTERS)


def translator(**options):
    model = Scripted(UPPER, upper, **options)
    return TextGenerator(model, LOWER, UPPER, reads_sources=True), model


def continuer(write=following, tokenizer=LOWER, **options):
    model = Scripted(tokenizer, write, **options)
    return TextGenerator(model, tokenizer, reads_sources=False), model


def texts_of(generations):
    return [generation.text for generation in generations]


def certainty(count, choices):
    """Log probability of that many tokens, each against `choices - 1` others."""
    return pytest.approx(count * (SURE - math.log(math.exp(SURE) + choices - 1)), rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"beams": 3}], ids=["greedy", "beams"])
def test_translations_stand_in_the_order_of_the_sources(options):
    generator, model = translator()
    texts = ["hello", "a", "something", "of", "ours", "is", "new"]
    assert texts_of(generator.generate(texts, **options)) == [text.upper() for text in texts]
    # Like lengths are read together, three at most; each source has its end.
    assert model.read == [[2, 3, 3], [4, 5, 6], [10]]


def test_a_generation_says_how_it_ended():
    generator, _ = translator(source_length=5)
    whole, cut = generator.generate(["abcd", "abcdefg"])
    assert (whole.text, whole.finished, whole.truncated) == ("ABCD", True, False)
    assert (cut.text, cut.finished, cut.truncated) == ("ABCD", True, True)
    # Of the special tokens only the end may come.
    choices = UPPER.vocab_size - 4
    assert whole.log_probability == cut.log_probability == certainty(5, choices)


def test_one_vocabulary_for_both_sides():
    generator = TextGenerator(
        Scripted(LOWER, lambda source, fed: source[len(fed) - 1]), LOWER, reads_sources=True
    )
    assert texts_of(generator.generate(["abc", "x y"])) == ["abc", "x y"]


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_source(empty):
    generator, model = translator()
    with refused(f"Expected text 2 to hold something to read, got {empty!r}."):
        generator.generate(["a", empty])
    assert model.read == []


def test_one_string_is_no_list():
    for generator, model in (translator(), continuer()):
        with refused("Expected a list of texts, got one string; put it in a list."):
            generator.generate("abc")
        assert model.read == []
        assert generator.generate([]) == []


@pytest.mark.parametrize(("room", "limit", "count"), [(4, 99, 4), (9, 3, 3), (4, 4, 4), (1, 5, 1)])
def test_translations_end_with_the_cache_or_the_limit(room, limit, count):
    generator, _ = translator(cache_length=room)
    (made,) = generator.generate(["abcdefgh"], max_tokens=limit)
    assert (made.text, made.finished) == ("ABCDEFGH"[:count], False)


def test_prompts_are_gone_on_from_in_groups_of_one_length():
    generator, model = continuer()
    made = generator.generate(["abc", "x", "cd", "ij", "abd", "mn", "op"], max_tokens=4)
    assert texts_of(made) == ["defg", "yzab", "efgh", "klmn", "efgh", "opqr", "qrst"]
    # All but the last token of each is read before the first step.
    assert model.read == [(1, 0), (3, 1), (1, 1), (2, 2)]
    assert {(one.finished, one.truncated) for one in made} == {(False, False)}
    assert made[0].log_probability == certainty(4, LOWER.vocab_size - 5)


@pytest.mark.parametrize(("length", "count"), [(1, 6), (4, 3), (6, 1)])
def test_a_prompt_leaves_the_rest_of_the_cache(length, count):
    """The last token that is written is never fed: one more than the positions left."""
    generator, _ = continuer(cache_length=6)
    (made,) = generator.generate([LETTERS[:length]], max_tokens=50)
    assert made.text == LETTERS[length : length + count]


def test_a_prompt_longer_than_the_cache():
    generator, model = continuer(cache_length=6)
    message = (
        "Expected prompt 2 to have at most the 6 tokens of the model's cache, got 7; shorten it."
    )
    with refused(message):
        generator.generate(["a", "abcdefg"])
    assert model.read == []


def test_an_empty_prompt_of_characters():
    with refused("Expected prompt 1 to hold a token to go on from, got none."):
        continuer()[0].generate([""])


def test_prompts_of_words_start_a_line():
    """Lines end in [SEP], so that is what a line follows, and where it ends."""
    script = {(SEP,): 5, (SEP, 5): 7, (SEP, 5, 7): 8, (SEP, 5, 7, 8): SEP}
    generator, model = continuer(lambda source, fed: script[tuple(fed)], WORDS)
    made = generator.generate(["", "ab"])
    assert [(one.text, one.finished) for one in made] == [("ab c", True), (" c", True)]
    assert model.read == [(1, 0), (1, 2)]


def test_stop_texts():
    generator, _ = continuer()
    (made,) = generator.generate(["ab"], stop=["z", "f"], max_tokens=9)
    assert (made.text, made.finished) == ("cde", True)
    assert made.log_probability == certainty(4, LOWER.vocab_size - 5)
    (made,) = translator()[0].generate(["abcd"], stop=["C"])
    assert (made.text, made.finished) == ("AB", True)


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        ("", "Expected a stop text of at least one character, got ''."),
        ("é", "Expected a stop text that the vocabulary has, got 'é'."),
    ],
)
def test_stop_texts_that_cannot_be_written(stop, message):
    with refused(message):
        continuer()[0].generate(["a"], stop=[stop])


@pytest.mark.parametrize("special", [0, 1, CLS, MASK])
def test_special_tokens_are_never_written(special):
    """All others are equal: the first of them is "a", and of a translation the end."""
    for reads_sources, expected in ((False, "aaa"), (True, "")):
        generator = TextGenerator(
            Scripted(LOWER, lambda source, fed: special), LOWER, reads_sources=reads_sources
        )
        (made,) = generator.generate(["b"], max_tokens=3)
        assert made.text == expected


def test_repetition_control_knows_the_prompt():
    generator, _ = continuer(lambda source, fed: 5)
    (made,) = generator.generate(["ba"], max_tokens=5, no_repeat_ngram=1)
    assert made.text == "cdefg"


def scripted_bytes(*texts):
    """Writes the bytes of a text for each prompt: those of text i after the letter i."""
    ids = {5 + ord(LETTERS[i]): BYTES.pieces([text])[0] for i, text in enumerate(texts)}
    return continuer(
        lambda source, fed: ids[fed[0]][len(fed) - 1], BYTES, cache_length=64, batch_size=8
    )


def streamed(generator, prompts, **options):
    pieces = [[] for _ in prompts]
    made = generator.generate(prompts, on_text=lambda i, text: pieces[i].append(text), **options)
    assert texts_of(made) == ["".join(row) for row in pieces]
    assert all(piece for row in pieces for piece in row)
    return pieces


def test_characters_are_told_whole():
    generator, _ = scripted_bytes("añ日😀b...", "äöü......")
    pieces = streamed(generator, ["a", "b"], max_tokens=11)
    assert pieces == [["a", "ñ", "日", "😀", "b"], ["ä", "ö", "ü", *"....."]]


def test_a_character_that_was_cut_is_told_at_the_end():
    generator, _ = scripted_bytes("a日日")
    assert streamed(generator, ["a"], max_tokens=6) == [["a", "日", "\ufffd"]]


def test_rows_of_several_groups_are_told_under_their_own_numbers():
    generator, _ = continuer()
    pieces = streamed(generator, ["abc", "x", "cd", "k"], max_tokens=3, stop=["m"])
    assert pieces == [["d", "e", "f"], ["y", "z", "a"], ["e", "f", "g"], ["l"]]
    generator, _ = translator(source_length=4)
    pieces = streamed(generator, ["abcdef", "x"])
    assert pieces == [["A", "B", "C"], ["X"]]


def test_words_are_told_with_the_spaces_before_them():
    script = {1: 5, 2: 7, 3: 8, 4: SEP}
    generator, _ = continuer(lambda source, fed: script[len(fed)], WORDS)
    assert streamed(generator, [""]) == [["a", "b", " c"]]


def test_a_decoding_that_does_not_fit():
    generator, _ = translator()
    with refused("Expected beams to be 1 where tokens are streamed, got beams=2."):
        generator.generate(["a"], beams=2, on_text=print)
    with refused(f"Expected beams to be at most the vocabulary's {UPPER.vocab_size}, "
                 "got beams=99."):  # fmt: skip
        generator.generate(["a"], beams=99)
    with pytest.raises(TypeError, match="beam_width"):
        generator.generate(["a"], beam_width=2)
