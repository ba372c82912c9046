"""Tiny random models of `transformers`, with their outputs: what ours are compared with.

Run as a module it writes the references of this folder, for machines without `transformers`:

    python -m tests.zoo.pretrained.tiny
"""

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

REFERENCES = Path(__file__).parent / "references"
VOCAB, LONGEST, WIDTH = 64, 12, 16
WORDPIECE = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(VOCAB - 5))]
# Id of the first token that is not special in any model here.
FIRST = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiny:
    """A model of `transformers`.

    Attributes:
        kind: name of its class.
        config: name of its config's class.
        settings: arguments of the config.
        output: name of the output that is compared; `pooled` for the mean of the last states,
            `spans` for the logits of begin and end.
        pad: published id of padding, None for none.
        untied: whether the head gets a kernel of its own where the config does not give it one.
    """

    kind: str
    config: str
    settings: Mapping[str, Any]
    output: str = "logits"
    pad: int | None = 0
    untied: bool = False

    @property
    def starts_with_pad(self) -> bool:
        """Whether a decoder's first token is the padding."""
        start = self.settings.get("decoder_start_token_id")
        return start is not None and start == self.pad

    @property
    def rows(self) -> np.ndarray:
        """Published row of each of our ids, as `read_tokenizer` arranges them."""
        rows = list(range(VOCAB))
        if self.pad is None:
            rows = [-1, *rows]
        else:
            rows[0], rows[self.pad] = rows[self.pad], rows[0]
        return np.array([*rows, *([self.pad] if self.starts_with_pad else [])], np.int32)


