"""Transformers in Keras for edge devices: models, training and verified TFLite conversion.

    import keras_transformer as kt

    checkpoint = kt.load("sentiment")
    checkpoint.predict(["a charming film"])

Models: `models`, `build`, `prepare`, `train`, `sweep`, `distributed`, `fuse`, `load`, `evaluate`,
and `Checkpoint`.
Compression: `prune`, `distill`, `quantize`. Deployment: `convert`, `fastest`, `mixed`, `Runner`,
`inspect`, `compare`, `significance`, `benchmark`, `search`, `sensitivity`. Layers, on TensorFlow,
JAX and PyTorch: `MultiHeadAttention`, `Encoder` and their sublayers.

Shapes in the docstrings use these letters: B batch, T target length, S source length, D hidden
width, H heads, KV key-value heads, K head width, F intermediate width, V vocabulary.

Names are imported lazily, on first access, so that `keras_transformer.edge.runtime` can be
imported on a device without Keras. `__init__.pyi` declares them for type checkers.
"""

import importlib

# Module -> the names imported from it.
_MODULES = {
    # Layers.
    "attention": ("MultiHeadAttention",),
    "blocks": ("DecoderBlock", "EncoderBlock"),
    "convolution": ("Convolution",),
    "convolutional_tokenizer": ("ConvolutionalTokenizer",),
    "dropout": ("Dropout", "StochasticDepth"),
    "embeddings": ("SegmentEmbedding", "TokenEmbedding"),
    "feedforward": ("FeedForward",),
    "low_rank": ("LowRankProjection",),
    "masks": ("attention_bias", "causal_bias"),
    "normalization": ("LayerNorm", "RMSNorm"),
    "positions": (
        "AlibiBias",
        "LearnedPositionalEncoding",
        "RelativePositionBias",
        "SinusoidalPositionalEncoding",
    ),
    "quantization": ("Projection", "QuantPoint"),
    "residual": ("Residual",),
    "rotary": ("RotaryEmbedding",),
    "stacks": ("Decoder", "Encoder"),
    # Models, their training and evaluation.
    "zoo.named": ("build", "models"),
    "zoo.models.config": ("TransformerConfig",),
    "zoo.recipe": ("Recipe",),
    "zoo.tasks.task": ("Task",),
    "zoo.tasks.classification": ("Classification",),
    "zoo.tasks.matching.contrastive": ("Contrastive",),
    "zoo.tasks.multi_label": ("MultiLabel",),
    "zoo.tasks.multi_task.multi_task": ("MultiTask",),
    "zoo.tasks.regression": ("Regression",),
    "zoo.tasks.embedding": ("Embedding",),
    "zoo.tasks.answering.question_answering": ("QuestionAnswering",),
    "zoo.tasks.tagging.token_classification": ("TokenClassification",),
    "zoo.tasks.masked.masked_language_modeling": ("MaskedLanguageModeling",),
    "zoo.tasks.transcription.transcription": ("Transcription",),
    "zoo.tasks.translation": ("Translation",),
    "zoo.tasks.language_modeling": ("LanguageModeling",),
    "zoo.distributed.devices": ("distributed",),
    "zoo.training.train": ("prepare", "train"),
    "zoo.sweep.sweep": ("sweep",),
    "zoo.fusion.fuse": ("fuse",),
    "zoo.checkpoint": ("Checkpoint",),
    "zoo.tasks.measure": ("evaluate",),
    "zoo.outputs": ("LabelSet", "Prediction", "Vector"),
    "zoo.answering.answers": ("Answer",),
    "zoo.masking.fills": ("Filled",),
    "zoo.masking.replacements": ("ReplacedPieces",),
    "zoo.tagging.decoding": ("Tagged", "TaggedSpan"),
    "zoo.progress": ("Report",),
    "zoo.errors": ("InputError", "RunError"),
    # Compression, conversion and deployment.
    "edge.load": ("load",),
    "edge.compress.prune": ("prune",),
    "edge.distill.distill": ("distill",),
    "edge.quantize.qat": ("quantize",),
    "edge.targets.convert": ("convert",),
    "edge.runtime.runner": ("Runner",),
    "edge.compare.compare": ("compare",),
    "edge.compare.significance": ("significance",),
    "edge.compare.inspect": ("inspect",),
    "edge.compare.benchmark": ("benchmark",),
    "edge.choose.fastest": ("fastest",),
    "edge.choose.mixed": ("mixed",),
    "edge.choose.search": ("search",),
    "edge.choose.sensitivity": ("sensitivity",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name):
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__():
    return __all__
