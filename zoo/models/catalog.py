"""The model catalogue: all families, and their models by name."""

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.families.bert import BERT
from keras_transformer.zoo.models.families.distilbert import DISTILBERT
from keras_transformer.zoo.models.families.electra import ELECTRA
from keras_transformer.zoo.models.families.family import Size
from keras_transformer.zoo.models.families.gpt import GPT
from keras_transformer.zoo.models.families.llama import LLAMA
from keras_transformer.zoo.models.families.marian import MARIAN
from keras_transformer.zoo.models.families.opt import OPT
from keras_transformer.zoo.models.families.published import Published
from keras_transformer.zoo.models.families.roberta import ROBERTA
from keras_transformer.zoo.models.families.t5 import T5
from keras_transformer.zoo.models.families.transformer import TRANSFORMER

FAMILIES = {
    "bert": BERT,
    "distilbert": DISTILBERT,
    "electra": ELECTRA,
    "gpt": GPT,
    "llama": LLAMA,
    "marian": MARIAN,
    "opt": OPT,
    "roberta": ROBERTA,
    "t5": T5,
    "transformer": TRANSFORMER,
}
SIZES: dict[str, Size] = {
    name: size for family in FAMILIES.values() for name, size in family.sizes.items()
}
# Family -> how others publish its models, where their weights are read.
PUBLISHED: dict[str, Published] = {
    name: family.published
    for name, family in FAMILIES.items()
    if family.published is not None
}
CATALOG = {name: TransformerConfig(**size.settings) for name, size in SIZES.items()}


def get_config(name: str) -> TransformerConfig:
    """Returns the config of a catalogue model.

    Raises:
        InputError: if the name is unknown; the message lists the known ones.
    """
    if name not in CATALOG:
        raise InputError(
            f"Expected a model among {', '.join(CATALOG)}, or a published one (a folder, or "
            f"hf:OWNER/NAME), got {name!r}."
        )
    return CATALOG[name]
