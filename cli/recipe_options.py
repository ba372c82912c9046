"""The options of `train` that are those of a recipe."""

from collections.abc import Callable, Collection

import click

from keras_transformer.cli import kinds
from keras_transformer.zoo.recipe import CHOICES, OPTIONS

# Option of a recipe -> help; the command's option has its name with dashes, default and choices.
FIELDS = {
    "tokenizer": "Kind of tokenizer; auto selects wordpiece, or sentencepiece for scripts without "
    "spaces between words. For a translation sentencepiece, for language-modeling characters by "
    "default.",
    "vocab_size": "Largest size of the vocabulary that is learned from the training file.",
    "vocabulary_rows": "Number of rows, evenly spaced, of which a vocabulary is learned at most.",
    "normalization": "Normalization before sentencepiece: nfkc folds compatibility characters, "
    "identity changes nothing (the default of models that write).",
    "max_length": "Largest length in tokens, special ones included; longer texts are cut and "
    "counted.",
    "stride": "Number of tokens that neighbouring windows of a text longer than --max-length have "
    "in common, as transformers counts it (token-classification and question-answering); 0 for a "
    "quarter of a window.",
    "optimizer": "Optimizer; momentum is SGD with momentum 0.9.",
    "learning_rate": "Peak learning rate.",
    "schedule": "Schedule of the learning rate after the warm-up.",
    "warmup": "Share of the steps in which the learning rate rises from zero.",
    "epochs": "Largest number of passes over the training data.",
    "steps": "Number of steps, in place of --epochs; 0 for as many as the epochs have.",
    "accumulate": "Number of batches whose mean gradient makes one change of the weights; each "
    "counts as a step.",
    "patience": "Epochs without a better validation metric until the run stops; 0 for never.",
    "batch_tokens": "Batch size in tokens, padding included; auto for the largest power of two "
    "that fits in memory and leaves 16 steps an epoch, which the recipe records.",
    "bucket": "Divisor of padded lengths.",
    "loss_chunk": "Number of tokens whose logits over the vocabulary are held at once in training "
    "(language-modeling, masked-language-modeling, translation, transcription), which changes the "
    "loss only in its rounding; 0 for those of a whole batch.",
    "rows_multiple": "Divisor of the number of rows of each batch, but of one of each length; the "
    "replicas of --distribute have to divide it (8 there by default).",
    "label_smoothing": "Share of the target spread over all classes or tokens (0.1 for a "
    "translation by default).",
    "token_dropout": "Share of the training tokens that are replaced by [MASK].",
    "piece_dropout": "Probability, at each piece, of splitting a training word further.",
    "augment": "How training data are changed at random, with commas between: images flip, crop, "
    "randaugment, erase, mixup, cutmix; sounds shift, level, noise, mask, "
    "frequency.",
    "class_weights": "Whether rare labels are weighed up in the loss: balanced weighs labels by "
    "the inverse of their number of training rows.",
    "focal": "Exponent of the focal loss, which counts less what is predicted well; 0 for the "
    "cross entropy.",
    "scope_score": "Score that --out-of-scope finds a threshold of: the largest probability, the "
    "energy or the largest logit.",
    "mask_share": "Share of the tokens that masked-language-modeling hides.",
    "scope_weight": "Weight of the share of --out-of-scope rows that are rejected beside the share "
    "of validation rows that are answered rightly; below 1 for fewer rejections.",
    "objective": "What an embedding learns: scores of pairs, or ranking of pairs that match, "
    "which have none; what masked-language-modeling learns: masked words (its default), or "
    "which words a small generator replaced.",
    "loss_weights": "Weights of the losses of several tasks: those of the table, or times what is "
    "learned of each task's uncertainty.",
    "sampling_power": "Power of the tasks' sizes by which batches of several tasks are drawn: 1 "
    "for every row once in an epoch, 0 for as many batches of each.",
    "widths": "Numbers of an embedding's first values that are to do alone, such as 64,128.",
    "vector_dim": "Width of the vectors of rows of two kinds that match (contrastive only).",
    "separator": "Character between the labels of a row (multi-label only).",
    "weight_decay": "Decoupled weight decay (adamw only).",
    "l1": "L1 penalty on the kernels of projections.",
    "l2": "L2 penalty on the kernels of projections.",
    "clip_norm": "Largest global norm of the gradients; 0 for no clipping.",
    "beta_2": "Adam's decay rate of the mean squared gradient.",
    "layer_decay": "Factor of the learning rate of each block over that of the next one towards "
    "the output; embeddings have the smallest rate. 1 for equal rates.",
    "average": "Number of last epochs whose mean weights are validated and kept; 0 for none.",
    "ema": "Decay of the moving average of weights that is validated and kept; 0 for no averaging.",
    "seed": "Random seed; the same seed on the same machine gives the same weights.",
    "freeze": "Weights that stay as they are: path patterns, separated by commas, such as "
    "embeddings,encoder/block_[0-3].",
    "lora": "Rank of the adapters that are trained, with the head, in place of the other weights "
    "of a published model; 0 to train the weights themselves.",
    "lora_layers": "Layers that have the adapters of --lora: patterns of their paths, or of "
    "their ends, separated by commas, such as query,value or feed_forward; * for all kernels "
    "of the blocks.",
    "save_every": "Number of steps between saved states; a state is also saved after each epoch.",
}
# Option of a recipe, the flags that turn it on and off, help.
SWITCHES = (
    ("lowercase", "--uncased", "--cased",
     "Whether case is folded (the default of tasks over whole texts) or kept."),
    ("strip_accents", "--strip-accents", "--keep-accents",
     "Whether accents are removed (the default of tasks over whole texts) or kept."),
    ("shared_vocabulary", "--shared-vocabulary", "--separate-vocabularies",
     "Whether source and target of a translation share one vocabulary (the default)."),
    ("adapter", "--adapter", "--no-adapter",
     "Whether --out holds the adapters of --lora and the head alone, which are opened with the "
     "published model that they belong to, or all weights with the adapters merged (the default)."),
    ("calibrate", "--calibrate", "--no-calibrate",
     "Whether the probabilities of a classification are calibrated on the validation data (the "
     "default)."),
    ("xla", "--xla", "--no-xla", "Whether steps are compiled with XLA (by default not)."),
    ("whole_batches", "--whole-batches", "--no-whole-batches",
     "Whether the rows that are left of a padded length, after full batches, are padded to the "
     "next one, so that JAX compiles a step for each length and one more (by default not)."),
    ("remat", "--remat", "--no-remat",
     "Whether training computes the insides of the blocks twice rather than hold them: less memory "
     "for more time (by default not)."),
    ("flash_attention", "--flash-attention", "--no-flash-attention",
     "Whether attention in training is cuDNN's kernel, which holds no scores: on JAX and an NVIDIA "
     "GPU, with --mixed-precision and --set attention_dropout=0 (by default not)."),
)  # fmt: skip


