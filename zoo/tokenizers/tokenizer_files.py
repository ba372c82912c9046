"""The files of a model's tokenizers: of its input, and of its output if that differs."""

from collections.abc import Mapping

from keras_transformer.zoo.tokenizers.piece_list import TOKENIZER_FILES
from keras_transformer.zoo.tokenizers.tokenizer import CONFIG_FILE, Tokenizer

# Prefix of the names of the target tokenizer's files.
_TARGET = "target_"
FILE_NAMES = frozenset(
    prefix + name for prefix in ("", _TARGET) for name in (CONFIG_FILE, *TOKENIZER_FILES)
)


def tokenizers_to_files(tokenizer: Tokenizer, target: Tokenizer | None) -> dict[str, bytes]:
    """Returns the contents of the files by name."""
    return tokenizer.to_files() | (target.to_files(_TARGET) if target else {})


def tokenizers_from_files(
    files: Mapping[str, bytes]
) -> tuple[Tokenizer, Tokenizer | None]:
    """Creates the source tokenizer and the target tokenizer, if it is separate.

    Args:
        files: result of `tokenizers_to_files`, which may include other files.

    Raises:
        InputError: if the files do not describe a tokenizer.
    """
    has_target = _TARGET + CONFIG_FILE in files
    target = Tokenizer.from_files(files, _TARGET) if has_target else None
    return Tokenizer.from_files(files), target
