"""Texts for MediaPipe Tasks, its `TextClassifier` and `TextEmbedder`.

They need three int32 inputs (1, T) that the metadata name `ids`, `mask` and `segment_ids`, and
BERT's tokenizer with its vocabulary as a process unit. Their tokenizer folds only ASCII letters and
keeps accents, so an app must normalize its text first (docs/targets/normalization.md).
"""

from keras_transformer.edge.tflite.metadata import TensorInfo
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.tokenizers.piece_list import CLS, SEP, UNK

KIND, EMBEDS = "Text", True
LOADING = """\
```python
from mediapipe.tasks import python
from mediapipe.tasks.python import text

options = text.{task}Options(base_options=python.BaseOptions(model_asset_path="{file}"))
with text.{task}.create_from_options(options) as task:
    print(task.{method}("a text, normalized first"))
```

MediaPipe's tokenizer folds ASCII letters only and keeps accents: the app folds case, removes
accents and puts a space for each control, format or separating character first."""
# Name of an input -> its description.
INPUTS = {
    "ids": "Ids of the word pieces, [CLS] first, [SEP] after the last, then 0.",
    "mask": "1 for a word piece, 0 for padding.",
    "segment_ids": "0: the model reads one text.",
}
VOCABULARY = "vocab.txt"
# Longer words are unknown to MediaPipe's tokenizer, and no option says otherwise.
_MAX_BYTES_PER_WORD = 100


def tensors(checkpoint: Checkpoint) -> dict[str, TensorInfo]:
    """Returns the metadata of the inputs by name."""
    return {name: TensorInfo(name=name, description=text) for name, text in INPUTS.items()}


def unread(checkpoint: Checkpoint) -> str | None:
    """Returns a reason if MediaPipe would read texts otherwise than a checkpoint does."""
    if not checkpoint.tokenizer.config.lowercase:
        return (
            "Expected a tokenizer that folds case, as MediaPipe's always does, got "
            "lowercase=False."
        )
    return _other_words(checkpoint) or _too_long_word(checkpoint)


def _other_words(checkpoint: Checkpoint) -> str | None:
    """Returns a reason if MediaPipe would look up other special tokens, or read other words."""
    config = checkpoint.tokenizer.config
    names = (config.special.unk, config.special.begin, config.special.end)
    if names != (UNK, CLS, SEP):
        return (
            f"Expected the special tokens {UNK}, {CLS} and {SEP}, which MediaPipe's tokenizer "
            f"looks up by name, got {', '.join(map(str, names))}; use --target plain or text."
        )
    if config.normalization == "bert":
        return (
            "Expected a vocabulary of this project's own normalization, which an app does before "
            "MediaPipe's tokenizer, got normalization='bert'; use --target plain or text."
        )
    return None


def _too_long_word(checkpoint: Checkpoint) -> str | None:
    """Names a word of the probes that the tokenizer knows and MediaPipe's would not."""
    tokenizer = checkpoint.tokenizer
    words = [
        word for row in checkpoint.probes["ids"] for word in tokenizer.model.split(
            tokenizer.decode(row)
        )
    ]  # fmt: skip
    longest = max((len(word.encode()) for word in words), default=0)
    if longest > _MAX_BYTES_PER_WORD:
        return (
            f"Expected words of at most the {_MAX_BYTES_PER_WORD} bytes that MediaPipe's tokenizer "
            f"reads, got one of {longest} bytes in the validation data; use --target plain or text."
        )
    return None
