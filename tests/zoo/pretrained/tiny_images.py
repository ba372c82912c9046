"""A tiny random ViT of `transformers` with its outputs: what ours is compared with.

Run as a module it writes the reference of this folder, for machines without `transformers`:

    python -m tests.zoo.pretrained.tiny_images
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy

REFERENCE = Path(__file__).parent / "references" / "vit.safetensors"
SIDE, LABELS = 16, {0: "cat", 1: "dog", 2: "owl"}
# Of the pictures for which positions are interpolated.
LARGE = 24, 20
CONFIG = dict(
    model_type="vit", architectures=["ViTForImageClassification"], hidden_size=16,
    num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=SIDE,
    patch_size=4, num_channels=3, id2label=LABELS,
)  # fmt: skip
# Other numbers than those of any default, for each channel.
PREPROCESSOR = dict(
    do_resize=True, size={"height": 20, "width": 20}, resample=3, do_center_crop=True,
    crop_size={"height": SIDE, "width": SIDE}, do_rescale=True, rescale_factor=1 / 255,
    do_normalize=True, image_mean=[0.4, 0.45, 0.6], image_std=[0.2, 0.25, 0.3],
    image_processor_type="DeiTImageProcessor",
)  # fmt: skip


_KNOWN = ("pixels", "logits", "large_pixels", "large_logits")


def write(folder: Path) -> dict[str, np.ndarray]:
    """Writes the folder of the model, and returns the pixels and the logits of the reference.

    Those with `large_` before their names are of pictures of another size.
    """
    tensors = safetensors.numpy.load_file(REFERENCE)
    known = {name: tensors.pop(name) for name in _KNOWN}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return known


def main() -> None:
    """Writes the reference."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    model = ViTForImageClassification(ViTConfig(**CONFIG)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    mean, deviation = (np.array(PREPROCESSOR[f"image_{name}"]) for name in ("mean", "std"))
    known = {}
    for prefix, size in (("", (SIDE, SIDE)), ("large_", LARGE)):
        pixels = np.random.default_rng(0).integers(0, 256, (4, *size, 3), np.uint8)
        values = ((pixels / 255 - mean) / deviation).transpose(0, 3, 1, 2).astype(np.float32)
        with torch.no_grad():
            outputs = model(torch.tensor(values), interpolate_pos_encoding=bool(prefix))
        known |= {f"{prefix}pixels": pixels, f"{prefix}logits": outputs.logits.numpy()}
    with tempfile.TemporaryDirectory() as folder:
        # The names in files, which differ from those in memory.
        model.save_pretrained(folder)
        tensors = safetensors.numpy.load_file(Path(folder) / "model.safetensors")
    safetensors.numpy.save_file({**tensors, **known}, REFERENCE)


if __name__ == "__main__":
    main()