_BERT = dict(
    vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=24, max_position_embeddings=LONGEST,
)  # fmt: skip
_ROBERTA = {
    **_BERT, "max_position_embeddings": LONGEST + 2, "type_vocab_size": 1, "pad_token_id": 1,
    "layer_norm_eps": 1e-5,
}  # fmt: skip
_LABELS = {"id2label": {0: "bad", 1: "fair", 2: "good"}}
_TAGS = {"id2label": {0: "O", 1: "B-LOC", 2: "I-LOC", 3: "I-PER"}}
_DISTILBERT = dict(
    vocab_size=VOCAB, dim=WIDTH, n_layers=2, n_heads=2, hidden_dim=24,
    max_position_embeddings=LONGEST,
)  # fmt: skip
_LLAMA = dict(
    vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=LONGEST,
    pad_token_id=0, bos_token_id=1, eos_token_id=2,
)  # fmt: skip
_LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 24,
}  # fmt: skip
_T5 = dict(
    vocab_size=VOCAB, d_model=WIDTH, d_kv=6, d_ff=24, num_layers=2, num_decoder_layers=2,
    num_heads=2, decoder_start_token_id=0,
)  # fmt: skip
MODELS = {
    "bert": Tiny(kind="BertModel", config="BertConfig", settings=_BERT, output="pooler_output"),
    "bert_classes": Tiny(
        kind="BertForSequenceClassification", config="BertConfig", settings={**_BERT, **_LABELS}
    ),
    "bert_masked": Tiny(kind="BertForMaskedLM", config="BertConfig", settings=_BERT),
    "bert_tags": Tiny(
        kind="BertForTokenClassification", config="BertConfig", settings={**_BERT, **_TAGS}
    ),
    "bert_answers": Tiny(
        kind="BertForQuestionAnswering", config="BertConfig", settings=_BERT, output="spans"
    ),
    "distilbert_answers": Tiny(
        kind="DistilBertForQuestionAnswering", config="DistilBertConfig", settings=_DISTILBERT,
        output="spans",
    ),
    "roberta_answers": Tiny(
        kind="RobertaForQuestionAnswering", config="RobertaConfig", settings=_ROBERTA,
        output="spans", pad=1,
    ),
    "electra_small_tags": Tiny(
        kind="ElectraForTokenClassification", config="ElectraConfig",
        settings={**_BERT, **_TAGS, "embedding_size": 8},
    ),
    "distilbert": Tiny(
        kind="DistilBertModel", config="DistilBertConfig", output="pooled", settings=_DISTILBERT
    ),
    "roberta": Tiny(
        kind="RobertaModel", config="RobertaConfig", settings=_ROBERTA, output="pooler_output",
        pad=1,
    ),
    "xlm_roberta_classes": Tiny(
        kind="XLMRobertaForSequenceClassification", config="XLMRobertaConfig",
        settings={**_ROBERTA, **_LABELS}, pad=1,
    ),
    "roberta_masked": Tiny(
        kind="RobertaForMaskedLM", config="RobertaConfig", settings=_ROBERTA, pad=1
    ),
    "electra": Tiny(
        kind="ElectraModel", config="ElectraConfig", output="pooled",
        settings={**_BERT, "embedding_size": WIDTH},
    ),
    "gpt2": Tiny(
        kind="GPT2LMHeadModel", config="GPT2Config", pad=None,
        settings=dict(
            vocab_size=VOCAB, n_embd=WIDTH, n_layer=2, n_head=2, n_positions=LONGEST,
            bos_token_id=0, eos_token_id=0,
        ),
    ),
    "opt": Tiny(
        kind="OPTForCausalLM", config="OPTConfig", pad=1,
        settings=dict(
            vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
            ffn_dim=24, max_position_embeddings=LONGEST, word_embed_proj_dim=WIDTH,
        ),
    ),
    "t5": Tiny(kind="T5ForConditionalGeneration", config="T5Config", settings=_T5),
    "t5_untied": Tiny(
        kind="T5ForConditionalGeneration", config="T5Config", untied=True,
        settings={**_T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "t5_unscaled": Tiny(
        kind="T5ForConditionalGeneration", config="T5Config",
        settings={**_T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "mt5": Tiny(
        kind="MT5ForConditionalGeneration", config="MT5Config", settings=_T5, untied=True
    ),
    "llama": Tiny(
        kind="LlamaForCausalLM", config="LlamaConfig",
        settings={**_LLAMA, "tie_word_embeddings": False, "head_dim": 6},
    ),
    "llama3": Tiny(
        kind="LlamaForCausalLM", config="LlamaConfig",
        settings={**_LLAMA, "tie_word_embeddings": True, "rope_parameters": _LLAMA3},
    ),
    "qwen2": Tiny(
        kind="Qwen2ForCausalLM", config="Qwen2Config",
        settings={
            **_LLAMA, "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
    ),
    "qwen3": Tiny(
        kind="Qwen3ForCausalLM", config="Qwen3Config",
        settings={**_LLAMA, "tie_word_embeddings": True, "head_dim": 8},
    ),
    "gemma3": Tiny(
        kind="Gemma3ForCausalLM", config="Gemma3TextConfig",
        settings={
            **_LLAMA, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 4,
            "num_hidden_layers": 3,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        },
    ),
    "pythia": Tiny(
        kind="GPTNeoXForCausalLM", config="GPTNeoXConfig",
        settings=dict(
            vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=24, max_position_embeddings=LONGEST,
        ),
    ),
    "mpnet": Tiny(
        kind="MPNetModel", config="MPNetConfig", output="pooler_output", pad=1,
        settings={**_BERT, "max_position_embeddings": LONGEST + 2},
    ),
    "albert": Tiny(
        kind="AlbertModel", config="AlbertConfig", output="pooler_output",
        settings={**_BERT, "embedding_size": 8, "num_hidden_layers": 3},
    ),
    "albert_masked": Tiny(
        kind="AlbertForMaskedLM", config="AlbertConfig",
        settings={**_BERT, "embedding_size": 8, "num_hidden_layers": 3},
    ),
    "electra_small": Tiny(
        kind="ElectraForSequenceClassification", config="ElectraConfig",
        settings={**_BERT, **_LABELS, "embedding_size": 8},
    ),
    "distilbert_classes": Tiny(
        kind="DistilBertForSequenceClassification", config="DistilBertConfig",
        settings={**_DISTILBERT, **_LABELS},
    ),
    "distilbert_masked": Tiny(
        kind="DistilBertForMaskedLM", config="DistilBertConfig", settings=_DISTILBERT
    ),
    "modernbert": Tiny(
        kind="ModernBertModel", config="ModernBertConfig", output="pooled",
        settings=dict(
            vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=4,
            num_attention_heads=2, max_position_embeddings=LONGEST, local_attention=6,
            pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3,
        ),
    ),
    "bart": Tiny(
        kind="BartForConditionalGeneration", config="BartConfig", pad=1,
        settings=dict(
            vocab_size=VOCAB, d_model=WIDTH, encoder_layers=2, decoder_layers=2,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=24,
            decoder_ffn_dim=24, max_position_embeddings=LONGEST,
        ),
    ),
    "marian": Tiny(
        kind="MarianMTModel", config="MarianConfig", pad=VOCAB - 1,
        settings=dict(
            vocab_size=VOCAB, d_model=WIDTH, encoder_layers=2, decoder_layers=2,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=24,
            decoder_ffn_dim=24, max_position_embeddings=LONGEST, activation_function="swish",
            scale_embedding=True, pad_token_id=VOCAB - 1, decoder_start_token_id=VOCAB - 1,
            decoder_vocab_size=VOCAB, eos_token_id=1, forced_eos_token_id=1,
        ),
    ),
}  # fmt: skip


def make(name: str, folder: Path) -> dict[str, np.ndarray]:
    """Writes a random model into a folder, and returns inputs and outputs."""
    import torch
    import transformers

    tiny = MODELS[name]
    torch.manual_seed(0)
    config = getattr(transformers, tiny.config)(**tiny.settings)
    model = getattr(transformers, tiny.kind)(config).eval()
    if tiny.untied:
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) * 0.2)
    with torch.no_grad():
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_()
        for parameter in model.parameters():
            # Wider than at the start of a training: nothing may hide behind small numbers.
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDPIECE) + "\n")
    inputs = rows(tiny)
    with torch.no_grad():
        outputs = model(**{key: torch.tensor(value) for key, value in inputs.items()})
    if tiny.output == "pooled":
        mask = inputs["attention_mask"][..., None]
        expected = (outputs[0].numpy() * mask).sum(1) / mask.sum(1)
    elif tiny.output == "spans":
        expected = torch.stack([outputs.start_logits, outputs.end_logits], -1).numpy()
    else:
        expected = outputs[tiny.output].numpy()
    return {**inputs, "expected": expected}


def rows(tiny: Tiny) -> dict[str, np.ndarray]:
    """A row of the longest length, a pair that is padded, and a short row."""
    rng = np.random.default_rng(1)
    lengths = (LONGEST, LONGEST - 3, 4)
    # Not the last id, which may be padding.
    ids = rng.integers(FIRST, VOCAB - 1, (3, LONGEST))
    mask = np.arange(LONGEST) < np.array(lengths)[:, None]
    pad = tiny.pad or 0
    values = {"input_ids": np.where(mask, ids, pad), "attention_mask": mask.astype("int64")}
    if tiny.config in ("BertConfig", "ElectraConfig", "AlbertConfig"):
        values["token_type_ids"] = np.zeros_like(ids)
        if not tiny.kind.endswith("ForTokenClassification"):
            values["token_type_ids"][1, 5 : lengths[1]] = 1
    if tiny.kind.endswith(("ConditionalGeneration", "MTModel")):
        target = rng.integers(FIRST, VOCAB - 1, (3, LONGEST - 2))
        target[:, 0] = pad if tiny.starts_with_pad else tiny.settings.get("eos_token_id", 2)
        values["decoder_input_ids"] = target
    return values


def write_references(names: list[str]) -> None:
    """Writes the folder of each model."""
    for name in names or MODELS:
        folder = REFERENCES / name
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            key: value.astype("float32" if key == "expected" else "int32")
            for key, value in make(name, folder).items()
        }
        safetensors.numpy.save_file(arrays, folder / "expected.safetensors")
        (folder / "generation_config.json").unlink(missing_ok=True)
        for file in folder.iterdir():
            file.chmod(0o644)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    write_references(sys.argv[1:])
