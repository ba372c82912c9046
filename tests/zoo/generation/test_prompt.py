"""Prompts and what is added to them: joined, they are the decoding of all ids."""

import random

import numpy as np
import pytest

from keras_transformer.zoo.data.plain_text import PlainText, token_stream
from keras_transformer.zoo.data.text_files import plain_lines
from keras_transformer.zoo.generation.prompt import Continuation, continuing_ids, read_prompt
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.tokenizers.piece_list import BYTE_PIECES, SPECIAL_TOKENS, Vocabulary
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.hard_strings import HARD
from tests.zoo.generation.test_text import Scripted, streamed

SEP = 3
LETTERS = "abcdeño"
SPACE = "\u2581"
FIXED = (*SPECIAL_TOKENS, *BYTE_PIECES)
SCORED = (
    SPACE, *LETTERS, *",.-", *(SPACE + a for a in LETTERS), *(f"{SPACE}{a}{b}" for a in "abc"
    for b in LETTERS), "ab", "od", SPACE + ".",
)  # fmt: skip
EXACT = {"lowercase": False, "strip_accents": False}
TOKENIZERS = {
    "wordpiece": Tokenizer(
        TokenizerConfig(**EXACT),
        (*SPECIAL_TOKENS, *LETTERS, *(f"##{a}" for a in LETTERS), *"(),.-'", "ab", "##od", "bañ"),
    ),
    **{
        name: Tokenizer(
            TokenizerConfig(kind="sentencepiece", normalization=normalization),
            Vocabulary(
                FIXED + SCORED,
                (0.0,) * len(FIXED) + tuple(-1.0 - 0.1 * place for place in range(len(SCORED))),
            ),
        )
        for name, normalization in (("sentencepiece", "nfkc"), ("identity", "identity"))
    },
    "characters": Tokenizer(
        TokenizerConfig(kind="characters"), (*SPECIAL_TOKENS, *LETTERS, *"(),.-' \n")
    ),
    "bytes": Tokenizer(TokenizerConfig(kind="bytes", **EXACT)),
}
KINDS = list(TOKENIZERS)
WORDS, PIECES = TOKENIZERS["wordpiece"], TOKENIZERS["sentencepiece"]


def random_text(rng):
    """Words of letters with single spaces between them, here and there punctuation or a line."""
    words = ["".join(rng.choices(LETTERS, k=rng.randint(1, 5))) for _ in range(rng.randint(1, 9))]
    return "".join(
        word + rng.choice([" ", " ", " ", " ", ", ", ". ", " (", ") ", "-", "'", ".\n", "\n\n"])
        for word in words
    ).replace(" \n", "\n")


def continued(tokenizer, prompt, ids, **options):
    """What is written after a prompt by a model that would write the ids, whatever it has read."""
    start = len(read_prompt(prompt, tokenizer).ids)
    model = Scripted(
        tokenizer, lambda source, fed: ids[len(fed) - start], cache_length=start + len(ids)
    )
    generator = TextGenerator(model, tokenizer, reads_sources=False)
    [made] = generator.generate([prompt], max_tokens=len(ids), **options)
    return made.text


def any_ids(tokenizer, rng, count, *, new_word=False):
    """Ids of a model without a plan, which never ends and breaks no character or word apart."""
    kept = sorted(set(range(5, tokenizer.vocab_size)) - set(tokenizer.pieces(["(){}[]-/'"])[0]))
    if tokenizer.config.kind == "bytes":
        return tokenizer.pieces(["".join(rng.choices(LETTERS + " ,", k=count))])[0]
    if tokenizer.config.kind == "sentencepiece":
        kept = [i for i in kept if i >= len(FIXED)]
    ids = rng.choices(kept, k=count)
    if new_word:
        begins = sorted(set(kept) - set(continuing_ids(tokenizer)))
        ids[0] = rng.choice([i for i in begins if tokenizer.decode([i]).strip().isalpha()])
    return ids


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_and_its_continuation_are_what_all_ids_say(kind):
    """Texts of letters, cut at random characters, within words and behind spaces too."""
    tokenizer, rng = TOKENIZERS[kind], random.Random(kind)
    cut_words = spaces = 0
    for _ in range(300):
        words = random_text(rng).translate(dict.fromkeys(map(ord, "(),.-'\n"), " "))
        text = " ".join(words.split())
        prompt = text[: rng.randint(1, len(text))]
        after_space = prompt.endswith(" ") and not tokenizer.config.keeps_lines
        ids = any_ids(tokenizer, rng, 12, new_word=after_space)
        own = read_prompt(prompt, tokenizer).line or tokenizer.pieces([prompt])[0]
        added = continued(tokenizer, prompt, ids)
        assert prompt + added == tokenizer.decode([*own, *ids])
        cut_words += prompt != text and text[len(prompt)] != " " and not after_space
        spaces += after_space
    assert cut_words > 50
    assert spaces > 20 or tokenizer.config.keeps_lines