# Options that the training rows of a classification decide by default.
BY_DATA = ("vocab_size", "max_length", "learning_rate", "epochs", "label_smoothing",
           "token_dropout")  # fmt: skip


def recipe_options(command: Callable) -> Callable:
    """Adds an option for each entry of the two tables; one that is not given is None."""
    return chosen_options(FIELDS, [name for name, *_ in SWITCHES])(command)


def chosen_options(
    fields: Collection[str], switches: Collection[str]
) -> Callable[[Callable], Callable]:
    """Returns a function that adds some of the options to a command.

    Args:
        fields, switches: names in the two tables.
    """
    return lambda command: _added(command, fields, switches)


def _added(command: Callable, fields: Collection[str], switches: Collection[str]) -> Callable:
    for name, on, off, text in reversed(SWITCHES):
        if name in switches:
            command = click.option(f"{on}/{off}", name, default=None, help=text)(command)
    for name, text in reversed(FIELDS.items()):
        if name not in fields:
            continue
        kind = kinds.of_kind(OPTIONS[name].kind)
        kind = click.Choice(CHOICES[name]) if name in CHOICES else kind
        kind = kinds.TokensOrAuto() if name == "batch_tokens" else kind
        by_data = "; by the data for a classification" if name in BY_DATA else ""
        add = click.option(
            f"--{name.replace('_', '-')}", name, type=kind,
            help=f"{text}  [default: {OPTIONS[name].default}{by_data}]",
        )  # fmt: skip
        command = add(command)
    return command
