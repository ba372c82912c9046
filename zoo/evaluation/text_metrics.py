"""Metrics of generated texts against references."""

from collections.abc import Sequence
from typing import Any

import sacrebleu


def text_metrics(texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Returns BLEU and chrF of detokenized text with sacrebleu's signatures, and exact match.

    BLEU is that of Papineni et al. 2002 as Post 2018 defines it, chrF that of Popović 2015; both
    from 0 to 100. Exact match is the fraction of texts that equal their reference.

    Args:
        texts: generated texts.
        references: reference of each text.
    """
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    result = {
        "bleu": bleu.corpus_score(list(texts), [list(references)]).score,
        "chrf": chrf.corpus_score(list(texts), [list(references)]).score,
        "bleu_signature": str(bleu.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
    }
    same = [text == reference for text, reference in zip(texts, references, strict=True)]
    return {**result, "exact_match": sum(same) / len(same)}