@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_of_a_text_completes_it(kind):
    """With punctuation and lines: a prompt and what the rest's ids add are read as the text."""
    tokenizer, rng, checked = TOKENIZERS[kind], random.Random(1), 0
    for _ in range(300):
        before, line_break, last = random_text(rng).rstrip().rpartition("\n")
        before += line_break
        [whole] = tokenizer.pieces([last])
        count = rng.randint(0, len(whole) - 1)
        start = tokenizer.decode(whole[:count])
        # A character that was cut has other bytes, and a word that was cut may have other pieces.
        own = read_prompt(start, tokenizer).line or tokenizer.pieces([start])[0]
        if own != whole[:count] or not before + start:
            continue
        added = continued(tokenizer, before + start, whole[count:])
        expected = read_prompt(before + tokenizer.decode(whole), tokenizer)
        assert read_prompt(before + start + added, tokenizer) == expected
        checked += 1
    assert checked > 100


@pytest.mark.parametrize("kind", KINDS)
def test_streamed_pieces_join_the_prompt_too(kind):
    tokenizer, rng = TOKENIZERS[kind], random.Random(2)
    for _ in range(30):
        prompt = random_text(rng)
        ids = any_ids(tokenizer, rng, 9, new_word=True)
        start = len(read_prompt(prompt, tokenizer).ids)
        model = Scripted(
            tokenizer, lambda _, fed, ids=ids, start=start: ids[len(fed) - start], cache_length=99
        )
        generator = TextGenerator(model, tokenizer, reads_sources=False)
        [pieces] = streamed(generator, [prompt], max_tokens=len(ids))
        assert "".join(pieces) == continued(tokenizer, prompt, ids)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_of_whole_lines_is_read_as_training_text(kind):
    tokenizer, rng = TOKENIZERS[kind], random.Random(3)
    lines = [random_text(rng) for _ in range(50)]
    hard = [text for text in HARD if len(text) < 300]
    for text in (*lines, *hard, "a\n\n  \nb", "\n\na b", "a", "a\r\nb\rab"):
        whole = f"{text}\nab\n"
        plain = PlainText(text=plain_lines(whole), path="x")
        expected = token_stream(plain, tokenizer).tolist()
        first = [] if tokenizer.config.keeps_lines else [SEP]
        assert read_prompt(whole, tokenizer).ids == [*first, *expected]
        # The last line stays open.
        last = tokenizer.pieces(["bañ"])[0]
        assert read_prompt(f"{whole}bañ", tokenizer).ids == [*first, *expected, *last]


def test_word_pieces_go_on_with_the_prompts_last_word():
    ids = [WORDS.vocabulary.index(piece) for piece in ("##o", "##d", ",", "ab", "##od")]
    assert continued(WORDS, "ab", ids) == "od, abod"
    assert continued(WORDS, "ab,", ids[3:]) == " abod"
    # The same behind a word that is unknown, and behind a line that ended.
    assert continued(WORDS, "xy", ids) == "od, abod"
    assert continued(WORDS, "xy", ids[3:]) == " abod"
    assert continued(WORDS, "ab\n", ids[3:]) == "abod"
    assert continued(WORDS, "", ids) == "od, abod"
    assert continued(WORDS, "", ids[3:]) == "abod"


@pytest.mark.parametrize("options", [{}, {"temperature": 0.01}, {"beams": 2}], ids=str)
def test_no_word_goes_on_behind_a_space(options):
    """A piece within a word and one that begins a word are equally probable."""
    for tokenizer, names in ((WORDS, ("##o", "ab")), (PIECES, ("o", f"{SPACE}ab"))):
        both = [tokenizer.vocabulary.index(name) for name in names]
        model = Scripted(tokenizer, lambda source, fed, both=both: both, cache_length=9)
        generator = TextGenerator(model, tokenizer, reads_sources=False)
        for _ in range(4):
            behind, other = generator.generate(["ba ", "ba"], max_tokens=3, **options)
            assert behind.text.startswith("ab")
            if not options:
                assert (behind.text, other.text) == ("aboo", "ooo")


def test_sentencepiece_has_a_space_before_a_word_and_none_within_one():
    ids = [PIECES.vocabulary.index(piece) for piece in (f"{SPACE}ab", "od", f"{SPACE}.", ".")]
    assert continued(PIECES, "ba", ids) == " abod .."
    assert continued(PIECES, "ba ", ids) == "abod .."
    assert continued(PIECES, "ba", ids[1:]) == "od .."
    assert continued(PIECES, "ba\n", ids) == "abod .."
    # Without normalization another space is a piece, which the prompt's last one is not.
    exact = TOKENIZERS["identity"]
    assert continued(exact, "ba  ", ids) == continued(exact, "ba ", ids) == "abod .."
    assert read_prompt("ba  ", exact).line == [
        *read_prompt("ba ", exact).line,
        exact.vocabulary.index(SPACE),
    ]


def test_what_is_added_after_folding():
    """The prompt stays as it was typed, though the ids say something else."""
    folded = Tokenizer(TokenizerConfig(), WORDS.vocabulary)
    prompt = read_prompt("ABÉ  A", folded)
    assert prompt.ids[0] == SEP
    ids = np.array([folded.vocabulary.index("ab")])
    assert Continuation(folded, prompt).text(ids) == " ab"
