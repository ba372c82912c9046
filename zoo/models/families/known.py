"""Published models that phones want most, by name; `zoo.pretrained` reads them."""

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
        "hf:HuggingFaceTB/SmolLM2-135M-Instruct", "llama", 134_515_008, "apache-2.0",
        "conversation in English",
    ),
    KnownModel(
        "hf:Qwen/Qwen2.5-0.5B-Instruct", "qwen2", 494_032_768, "apache-2.0",
        "conversation in many languages",
    ),
    KnownModel(
        "hf:google/flan-t5-small", "t5", 76_961_152, "apache-2.0", "instructions in English"
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
