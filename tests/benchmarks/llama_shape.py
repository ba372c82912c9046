"""A language model of SmolLM2-135M's shape with random weights, for what only times and memory say.

    python tests/benchmarks/llama_shape.py llama_135m
    python tests/benchmarks/llama_shape.py gguf --type Q8_0 --type Q4_1

Writes a folder as transformers does: 30 blocks of width 576, 9 heads over 3 of keys and values, an
intermediate width of 1536, 49,152 pieces, tied, 135 million parameters. With a type it writes the
same weights for llama.cpp (`pip install gguf`). The table has Q8_0 at least, as in the files that
llama.cpp quantizes to types of 4 bits: it is the kernel of the logits, and 576 is no multiple of
the 256 that its larger blocks need.
"""

import json
from pathlib import Path

import click
import numpy as np

WIDTH, INNER, HEADS, KEY_HEADS, VOCABULARY, LONGEST = 576, 1536, 9, 3, 49152, 2048
HEAD = WIDTH // HEADS
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# Names of llama.cpp by those of transformers.
GGUF_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip


def weights(blocks: int) -> dict[str, np.ndarray]:
    """Returns the weights by the names of transformers, kernels with the outputs first."""
    random, keys = np.random.default_rng(0), KEY_HEADS * HEAD

    def normal(*shape):
        values = random.standard_normal(shape, np.float32)
        values /= np.float32(np.sqrt(shape[-1]))
        return values

    # Logits so small that no choice is clear, or rounding to 4 bits would be refused.
    found = {"model.embed_tokens.weight": normal(VOCABULARY, WIDTH) / 4}
    for block in range(blocks):
        place = f"model.layers.{block}"
        shapes = {
            "input_layernorm": (WIDTH,), "self_attn.q_proj": (WIDTH, WIDTH),
            "self_attn.k_proj": (keys, WIDTH), "self_attn.v_proj": (keys, WIDTH),
            "self_attn.o_proj": (WIDTH, WIDTH), "post_attention_layernorm": (WIDTH,),
            "mlp.gate_proj": (INNER, WIDTH), "mlp.up_proj": (INNER, WIDTH),
            "mlp.down_proj": (WIDTH, INNER),
        }  # fmt: skip
        for name, shape in shapes.items():
            is_norm = len(shape) == 1
            values = np.ones(shape, np.float32) if is_norm else normal(*shape)
            found[f"{place}.{name}.weight"] = values
    found["model.norm.weight"] = np.ones(WIDTH, np.float32)
    return found


def pieces() -> tuple[list[str], list[str]]:
    """Returns byte-level pieces, the special ones first, and the merges that make them."""
    codes = [*range(33, 127), *range(161, 173), *range(174, 256)]
    codes += [256 + place for place in range(256 - len(codes))]
    found = dict.fromkeys([*SPECIAL, *map(chr, codes)])
    letters, merges = [chr(code) for code in codes], []
    for left in letters:
        for right in letters:
            if len(found) < VOCABULARY and left + right not in found:
                found[left + right] = None
                merges.append(f"{left} {right}")
    return list(found), merges


def write_folder(folder: Path, blocks: int) -> None:
    """Writes config.json, model.safetensors and the tokenizer."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": INNER,
        "num_hidden_layers": blocks, "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS, "max_position_embeddings": LONGEST,
        "rms_norm_eps": 1e-5, "rope_theta": 100000.0, "tie_word_embeddings": True,
        "attention_bias": False, "mlp_bias": False, "bos_token_id": 1, "eos_token_id": 2,
        "pad_token_id": 2, "torch_dtype": "float32",
    }  # fmt: skip
    names, merges = pieces()
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": True}  # fmt: skip
    tokenizer = {
        "version": "1.0",
        "added_tokens": [
            {"id": place, "content": name, "special": True, "single_word": False,
             "lstrip": False, "rstrip": False, "normalized": False}
            for place, name in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True}, level,
        ]},
        "post_processor": None, "decoder": level,
        "model": {"type": "BPE", "vocab": {name: place for place, name in enumerate(names)},
                  "merges": merges, "ignore_merges": False, "byte_fallback": False},
    }  # fmt: skip
    named = {"bos_token": SPECIAL[1], "eos_token": SPECIAL[2], "pad_token": SPECIAL[2],
             "unk_token": SPECIAL[0], "tokenizer_class": "GPT2Tokenizer"}  # fmt: skip
    for name, values in (
        ("config", config), ("tokenizer", tokenizer), ("tokenizer_config", named),
    ):  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")
    save_file(weights(blocks), str(folder / "model.safetensors"), {"format": "pt"})


def write_gguf(path: Path, blocks: int, kind: str) -> None:
    """Writes the same weights for llama.cpp, the kernels in a type of its."""
    import gguf
    from gguf import quants

    kernel = gguf.GGMLQuantizationType[kind]
    wide = kernel if kind in ("F32", "F16") else gguf.GGMLQuantizationType.Q8_0
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(LONGEST)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(blocks)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(100000.0)
    writer.add_rope_dimension_count(HEAD)
    writer.add_vocab_size(VOCABULARY)
    names, merges = pieces()
    kinds = [gguf.TokenType.CONTROL] * len(SPECIAL)
    kinds += [gguf.TokenType.NORMAL] * (len(names) - len(SPECIAL))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, values in weights(blocks).items():
        stored = kernel
        if name == "model.embed_tokens.weight":
            own, stored = "token_embd.weight", wide
        elif name == "model.norm.weight":
            own = "output_norm.weight"
        else:
            _, _, block, place = name.removesuffix(".weight").split(".", 3)
            own = f"blk.{block}.{GGUF_NAMES[place]}.weight"
            if place in ("self_attn.q_proj", "self_attn.k_proj"):
                # Its rotations turn neighbours, those of transformers the halves of a head.
                halves = values.reshape(-1, 2, HEAD // 2, WIDTH)
                values = np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)
        if values.ndim == 1:
            stored = gguf.GGMLQuantizationType.F32
        writer.add_tensor(own, quants.quantize(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--type", "types", multiple=True, help="Type of llama.cpp; may be repeated.")
@click.option("--blocks", default=30, show_default=True)
def main(folder: Path, types: tuple[str, ...], blocks: int) -> None:
    if not types:
        write_folder(folder, blocks)
    for kind in types:
        folder.mkdir(parents=True, exist_ok=True)
        write_gguf(folder / f"{kind}.gguf", blocks, kind)


if __name__ == "__main__":
    main()
