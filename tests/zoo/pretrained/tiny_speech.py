"""A tiny random Whisper of `transformers` with its outputs: what ours is compared with.

Run as a module it writes the reference of this folder, for machines without `transformers`:

    python -m tests.zoo.pretrained.tiny_speech
"""

import json
import struct
import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy

REFERENCE = Path(__file__).parent / "references" / "whisper.safetensors"
SECONDS, POSITIONS, LONGEST = 0.4, 20, 16
SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|transcribe|>",
    "<|notimestamps|>",
)  # fmt: skip
IDS = {name: 256 + place for place, name in enumerate(SPECIAL)}
CONFIG = dict(
    model_type="whisper", architectures=["WhisperForConditionalGeneration"],
    vocab_size=256 + len(SPECIAL), d_model=16, encoder_layers=2, decoder_layers=2,
    encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24,
    num_mel_bins=20, max_source_positions=POSITIONS, max_target_positions=LONGEST,
    is_encoder_decoder=True, eos_token_id=256, bos_token_id=256, pad_token_id=256,
    decoder_start_token_id=257,
)  # fmt: skip
# Bytes of letters that are not written, and one that is not written first.
GENERATION = dict(
    is_multilingual=True, suppress_tokens=[40, 41, 258], begin_suppress_tokens=[220, 256],
)  # fmt: skip
PROMPT = [257, 258, 260, 261]
PREPROCESSOR = dict(
    feature_extractor_type="WhisperFeatureExtractor", feature_size=20, n_fft=400, hop_length=160,
    sampling_rate=16_000, padding_value=0.0,
)  # fmt: skip


