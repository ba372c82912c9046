"""What tiny models of `transformers` generate, and what ours do from the same prompts.

Run as a module it writes the references for machines without `transformers`, of the models in the
folder of references:

    python -m tests.zoo.pretrained.generated
"""

from pathlib import Path

import numpy as np
import safetensors.numpy

from keras_transformer.zoo.generation.decoding import Decoding
from keras_transformer.zoo.generation.loop import generate
from keras_transformer.zoo.models.running.decoding_steps import KerasSteps
from keras_transformer.zoo.pretrained.load import load_pretrained
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import PublishedTokenizer
from tests.zoo.pretrained.tiny import FIRST, LONGEST, MODELS, REFERENCES, VOCAB

FILE = REFERENCES / "generated.safetensors"
PROMPTS, PROMPT_LENGTH, TOKENS = 20, 5, 7
DECODERS = ("gpt2", "opt", "llama", "llama3", "qwen2", "qwen3", "gemma3", "pythia")
TRANSLATORS = ("t5", "marian", "bart")
# Our options of each search, the first without an end; `transformers` has other names for two.
SEARCHES = {
    "endless": {},
    "greedy": {},
    "beams": {"beams": 4},
    "short_beams": {"beams": 4, "length_penalty": -0.5},
    "long_beams": {"beams": 4, "length_penalty": 2.0},
    "two_beams": {"beams": 2, "length_penalty": 0.0},
    "unrepeated": {"beams": 4, "no_repeat_ngram": 2, "repetition_penalty": 1.3},
}
NAMES = {"beams": "num_beams", "no_repeat_ngram": "no_repeat_ngram_size"}
# Written behind the end.
NONE = -1


def theirs(name: str, folder: Path) -> dict[str, np.ndarray]:
    """Prompts, the token that ends texts, and by search what `transformers` generates."""
    import torch
    import transformers

    tiny, rng = MODELS[name], np.random.default_rng(2)
    model = getattr(transformers, tiny.kind).from_pretrained(folder).eval()
    prompts = rng.integers(FIRST, VOCAB - 1, (PROMPTS, PROMPT_LENGTH))
    start = model.config.decoder_start_token_id if name in TRANSLATORS else None

    def generated(end, options):
        settings = transformers.GenerationConfig(
            max_new_tokens=TOKENS, do_sample=False, eos_token_id=end, bos_token_id=0,
            decoder_start_token_id=start, pad_token_id=tiny.pad or 0,
            # A decoder of `transformers` reads padding that it has written, ours has no such token.
            suppress_tokens=None if tiny.pad is None else [tiny.pad],
            **{NAMES.get(key, key): value for key, value in options.items()},
        )  # fmt: skip
        # The settings in its file are not compared, such as an end as the last token.
        model.generation_config = settings
        with torch.no_grad():
            found = model.generate(
                torch.tensor(prompts), attention_mask=torch.ones(prompts.shape, dtype=torch.long),
                generation_config=settings,
            ).numpy()  # fmt: skip
        found = found[:, 1 if name in TRANSLATORS else PROMPT_LENGTH :]
        found = np.pad(found, ((0, 0), (0, TOKENS - found.shape[1])), constant_values=NONE)
        ends = np.cumsum(found == (NONE if end is None else end), axis=1) > 0
        return np.where(ends, NONE, found)

    # A token that more texts have in their middle than at their beginning, and no prompt.
    plain = generated(None, SEARCHES["beams"])
    first, later = (np.bincount(x.ravel(), minlength=VOCAB) for x in (plain[:, :2], plain[:, 2:]))
    end = FIRST + int((later - first)[FIRST : VOCAB - 1].argmax())
    prompts[prompts == end] = FIRST if end != FIRST else FIRST + 1
    found = {
        search: generated(None if search == "endless" else end, options)
        for search, options in SEARCHES.items()
    }
    return {"prompts": prompts, "end": np.array([end]), **found}


def ours(name: str, folder: Path, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What ours generates by search, in published ids."""
    tiny = MODELS[name]
    rows, end = tiny.rows, int(given["end"][0])
    pretrained = load_pretrained(folder, tokenizers=PublishedTokenizer(tokenizer=None, rows=rows))
    own = np.zeros(VOCAB, "int32")
    # Backwards: a copy that a decoder starts with comes last.
    for place in reversed(range(len(rows))):
        if rows[place] >= 0:
            own[rows[place]] = place
    steps = KerasSteps(pretrained.build(), pretrained.config, LONGEST)
    prompts = own[given["prompts"]]
    uncounted = [len(rows) - 1] if tiny.starts_with_pad else []
    found = {}
    for search, options in SEARCHES.items():
        if name in TRANSLATORS:
            cache, before = steps.encode(list(prompts)), None
            start = tiny.settings.get("decoder_start_token_id", 2)
            first = len(rows) - 1 if tiny.starts_with_pad else own[start]
            first = np.full(PROMPTS, first, "int32")
        else:
            cache, first, before = steps.prefill(prompts[:, :-1]), prompts[:, -1], prompts[:, :-1]
        made = generate(
            steps, cache, first, Decoding(max_tokens=TOKENS, **options),
            stop_ids=[] if search == "endless" else [own[end]], prompts=before,
            forbidden_ids={0, *uncounted}, uncounted_ids=uncounted,
        )  # fmt: skip
        found[search] = np.full((PROMPTS, TOKENS), NONE)
        for row, one in zip(found[search], made, strict=True):
            row[: len(one.ids)] = rows[one.ids]
    return found


def write_references() -> None:
    """Writes one file for all models."""
    arrays = {
        f"{name}/{key}": value.astype("int8")
        for name in (*DECODERS, *TRANSLATORS)
        for key, value in theirs(name, REFERENCES / name).items()
    }
    safetensors.numpy.save_file(arrays, FILE)
    FILE.chmod(0o644)


def read_reference(name: str) -> dict[str, np.ndarray]:
    """Returns what `theirs` did."""
    arrays = safetensors.numpy.load_file(FILE)
    return {
        key.removeprefix(f"{name}/"): value.astype("int64")
        for key, value in arrays.items()
        if key.startswith(f"{name}/")
    }


if __name__ == "__main__":
    write_references()
