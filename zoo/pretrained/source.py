"""Where a published model is: a folder, a safetensors file, or the Hugging Face hub."""

import dataclasses
import errno
import importlib.util
import os
import re
from pathlib import Path

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.models.catalog import CATALOG
from keras_transformer.zoo.pretrained.tensors import INDEX, PICKLED, WEIGHTS
from keras_transformer.zoo.pretrained.vocabularies.files import MODELS, read_json
from keras_transformer.zoo.storage.manifest import MANIFEST

HUB = "hf:"
CONFIG = "config.json"
_RECIPE = "recipe.json"
_LICENCE = re.compile(r"(?m)^license:[ \t]*([\w.+-]+)[ \t]*$")
_ID = re.compile(r"(\w[\w.-]*/)?\w[\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
TOKENIZER_FILES = (
    "tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json", *MODELS,
    "source.spm", "target.spm",
)  # fmt: skip
# Weights as safetensors, settings, texts and vocabularies: nothing that could hold code.
PATTERNS = (
    CONFIG, "generation_config.json", WEIGHTS, INDEX, "model-*-of-*.safetensors",
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja", "*.model", "*.spm",
    "modules.json", "?_*/config.json", "sentence_bert_config.json",
    "config_sentence_transformers.json", "preprocessor_config.json", "README.md",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Location:
    """A published model on this machine.

    Attributes:
        name: name that repeats it: `hf:OWNER/NAME@COMMIT`, or the path.
        folder: folder with its config.json.
        weights: its safetensors file, if that was named.
        revision: commit on the hub, empty for a folder.
    """

    name: str
    folder: Path
    weights: Path | None = None
    revision: str = ""


def is_published(name: str | os.PathLike, *, or_checkpoint: bool = True) -> bool:
    """Whether a name is that of a published model; one of the catalogue's is not.

    Args:
        name: name or path.
        or_checkpoint: whether it may be a checkpoint instead, as a folder without config.json or
            with a manifest is; else every folder is published.
    """
    # A command's argument may be the path `hf:OWNER/NAME`.
    name = os.fspath(name)
    if name in CATALOG:
        return False
    if name.startswith(HUB):
        return True
    path = Path(name)
    if path.suffix == ".safetensors":
        return True
    if not path.is_dir():
        return False
    # A checkpoint that lost its manifest is a damaged one.
    is_own = any((path / name).exists() for name in (MANIFEST, _RECIPE))
    is_whole = (path / CONFIG).is_file() and not is_own
    return is_whole or not or_checkpoint


def is_checkpoint(name: str | os.PathLike) -> bool:
    """Whether a name is the folder of a checkpoint of ours; one of the catalogue's is not."""
    name = os.fspath(name)
    if name in CATALOG or not Path(name).is_dir():
        return False
    return any((Path(name) / one).exists() for one in (MANIFEST, _RECIPE))


def locate(name: str | os.PathLike) -> Location:
    """Returns where a published model is, after downloading it if it is one of the hub.

    Args:
        name: a folder, a safetensors file beside its config.json, or `hf:OWNER/NAME[@REVISION]`.

    Raises:
        FileNotFoundError: if there is no such path.
        InputError: if it is no model, or cannot be downloaded.
        OSError: if the disk is full.
    """
    name = os.fspath(name)
    if name.startswith(HUB):
        return _downloaded(name)
    path = Path(name)
    if not path.exists():
        raise FileNotFoundError(f"There is no published model {path}.")
    folder = path if path.is_dir() else path.parent
    if not (folder / CONFIG).is_file():
        raise InputError(f"Expected a published model with {CONFIG} in {folder}, got none.")
    if (folder / MANIFEST).exists():
        raise InputError(
            f"Expected a published model in {folder}, got a checkpoint; quantize, prune and "
            "distill go on from one."
        )
    weights = None if path.is_dir() else path
    return Location(name=name, folder=folder, weights=weights)


def _downloaded(name: str) -> Location:
    """Downloads a repository of the hub into its cache, or finds it there."""
    repository, _, revision = name.removeprefix(HUB).partition("@")
    if not _ID.fullmatch(repository) or (not revision and name.endswith("@")):
        raise InputError(f"Expected {HUB}OWNER/NAME or {HUB}OWNER/NAME@REVISION, got {name!r}.")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise InputError(
            f"Expected huggingface_hub for {name}, which is not installed; install "
            "keras-transformer-zoo[hub], or give a folder."
        )
    folder = _snapshot(repository, revision, PATTERNS, name)
    if not (folder / CONFIG).is_file():
        raise InputError(f"Expected a published model with {CONFIG} in {name}, got none.")
    # Before a file of weights is asked for that would not be read.
    refuse_code(folder, name)
    if not (folder / WEIGHTS).is_file() and not (folder / INDEX).is_file():
        if importlib.util.find_spec("torch") is None:
            raise InputError(
                f"Expected safetensors in {name}, got none; a {PICKLED} is read where PyTorch is "
                "installed: keras-transformer-zoo[torch]."
            )
        folder = _snapshot(repository, folder.name, (*PATTERNS, PICKLED), name)
    if not _COMMIT.fullmatch(folder.name):
        raise InputError(f"Expected a commit of {name} in the cache of the hub, got {folder}.")
    return Location(
        name=f"{HUB}{repository}@{folder.name}", folder=folder, revision=folder.name
    )


def _snapshot(repository: str, revision: str, patterns: tuple[str, ...], name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=list(patterns))
        )
    except GatedRepoError:
        reason = "a gated model; accept its terms on the hub and set HF_TOKEN"
    except RepositoryNotFoundError:
        reason = "no such model, or a private one that needs HF_TOKEN"
    except RevisionNotFoundError:
        reason = f"no revision {revision!r}"
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        reason = "no connection to the hub and nothing in its cache; give a folder instead"
    except (HFValidationError, HfHubHTTPError) as error:
        reason = f"an error: {str(error).strip().splitlines()[0]}"
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(error.errno, f"no space left for {name} in the hub's cache") from None
        reason = f"an error: {error}"
    raise InputError(f"Expected the published model {name} from the hub, got {reason}.")


def refuse_code(folder: Path, name: str) -> None:
    """Raises InputError for a model whose layers are code in its repository."""
    if read_json(folder / CONFIG).get("auto_map"):
        raise InputError(
            f"Expected a model of known layers, got {name} with auto_map in {CONFIG}: code of a "
            "repository is never run."
        )


def licence_of(folder: Path) -> str:
    """Returns the licence in the front matter of a README.md, empty for none."""
    path = folder / "README.md"
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace")
    front = text.split("\n---", 1)[0] if text.startswith("---") else ""
    found = _LICENCE.search(front)
    return found.group(1) if found else ""