def alphabet() -> list[str]:
    """The characters that stand for bytes in GPT-2's files, by id."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [one for one in range(256) if one not in own]
    return [*map(chr, own), *(chr(256 + place) for place in range(len(others)))]


def tokenizer() -> dict:
    """A tokenizer.json of single bytes and the special tokens."""
    added = [
        {"id": i, "content": name, "special": True, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
        for name, i in IDS.items()
    ]  # fmt: skip
    return {
        "added_tokens": added, "normalizer": None, "post_processor": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "model": {"type": "BPE", "vocab": {one: i for i, one in enumerate(alphabet())},
                  "merges": []},
    }  # fmt: skip


def write(folder: Path) -> dict[str, np.ndarray]:
    """Writes the folder of the model, and returns the sounds and the outputs of the reference."""
    tensors = safetensors.numpy.load_file(REFERENCE)
    known = {name: tensors.pop(name) for name in ("waveform", "mels", "ids", "logits", "written")}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    for name, values in (
        ("config", CONFIG), ("generation_config", GENERATION), ("tokenizer", tokenizer()),
        ("preprocessor_config", PREPROCESSOR),
    ):  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(values))
    return known


def write_ctranslate(folder: Path, dtype: str = "float16") -> None:
    """Writes the same model as CTranslate2 does, its weights in a type of floats."""
    tensors = safetensors.numpy.load_file(REFERENCE)
    own: dict[str, np.ndarray] = {
        "decoder/activation": np.int8(3), "decoder/alibi": np.int8(0),
        "decoder/alignment_layer": np.int16(-1), "decoder/pre_norm": np.int8(1),
        "decoder/scale_embeddings": np.int8(0), "encoder/num_heads": np.int16(2),
        "decoder/num_heads": np.int16(2),
    }  # fmt: skip
    names = {
        "decoder/embeddings/weight": "decoder.embed_tokens.weight",
        "decoder/position_encodings/encodings": "decoder.embed_positions.weight",
        "encoder/position_encodings/encodings": "encoder.embed_positions.weight",
    }
    for one in ("conv1", "conv2"):
        names |= {f"encoder/{one}/{end}": f"encoder.{one}.{end}" for end in ("weight", "bias")}
    joined: dict[str, list[str]] = {ours: [theirs] for ours, theirs in names.items()}
    for stack in ("encoder", "decoder"):
        parts = {"layer_norm": [f"{stack}.layer_norm"]}
        for i in range(2):
            layer = f"{stack}.layers.{i}"
            for part, name in (("self_attention", "self_attn"), ("attention", "encoder_attn")):
                if part == "attention" and stack == "encoder":
                    continue
                q, k, v, out = (f"{layer}.{name}.{one}_proj" for one in ("q", "k", "v", "out"))
                linear = [[q, k, v], [out]] if part == "self_attention" else [[q], [k, v], [out]]
                for number, theirs in enumerate(linear):
                    parts[f"layer_{i}/{part}/linear_{number}"] = theirs
                parts[f"layer_{i}/{part}/layer_norm"] = [f"{layer}.{name}_layer_norm"]
            for number in (0, 1):
                parts[f"layer_{i}/ffn/linear_{number}"] = [f"{layer}.fc{number + 1}"]
            parts[f"layer_{i}/ffn/layer_norm"] = [f"{layer}.final_layer_norm"]
        for part, theirs in parts.items():
            ends = ("gamma", "beta") if part.endswith("norm") else ("weight", "bias")
            for end, other in zip(ends, ("weight", "bias"), strict=True):
                joined[f"{stack}/{part}/{end}"] = [f"{one}.{other}" for one in theirs]
    for ours, theirs in joined.items():
        found = [
            tensors.get(f"model.{one}", np.zeros(16, np.float32)) for one in theirs
        ]  # keys have no bias
        own[ours] = np.concatenate(found).astype(dtype)
    (folder / "model.bin").write_bytes(packed(own))
    (folder / "config.json").write_text(
        json.dumps({"suppress_ids": [40, 41], "suppress_ids_begin": [220, 256]})
    )
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))


def packed(variables: dict[str, np.ndarray], version: int = 6) -> bytes:
    """The bytes of a model.bin."""
    kinds = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}

    def text(value: str) -> bytes:
        data = value.encode() + b"\0"
        return struct.pack("<H", len(data)) + data

    data = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<I", 3)
    data += struct.pack("<I", len(variables))
    for name, value in variables.items():
        value = np.asarray(value)
        data += text(name) + struct.pack("<B", value.ndim)
        data += struct.pack(f"<{value.ndim}I", *value.shape)
        data += struct.pack("<BI", kinds[str(value.dtype)], value.nbytes) + value.tobytes()
    alias = text("decoder/projection/weight") + text("decoder/embeddings/weight")
    return data + struct.pack("<I", 1) + alias


def sounds() -> np.ndarray:
    """Two whole windows and one that is silent after its first half."""
    rng, samples = np.random.default_rng(0), int(16_000 * SECONDS)
    time = np.arange(samples) / 16_000
    rows = [
        0.3 * np.sin(2 * np.pi * (300 * time + 1500 * time**2)), rng.normal(0, 0.1, samples),
        0.2 * np.sin(2 * np.pi * 700 * time) * (time < SECONDS / 2),
    ]  # fmt: skip
    return np.array(rows, np.float32)


def main() -> None:
    """Writes the reference."""
    import torch
    from transformers import (
        GenerationConfig,
        GenerationMixin,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    torch.manual_seed(0)
    own = {name: value for name, value in CONFIG.items() if name != "model_type"}
    model = WhisperForConditionalGeneration(WhisperConfig(**own)).eval()
    fixed = model.model.encoder.embed_positions.weight
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter is not fixed:
                parameter.add_(0.4 * torch.randn_like(parameter))
    waveform = sounds()
    extractor = WhisperFeatureExtractor(feature_size=20, chunk_length=1)
    extractor.n_samples = waveform.shape[1]
    mels = extractor(
        list(waveform), sampling_rate=16_000, return_tensors="pt", padding="longest",
        truncation=False,
    ).input_features  # fmt: skip
    ids = np.random.default_rng(1).integers(0, 256, (3, LONGEST))
    ids[:, : len(PROMPT)] = PROMPT
    settings = GenerationConfig(
        decoder_start_token_id=257, eos_token_id=256, pad_token_id=256, max_length=LONGEST,
        suppress_tokens=[40, 41, 258], begin_suppress_tokens=[220, 256],
    )  # fmt: skip
    with torch.no_grad():
        logits = model(input_features=mels, decoder_input_ids=torch.tensor(ids)).logits
        # The plain loop: Whisper's own looks for languages and times.
        written = GenerationMixin.generate(
            model, mels, generation_config=settings, decoder_input_ids=torch.tensor([PROMPT] * 3)
        )
    with tempfile.TemporaryDirectory() as folder:
        # The names in files, which differ from those in memory.
        model.save_pretrained(folder)
        tensors = safetensors.numpy.load_file(Path(folder) / "model.safetensors")
    known = {
        "waveform": waveform, "mels": mels.numpy().transpose(0, 2, 1).copy(), "ids": ids,
        "logits": logits.numpy(), "written": written.numpy()[:, len(PROMPT) :].copy(),
    }  # fmt: skip
    safetensors.numpy.save_file({**tensors, **known}, REFERENCE)


if __name__ == "__main__":
    main()
