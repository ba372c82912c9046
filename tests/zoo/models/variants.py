"""Settings that between them have every form of a model, and the usual ones among them."""

import itertools

from keras_transformer.zoo.models.config_checks import CHOICES, POSITIONS
from tests.slow import mostly_slow

VARIANTS = [
    *({"positions": positions} for positions in POSITIONS),
    *({"pooling": pooling} for pooling in CHOICES["pooling"]),
    *({"norm": norm, "pre_norm": pre} for norm in CHOICES["norm"] for pre in (False, True)),
    *({"activation": activation, "gated": True} for activation in CHOICES["activation"]),
    {"num_key_value_heads": 1, "use_bias": False},
    {"num_segments": 0, "scale_embeddings": True},
    {"pooler": "none"},
]
ROTARY = {"positions": "rotary", "pre_norm": True, "num_layers": 2}
NEW_FORMS = [
    {
        **ROTARY,
        "norm": "rms_norm",
        "rope_theta": 500.0,
        "use_bias": False,
        "qkv_bias": True,
        "rope_scaling": {
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_length": 24,
        },
    },
    {
        **ROTARY,
        "norm": "rms_norm",
        "qk_norm": True,
        "sandwich_norms": True,
        "window": 3,
        "layer_pattern": "LG",
        "local_rope_theta": 100.0,
    },
    {**ROTARY, "rotary_fraction": 0.5, "parallel_residual": True},
    {**ROTARY, "embedding_norm": True, "first_norm": False, "window": 3, "layer_pattern": "GL"},
    {"position_bias": "t5", "embedding_norm": True},
]
OF_LOGITS = [{"tied_head": False}, {"logits_bias": True}, {"tied_head": False, "logits_bias": True}]
OF_ENCODERS = [
    {"embedding_dim": 8, "share_layers": True, "num_layers": 3},
    *({"pooler": pooler} for pooler in CHOICES["pooler"]),
]
# Pooling and segments are the encoder's; a block's parts are the same in all three.
ALL = [
    *(("encoder", changes) for changes in VARIANTS),
    *(("decoder", changes) for changes in VARIANTS if "positions" in changes),
    *(("encoder-decoder", changes) for changes in VARIANTS if {"positions", "norm"} & set(changes)),
    *(("encoder", changes) for changes in (*NEW_FORMS, *OF_ENCODERS)),
    *(("decoder", changes) for changes in (*NEW_FORMS, *OF_LOGITS)),
    *(("encoder-decoder", changes) for changes in (NEW_FORMS[-1], *OF_LOGITS)),
]


# Each choice by itself is slow; by default a case has one of every kind.
TOGETHER = [
    {"positions": positions, "pooling": pooling, "norm": norm, "pre_norm": pre_norm, **others}
    for positions, pooling, norm, pre_norm, others in zip(
        POSITIONS,
        itertools.cycle(CHOICES["pooling"]),
        itertools.cycle(CHOICES["norm"]),
        (False, True, True, False, False),
        (
            *({"activation": activation, "gated": True} for activation in CHOICES["activation"]),
            {"num_key_value_heads": 1, "use_bias": False, "scale_embeddings": True},
        ),
        strict=False,
    )
]
USUAL = [
    *(("encoder", changes) for changes in (*TOGETHER, OF_ENCODERS[0])),
    *(("decoder", changes) for changes in (*NEW_FORMS[:-1], TOGETHER[-1])),
    *(("encoder-decoder", changes) for changes in (NEW_FORMS[-1], OF_LOGITS[-1], TOGETHER[1])),
]
ALL += [case for case in USUAL if case not in ALL]
CASES = mostly_slow(ALL, USUAL)
