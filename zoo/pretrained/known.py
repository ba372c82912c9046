"""Published models that phones want most, by name."""

from typing import NamedTuple


class KnownModel(NamedTuple):
    """A published model.

    Attributes:
        name: name on the hub, which is fetched on first use.
        family: family, see `models.catalog.PUBLISHED`.
        parameters: number of parameters, tied tables counted once.
        licence: licence that its publishers state.
        use: what it is published for.
    """

    name: str
    family: str
    parameters: int
    licence: str
    use: str


KNOWN_MODELS = (
    KnownModel(
        "hf:sentence-transformers/all-MiniLM-L6-v2", "bert", 22_565_376, "apache-2.0",
        "embeddings of English texts",
    ),
    KnownModel(
        "hf:BAAI/bge-small-en-v1.5", "bert", 33_212_160, "mit", "embeddings of English texts"
    ),
    KnownModel(
        "hf:intfloat/multilingual-e5-small", "bert", 117_505_920, "mit",
        "embeddings of texts in 100 languages",
    ),
    KnownModel(
        "hf:distilbert/distilbert-base-uncased", "distilbert", 66_362_880, "apache-2.0",
        "fine-tuning on English texts",
    ),
    KnownModel(
        "hf:Helsinki-NLP/opus-mt-en-de", "marian", 73_886_208, "cc-by-4.0",
        "translation from English to German",
    ),
    KnownModel(
        "hf:Helsinki-NLP/opus-mt-de-en", "marian", 73_886_208, "apache-2.0",
        "translation from German to English",
    ),
)  # fmt: skip
