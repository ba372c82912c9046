"""ELECTRA: BERT's encoder, trained to find replaced tokens."""

from typing import Any

from keras_transformer.zoo.models.families.bert import BODY, LEFT_OUT, published_settings
from keras_transformer.zoo.models.families.family import Family
from keras_transformer.zoo.models.families.published import Published, PublishedConfig


def _settings(c: PublishedConfig) -> dict[str, Any]:
    settings = published_settings(c)
    c.expect("embedding_size", settings["hidden_dim"])
    return settings


ELECTRA = Family(
    paper="Clark et al. 2020, arXiv:2003.10555",
    sizes={},
    published=Published(
        model_types=("electra",),
        settings=_settings,
        tensors=BODY,
        left_out=(
            *LEFT_OUT, r"discriminator_predictions\..*", r"generator_predictions\..*",
            r"generator_lm_head\..*",
        ),
        prefixes=("electra.",),
    ),
)  # fmt: skip
