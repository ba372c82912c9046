"""Tiny random models of `transformers`, with their outputs: what ours are compared with.

Run as a script it writes the references of this folder, for machines without `transformers`:

    python -m tests.zoo.pretrained.tiny
"""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy

REFERENCES = Path(__file__).parent / "references"
VOCAB, LONGEST, WIDTH, PAD = 64, 12, 16, "pad"
_BERT = dict(
    vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=24, max_position_embeddings=LONGEST,
)  # fmt: skip
# Name -> class of transformers, its config, the output that is compared.
MODELS = {
    "bert": ("BertModel", "BertConfig", _BERT, "pooler_output"),
    "bert_classes": (
        "BertForSequenceClassification", "BertConfig",
        {**_BERT, "id2label": {0: "bad", 1: "fair", 2: "good"}}, "logits",
    ),
}  # fmt: skip
WORDPIECE = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(VOCAB - 5))]


def make(name: str, folder: Path) -> dict[str, np.ndarray]:
    """Writes a random model into a folder, and returns inputs and outputs."""
    import torch
    import transformers

    kind, config, settings, output = MODELS[name]
    torch.manual_seed(0)
    model = getattr(transformers, kind)(getattr(transformers, config)(**settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Wider than at the start of a training: nothing may hide behind small numbers.
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDPIECE) + "\n")
    inputs = rows(model.config.pad_token_id or 0)
    with torch.no_grad():
        outputs = model(**{key: torch.tensor(value) for key, value in inputs.items()})
    return {**inputs, "expected": outputs[output].numpy()}


def rows(pad: int) -> dict[str, np.ndarray]:
    """A row of the longest length, a pair that is padded, and a short row."""
    rng = np.random.default_rng(1)
    lengths = (LONGEST, LONGEST - 3, 4)
    ids = rng.integers(5, VOCAB, (3, LONGEST))
    mask = np.arange(LONGEST) < np.array(lengths)[:, None]
    segments = np.zeros_like(ids)
    segments[1, 5 : lengths[1]] = 1
    return {
        "input_ids": np.where(mask, ids, pad), "attention_mask": mask.astype("int64"),
        "token_type_ids": segments,
    }  # fmt: skip


def write_references() -> None:
    """Writes the folder of each model."""
    for name in MODELS:
        folder = REFERENCES / name
        folder.mkdir(parents=True, exist_ok=True)
        arrays = make(name, folder)
        arrays = {
            key: value.astype("float32" if key == "expected" else "int32")
            for key, value in arrays.items()
        }
        safetensors.numpy.save_file(arrays, folder / "expected.safetensors")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    write_references()
