"""Parts of a model that a run leaves as they are, by path patterns."""

import fnmatch

import keras

from keras_transformer.zoo.errors import InputError

# Pattern for all tables at a model's inputs, and their norm.
EMBEDDINGS = "embeddings"
# Last parts of the names of the layers that it stands for, such as `source_token_embedding`.
_AT_INPUTS = ("embedding", "embedding_norm", "embedding_projection")


def freeze(model: keras.Model, patterns: str) -> None:
    """Makes weights of a built model constant.

    Args:
        model: built model.
        patterns: patterns of the paths of layers or weights, separated by commas, with `*`, `?`
            and `[...]` as in a shell; each matches a layer with all its sublayers. `embeddings`
            matches all embedding tables and their norm.

    Raises:
        InputError: if a pattern matches nothing, or all weights would be constant.
    """
    for pattern in filter(None, map(str.strip, patterns.split(","))):
        found = [weight for weight in model.weights if _matches(weight.path, pattern)]
        if not found:
            raise InputError(
                f"Expected the pattern {pattern!r} of freeze to match the path of a layer, such as "
                f"{model.weights[-1].path.rpartition('/')[0]}; it matches none."
            )
        for weight in found:
            weight.trainable = False
    if not model.trainable_weights:
        raise InputError(
            f"Expected freeze to leave weights that are trained, got freeze={patterns!r}."
        )


def is_embedding(path: str) -> bool:
    """Whether the path of a weight is of an embedding table, or of their norm or projection."""
    return path.partition("/")[0].endswith(_AT_INPUTS)


def _matches(path: str, pattern: str) -> bool:
    if pattern == EMBEDDINGS:
        return is_embedding(path)
    return any(fnmatch.fnmatchcase(path, one) for one in (pattern, f"{pattern}/*"))
