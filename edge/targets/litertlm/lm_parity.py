"""Parity of LiteRT-LM's ids and text with our own generation loop over the same graph."""

import json

from keras_transformer.edge.targets.exported.graph_parity import run_apart
from keras_transformer.edge.targets.litertlm import lm_replay
from keras_transformer.edge.targets.litertlm.lm_steps import LmSteps
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import RunError
from keras_transformer.zoo.generation.text import TextGenerator
from keras_transformer.zoo.storage.temporary import temporary_folder

NUM_PROMPTS, PROMPT_TOKENS, NEW_TOKENS = 4, 8, 64
# The replacement for invalid bytes, whose number differs between the two, and the end of a C
# string.
_NOT_COMPARED = str.maketrans("", "", "\ufffd\0")


def check_continued(packed: bytes, graph: bytes, checkpoint: Checkpoint) -> int:
    """Compares the continuations of a few probes, and returns the number of tokens generated.

    Args:
        packed: the `.litertlm` file.
        graph: the graph in it.
        checkpoint: the exported checkpoint.

    Raises:
        RunError: if LiteRT-LM fails, or its ids of a prompt or its greedy text differ from ours.
    """
    steps = LmSteps(graph)
    starts = (ids[:PROMPT_TOKENS].tolist() for ids in checkpoint.probes["ids"][:NUM_PROMPTS])
    # A space at its end would make our own loop begin a word, which LiteRT-LM does not know.
    decoded = (checkpoint.tokenizer.decode(ids).rstrip() for ids in starts)
    prompts = [text for text in decoded if text]
    ids = checkpoint.tokenizer.pieces(prompts)
    # A prompt starts with one more token. Nothing reads the last one that is written, but LiteRT-LM
    # counts it among the positions too.
    max_tokens = min(NEW_TOKENS, steps.cache_length - 1 - max(map(len, ids)))
    generator = TextGenerator(steps, checkpoint.tokenizer, reads_sources=False)
    texts = [made.text for made in generator.generate(prompts, max_tokens=max_tokens)]
    found = _continued(packed, prompts, max_tokens)
    for prompt, own_ids, continued, made in zip(prompts, ids, texts, found, strict=True):
        if made["ids"] != own_ids:
            raise RunError(
                f"Expected LiteRT-LM to read {prompt!r} as the ids {own_ids}, got {made['ids']}; "
                "nothing was written."
            )
        # LiteRT-LM writes no space before its first word.
        own_text, text = continued.removeprefix(" "), made["text"]
        if text.translate(_NOT_COMPARED) != own_text.translate(_NOT_COMPARED):
            raise RunError(
                f"Expected LiteRT-LM to continue {prompt!r} with {own_text!r}, got {text!r}; "
                "nothing was written."
            )
    return max_tokens


def _continued(packed, prompts, max_tokens):
    with temporary_folder() as folder:
        (folder / lm_replay.MODEL).write_bytes(packed)
        asked = {"prompts": prompts, "max_tokens": max_tokens}
        (folder / lm_replay.PROMPTS).write_text(json.dumps(asked))
        run_apart(lm_replay.__name__, folder, doing="Running the file in LiteRT-LM")
        return json.loads((folder / lm_replay.CONTINUED).read_bytes())
