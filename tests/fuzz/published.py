"""Published folders that are damaged: the files of tokenizers, configs and weights."""

import random
import shutil
from pathlib import Path

from tests.fuzz.mutate import damaged_bytes, damaged_json
from tests.fuzz.names import TEXTS

TOKENIZERS, KEPT, MODELS = "published_tokenizers", "kept_tokenizers", "published_models"
FORMS = (
    "bytes", "llama", "marian", "merges", "t5", "unigram", "words", "word_pieces", "xlm_r"
)  # fmt: skip
FAMILIES = ("bert", "t5", "gpt2", "llama3", "marian")
def _damage(path, rng):
    """Damages one or two files of a folder."""
    files = sorted(one for one in path.rglob("*") if one.is_file())
    for file in rng.sample(files, min(len(files), rng.choice((1, 1, 2)))):
        if rng.random() < 0.05:
            file.unlink()
        elif file.suffix == ".json":
            file.write_bytes(damaged_json(file.read_bytes(), rng))
        else:
            file.write_bytes(damaged_bytes(file.read_bytes(), rng))


def make_tokenizer(seeds: Path, folder: Path, rng: random.Random) -> Path:
    """Writes a damaged tokenizer of some form."""
    path = folder / "published"
    shutil.copytree(seeds / TOKENIZERS / rng.choice(FORMS), path)
    _damage(path, rng)
    return path


def read_tokenizer(path: Path, rng: random.Random):
    """Yields what reads it, and its files as a checkpoint has them."""
    from keras_transformer.zoo.pretrained.vocabularies.tokenizer import read_tokenizer as read
    from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

    def use():
        published = read(path)
        for one in (published.tokenizer, published.target):
            if one is not None:
                again = Tokenizer.from_files(one.to_files())
                ids = again.pieces(list(TEXTS))
                if ids != one.pieces(list(TEXTS)):
                    raise AssertionError("other ids from the files of a checkpoint")
                for row in ids:
                    again.decode(row)

    yield use


def make_kept(seeds: Path, folder: Path, rng: random.Random) -> Path:
    """Writes a damaged tokenizer of a published kind, as checkpoints have it."""
    path = folder / "tokenizer"
    shutil.copytree(seeds / KEPT / rng.choice(FORMS), path)
    _damage(path, rng)
    return path


def make_model(seeds: Path, folder: Path, rng: random.Random) -> Path:
    """Writes a damaged model of some family."""
    path = folder / "published"
    shutil.copytree(seeds / MODELS / rng.choice(FAMILIES), path)
    _damage(path, rng)
    return path


def read_model(path: Path, rng: random.Random):
    """Yields what reads its config and its weights."""
    from keras_transformer.zoo.pretrained.load import load_pretrained

    yield lambda: load_pretrained(path).build()
