"""RoBERTa and XLM-R: BERT without segments, with positions that begin after the padding's."""

from typing import Any

from keras_transformer.zoo.models.families.encoders.bert import BODY, LEFT_OUT, published_settings
from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import (
    Published,
    PublishedConfig,
    Tensor,
    dense,
    masked_head,
    position_heads,
)

# Rows of the position table before the first token's: up to the padding's id, and itself.
_UNUSED = 2


def _settings(c: PublishedConfig) -> dict[str, Any]:
    c.expect("pad_token_id", _UNUSED - 1)
    settings = published_settings(c)
    return {**settings, "max_length": settings["max_length"] - _UNUSED}


_CLASSES = ("Roberta", "XLMRoberta", "Camembert")
_HEAD = {**dense("pooler", "classifier.dense"), **dense("head", "classifier.out_proj")}

ROBERTA = Family(
    paper="Liu et al. 2019, arXiv:1907.11692; Conneau et al. 2019, arXiv:1911.02116",
    sizes={},
    published=Published(
        model_types=("roberta", "xlm-roberta", "camembert"),
        settings=_settings,
        tensors={
            **BODY,
            "position_embedding/embeddings": Tensor(
                "embeddings.position_embeddings.weight"
            ).from_row(_UNUSED),
            **dense("pooler", "pooler.dense"),
        },
        heads={
            **{f"{name}ForSequenceClassification": _HEAD for name in _CLASSES},
            **position_heads(*_CLASSES),
        },
        masked_head=masked_head("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"),
        left_out=LEFT_OUT,
        prefixes=("roberta.",),
    ),
)
