"""The model catalogue: all families, and their models by name."""

from collections.abc import Sequence

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.several import PLUS
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.families.decoders.gemma import GEMMA
from keras_transformer.zoo.models.families.decoders.gpt import GPT
from keras_transformer.zoo.models.families.decoders.llama import LLAMA
from keras_transformer.zoo.models.families.decoders.opt import OPT
from keras_transformer.zoo.models.families.decoders.pythia import PYTHIA
from keras_transformer.zoo.models.families.decoders.qwen import QWEN2, QWEN3
from keras_transformer.zoo.models.families.encoder_decoders.bart import BART
from keras_transformer.zoo.models.families.encoder_decoders.marian import MARIAN
from keras_transformer.zoo.models.families.encoder_decoders.t5 import MT5, T5
from keras_transformer.zoo.models.families.encoder_decoders.transformer import TRANSFORMER
from keras_transformer.zoo.models.families.encoder_decoders.whisper import WHISPER
from keras_transformer.zoo.models.families.encoders.albert import ALBERT
from keras_transformer.zoo.models.families.encoders.bert import BERT
from keras_transformer.zoo.models.families.encoders.distilbert import DISTILBERT
from keras_transformer.zoo.models.families.encoders.electra import ELECTRA
from keras_transformer.zoo.models.families.encoders.modernbert import MODERNBERT
from keras_transformer.zoo.models.families.encoders.mpnet import MPNET
from keras_transformer.zoo.models.families.encoders.roberta import ROBERTA
from keras_transformer.zoo.models.families.family import Size
from keras_transformer.zoo.models.families.images.cct import CCT
from keras_transformer.zoo.models.families.images.vit import VIT
from keras_transformer.zoo.models.families.published import Published
from keras_transformer.zoo.models.families.sounds.kwt import KWT
from keras_transformer.zoo.models.families.sounds.spectrogram_transformer import AST
from keras_transformer.zoo.models.several_config import SeveralConfig

FAMILIES = {
    "albert": ALBERT,
    "ast": AST,
    "bart": BART,
    "bert": BERT,
    "cct": CCT,
    "distilbert": DISTILBERT,
    "electra": ELECTRA,
    "gemma": GEMMA,
    "gpt": GPT,
    "kwt": KWT,
    "llama": LLAMA,
    "marian": MARIAN,
    "modernbert": MODERNBERT,
    "mpnet": MPNET,
    "mt5": MT5,
    "opt": OPT,
    "pythia": PYTHIA,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "roberta": ROBERTA,
    "t5": T5,
    "transformer": TRANSFORMER,
    "vit": VIT,
    "whisper": WHISPER,
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


def get_config(name: str) -> TransformerConfig | SeveralConfig:
    """Returns the config of a catalogue model, or of several encoders such as `cct_2+bert_tiny`.

    Raises:
        InputError: if the name is unknown; the message lists the known ones; or two encoders read
            rows of one kind.
    """
    if PLUS in name:
        return joined([(one, get_config(one)) for one in names_in(name)])
    if name not in CATALOG:
        raise InputError(
            f"Expected a model among {', '.join(CATALOG)}, or a published one (a folder, or "
            f"hf:OWNER/NAME), got {name!r}."
        )
    return CATALOG[name]


def names_in(name: str) -> list[str]:
    """Returns the names of the models of several kinds in a name, such as `cct_2+bert_tiny`.

    Raises:
        InputError: if one is empty.
    """
    names = name.split(PLUS)
    if not all(names):
        raise InputError(f"Expected a model's name on both sides of each {PLUS}, got {name!r}.")
    return names


def joined(configs: Sequence[tuple[str, TransformerConfig | SeveralConfig]]) -> SeveralConfig:
    """Returns the config of an encoder for each kind of rows.

    Args:
        configs: pairs of an encoder's name, for messages, and its config.

    Raises:
        InputError: if two read rows of one kind.
    """
    members: dict[str, TransformerConfig] = {}
    for name, one in configs:
        if isinstance(one, SeveralConfig):
            raise InputError(
                f"Expected a model for each kind of rows, got {name}, which reads {one.modality}; "
                "name it alone."
            )
        if one.modality in members:
            raise InputError(
                f"Expected models of different kinds in {PLUS.join(name for name, _ in configs)}, "
                f"got two of {one.modality}."
            )
        members[one.modality] = one
    return SeveralConfig(members=dict(sorted(members.items())))
