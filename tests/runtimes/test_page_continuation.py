"""What the demo page's modules, run by Node, add to a prompt is what Python adds."""

import random
import shutil

import pytest

from keras_transformer.zoo.generation.prompt import read_prompt
from keras_transformer.zoo.generation.text import TextGenerator
from tests.hard_strings import HARD
from tests.runtimes.page import answer_of, write_files, write_page
from tests.runtimes.test_page_published import T5, byte_bpe, sentence_bpe
from tests.zoo.generation.test_prompt import KINDS, TOKENIZERS, any_ids, random_text
from tests.zoo.generation.test_text import Scripted

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
SEP, NEW_TOKENS = 3, 10
# In the place of LiteRT.js: what the page makes inputs of.
LITERT = "export class Tensor { delete() {} }\nexport const loadAndCompile = null;\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page's modules as Node loads them."""
    folder = tmp_path_factory.mktemp("page")
    write_page(folder, litert=LITERT)
    return folder


def by_page(folder, tokenizer, task, prompts):
    """What the page reads and shows, where the equally most probable ids of each step are given."""
    [file] = write_files(folder, [tokenizer])
    request = {"file": file, "task": task, "prompts": prompts, "newTokens": NEW_TOKENS}
    return answer_of("continue.mjs", folder, request)


def by_python(tokenizer, text, written, *, reads_sources):
    start = 1 if reads_sources else len(read_prompt(text, tokenizer).ids)
    model = Scripted(
        tokenizer, lambda _, fed: written[len(fed) - start],
        cache_length=999, source_length=999,
    )  # fmt: skip
    generator = TextGenerator(model, tokenizer, reads_sources=reads_sources)
    [text] = generator.generate([text], max_tokens=NEW_TOKENS)
    return text.text


@pytest.mark.parametrize("kind", ["bpe", "sentencepiece_bpe"])
def test_the_page_goes_on_as_a_published_decoder(folder, kind):
    tokenizer = byte_bpe(splitter="llama3") if kind == "bpe" else sentence_bpe()
    rng = random.Random(kind)
    special = tokenizer.special_ids
    ordinary = [i for i in range(tokenizer.vocab_size) if i not in special]
    prompts = []
    for text in ("ab", "ab ", "the newest\n", "Straße 🙂", "東京 x"):
        # The last id is of half a character, or of any piece; special tokens are not written.
        new = [sorted([2, rng.choice(ordinary)]) for _ in range(NEW_TOKENS - 1)]
        prompts.append((text, [*new, [tokenizer.sep_id]]))
    found = by_page(folder, tokenizer, "language-modeling", prompts)
    for (text, written), one in zip(prompts, found, strict=True):
        assert one["ids"] == read_prompt(text, tokenizer).ids, ascii(text)
        assert one["ids"][0] == tokenizer.cls_id
        assert one["texts"][-1] == by_python(tokenizer, text, written, reads_sources=False)


def test_a_prompt_without_tokens_is_an_error(folder):
    tokenizer = byte_bpe(splitter="gpt2", special=T5)
    with pytest.raises(AssertionError, match="The text holds no token to go on from"):
        by_page(folder, tokenizer, "language-modeling", [("\x7f", [])])


def cases(kind):
    """Prompts of every sort, each with ids that a model finds most probable, and then the end."""
    tokenizer, rng = TOKENIZERS[kind], random.Random(kind)
    hard = [text for text in HARD if len(text) < 200 and text.strip()]
    words = [random_text(rng) for _ in range(100)]
    cut = [text[: rng.randint(1, len(text))] for text in words]
    lines = ["ab\n\n  \nba", "\nab\n", "ab\r\nba\rab\x85b", "\ufeffab\n\ufeffb", "ab\n "]
    spaces = [f"ab{space}" for space in "\u2003\u2581\u200b\U000e0001"]
    breaks = [
        i for i, piece in enumerate(tokenizer.vocabulary.pieces) if piece in ("<0x0A>", "<0x0D>")
    ]
    # A line break is as probable as a letter, and comes first.
    letter = tokenizer.pieces(["b"])[0][-1]
    yield "ab", [[*breaks, letter]] * NEW_TOKENS
    end = [tokenizer.pieces(["."])[0]] if tokenizer.config.keeps_lines else [[SEP]]
    for text in (*hard, *words, *cut, *lines, *spaces):
        new = [sorted(any_ids(tokenizer, rng, 2)) for _ in range(rng.randint(1, NEW_TOKENS))]
        yield text, new + end * (NEW_TOKENS - len(new))


@pytest.mark.parametrize("task", ["language-modeling", "translation"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_adds_what_python_adds(folder, kind, task):
    tokenizer, prompts = TOKENIZERS[kind], list(cases(kind))
    is_translation = task == "translation"
    found = by_page(folder, tokenizer, task, prompts)
    for (text, written), one in zip(prompts, found, strict=True):
        if not is_translation:
            assert one["ids"] == read_prompt(text, tokenizer).ids, ascii(text)
        expected = by_python(tokenizer, text, written, reads_sources=is_translation)
        assert one["texts"][-1] == expected, ascii(text)
        # What was shown stays.
        assert all(expected.startswith(shown) for shown in one["texts"])
