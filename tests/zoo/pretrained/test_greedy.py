"""Greedy tokens of published models with our caches, against `transformers`' own generation."""

import numpy as np
import pytest

from keras_transformer.zoo.models.running.decoding_steps import KerasSteps
from keras_transformer.zoo.pretrained.load import load_pretrained
from keras_transformer.zoo.pretrained.tokenizer import PublishedTokenizer
from tests.zoo.pretrained.test_families import needs_transformers
from tests.zoo.pretrained.tiny import FIRST, LONGEST, MODELS, VOCAB, make

PROMPTS, PROMPT_LENGTH, TOKENS = 20, 5, 7
DECODERS = ("gpt2", "opt", "llama", "llama3", "qwen2", "qwen3", "gemma3", "pythia")
TRANSLATORS = ("t5", "marian", "bart")


@needs_transformers
@pytest.mark.parametrize("name", [*DECODERS, *TRANSLATORS])
def test_greedy_tokens_equal_transformers(name, tmp_path):
    import torch
    import transformers

    make(name, tmp_path)
    tiny, rng = MODELS[name], np.random.default_rng(2)
    ids = rng.integers(FIRST, VOCAB - 1, (PROMPTS, PROMPT_LENGTH))
    published = getattr(transformers, tiny.kind).from_pretrained(tmp_path).eval()
    start = published.config.decoder_start_token_id if name in TRANSLATORS else None
    settings = transformers.GenerationConfig(
        max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=False, num_beams=1,
        decoder_start_token_id=start, pad_token_id=tiny.pad or 0, bos_token_id=0,
        # A decoder of `transformers` reads padding that it has written, ours has no such token.
        suppress_tokens=None if tiny.pad is None else [tiny.pad],
    )  # fmt: skip
    # Its settings in the file are no part of what is compared, such as an end of the last token.
    published.generation_config = settings
    with torch.no_grad():
        expected = published.generate(
            torch.tensor(ids), attention_mask=torch.ones(ids.shape, dtype=torch.long),
            generation_config=settings,
        ).numpy()[:, -TOKENS:]  # fmt: skip

    rows = tiny.rows
    pretrained = load_pretrained(
        tmp_path, tokenizers=PublishedTokenizer(tokenizer=None, rows=rows)
    )
    ours = np.zeros(VOCAB, "int32")
    for place in reversed(range(len(rows))):
        if rows[place] >= 0:
            ours[rows[place]] = place
    steps = KerasSteps(pretrained.build(), pretrained.config, LONGEST)
    if name in TRANSLATORS:
        cache = steps.encode(list(ours[ids]))
        last = len(rows) - 1 if len(rows) > VOCAB else ours[start]
        token = np.full(PROMPTS, last, "int32")
    else:
        cache = steps.prefill(ours[ids][:, :-1])
        token = ours[ids][:, -1]
    made = []
    for _ in range(TOKENS):
        logits, cache = steps.step(token, cache)
        logits = logits[:, ours]
        if tiny.pad is not None:
            logits[:, tiny.pad] = -np.inf
        made.append(logits.argmax(-1))
        token = ours[made[-1]]
    np.testing.assert_array_equal(np.stack(made, 1), expected)
