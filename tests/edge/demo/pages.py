"""Stand-ins for what a demo is made of: files without a model, and LiteRT.js without its code."""

from pathlib import Path

from keras_transformer.edge.runtime.packed import pack
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig

FLATBUFFER = b"\x20\0\0\0TFL3" + bytes(range(60))
LITERTJS_FILES = (
    "core/package.json",
    "core/dist/index.js",
    "core/wasm/litert_wasm_internal.js",
    "core/wasm/litert_wasm_internal.wasm",
    "core/wasm/litert_wasm_compat_internal.js",
    "core/wasm/litert_wasm_compat_internal.wasm",
    "wasm-utils/package.json",
    "wasm-utils/dist/index.js",
)


def write_model(
    path, *, labels=b"no\nyes\n", task="classification", max_length=16, kind="bytes",
    target="plain", modality="text", settings=None,
):  # fmt: skip
    """Writes a file as `convert` does, but for its model."""
    tokenizer = Tokenizer(TokenizerConfig(kind=kind), vocabulary_of(kind))
    description = {
        "task": {"name": task, "pair": False}, "max_length": max_length, "precision": "float32",
        "target": target, "modality": modality, "model": {"modality_settings": settings or {}},
    }  # fmt: skip
    path.write_bytes(pack(FLATBUFFER, description, {"labels.txt": labels, **tokenizer.to_files()}))
    return path


def vocabulary_of(kind):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return () if kind == "bytes" else [*special, "a", "b"]


def install_litertjs(folder: Path) -> Path:
    """Writes the files of LiteRT.js that a page loads, each holding its own name."""
    for name in LITERTJS_FILES:
        path = folder / "node_modules" / "@litertjs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return folder
