"""Significance of the difference between two models' answers to the same rows."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import sacrebleu
from scipy.stats import binomtest

from keras_transformer.zoo.evaluation.metric import Metric
from keras_transformer.zoo.evaluation.text_metrics import bleu_tokenizer

SAMPLES, SEED, CONFIDENCE = 1000, 0, 0.95


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """A model's answers to rows, as far as the deciding metric of any of the rows needs them.

    Attributes:
        metric: deciding metric.
        of: function from places of rows (R,), of which some may occur again, to their metric; None
            where they leave it undefined.
        right: whether each row is answered rightly (rows,); None where answers are not right or
            wrong.
    """

    metric: Metric
    of: Callable[[np.ndarray], float | None]
    right: np.ndarray | None = None


class McNemar(NamedTuple):
    """The rows that one of two classifiers alone answers rightly.

    Attributes:
        first, second: number of rows that only the first, and only the second answers rightly.
        p_value: probability of a split at least as uneven if both are as often right.
    """

    first: int
    second: int
    p_value: float


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Returns McNemar's exact test, two-sided (McNemar 1947; Dietterich 1998, section 3.1).

    Args:
        first, second: whether each of the same rows is answered rightly (rows,), by each model.
    """
    alone = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    p_value = float(binomtest(alone[0], sum(alone)).pvalue) if sum(alone) else 1.0
    return McNemar(*alone, p_value)


def paired_interval(
    first: Answers, second: Answers, rows: int, *, samples: int = SAMPLES, seed: int = SEED
) -> tuple[float, float] | None:
    """Returns the 95 % interval of the second's metric minus the first's, by a paired bootstrap.

    Both are measured on the same rows, drawn with replacement, and the percentiles of the
    differences are taken (Efron and Tibshirani 1993, section 13.3; Koehn 2004, section 4). Samples
    that leave the metric undefined, such as one row many times, do not count.

    Args:
        first, second: the models' answers.
        rows: number of rows.
        samples: number of samples.
        seed: seed of the rows that are drawn.

    Returns:
        The lower and the upper end; None if no sample counts.
    """
    rng, differences = np.random.default_rng(seed), []
    for _ in range(samples):
        drawn = rng.integers(0, rows, rows)
        values = first.of(drawn), second.of(drawn)
        if None not in values:
            differences.append(values[1] - values[0])
    if not differences:
        return None
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences, [outside, 1 - outside])
    return float(low), float(high)


def bleu_of_rows(
    texts: Sequence[str], references: Sequence[str]
) -> Callable[[np.ndarray], float]:
    """Returns a function from places of rows to their BLEU, see `text_metrics`.

    The counts of each text are taken once, since BLEU is a function of their sums.
    """
    # The order of a single text has no effect on its counts, only on a score that is not used.
    bleu = sacrebleu.BLEU(tokenize=bleu_tokenizer(references), effective_order=True)
    counted = [
        bleu.sentence_score(text, [reference])
        for text, reference in zip(texts, references, strict=True)
    ]
    counts = np.array([[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in counted])

    def of(rows: np.ndarray) -> float:
        sums = counts[rows].sum(axis=0).tolist()
        order = (len(sums) - 2) // 2
        return sacrebleu.BLEU.compute_bleu(
            correct=sums[:order], total=sums[order:-2], sys_len=sums[-2], ref_len=sums[-1],
            smooth_method="exp",
        ).score  # fmt: skip

    return of
