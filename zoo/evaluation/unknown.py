"""Unknown tokens: the part of a text that a model cannot read."""

from typing import Any

from keras_transformer.zoo.modalities.modality import Modality
from keras_transformer.zoo.tokenizers.tokenizer_config import ROWS_WITH_UNKNOWN, UNKNOWN_TOKENS

# Share of the tokens from which on a warning is due.
_MANY = 0.01


def unknown_shares(task: Any, examples: Any, modality: Modality) -> dict[str, float]:
    """Returns the shares of tokens that are [UNK] and of rows that have one.

    Rows of plain text are its lines. Tokenizers without unknown tokens have no shares.

    Args:
        task: task that read the examples.
        examples: result of `Task.read`.
        modality: modality of the model.
    """
    text = modality.text
    if text is None:
        return {}
    total, unknown, rows, touched = 0, 0, 0, set()
    for name, texts in task.vocabulary_texts(examples).items():
        tokenizer = getattr(text, name) or text.tokenizer
        if not tokenizer.config.has_unknown:
            continue
        if not task.columns:
            texts = [line for text in texts for line in text.split("\n") if line]
        # A pair's second texts follow all of the first.
        rows = len(examples) if task.columns else len(texts)
        for place, ids in enumerate(tokenizer.pieces(texts)):
            total += len(ids)
            if found := ids.count(tokenizer.unk_id):
                unknown += found
                touched.add(place % rows)
    if not rows:
        return {}
    return {UNKNOWN_TOKENS: unknown / max(1, total), ROWS_WITH_UNKNOWN: len(touched) / rows}


def unknown_warning(shares: dict[str, float], name: str) -> str | None:
    """Returns a sentence for shares that impair a model, or None.

    Args:
        shares: result of `unknown_shares`, possibly among other metrics.
        name: name of the data.
    """
    if shares.get(UNKNOWN_TOKENS, 0.0) < _MANY:
        return None
    return (
        f"{shares[UNKNOWN_TOKENS]:.1%} of the tokens of {name} are unknown to the tokenizer, in "
        f"{shares[ROWS_WITH_UNKNOWN]:.1%} of the rows; models with --tokenizer sentencepiece know "
        "every text."
    )
