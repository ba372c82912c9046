"""Published models of a design: their config.json, and the names and layouts of their weights."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Self

from keras_transformer.zoo.errors import InputError

# Values of `hidden_act` and its like, by our names.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
# Ends of the names of classes with outputs at each position.
OF_TAGS, OF_ANSWERS = "ForTokenClassification", "ForQuestionAnswering"
# Keys of a config.json that change nothing of the outputs computed here.
HARMLESS = frozenset(
    """
    _name_or_path _model_name_or_path architectures attn_implementation _attn_implementation
    _attn_implementation_autoset bad_words_ids begin_suppress_tokens bos_token_id
    chunk_size_feed_forward classifier_dropout classifier_dropout_prob classif_dropout
    decoder_start_token_id diversity_penalty do_sample dtype early_stopping
    encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty finetuning_task
    forced_bos_token_id forced_eos_token_id gradient_checkpointing gradient_checkpointing_kwargs
    id2label init_std initializer_factor initializer_range is_llama_config label2id label_smoothing
    layerdrop length_penalty max_length min_length max_new_tokens model_max_length model_type
    n_special num_beam_groups num_beams num_return_sequences num_labels no_repeat_ngram_size
    normalize_before output_attentions output_hidden_states output_past output_scores pad_token_id
    predict_special_tokens prefix pretraining_tp problem_type qa_dropout remove_invalid_values
    repetition_penalty return_dict return_dict_in_generate sep_token_id seq_classif_dropout
    static_position_embeddings
    summary_activation summary_first_dropout summary_last_dropout summary_proj_to_labels
    summary_type summary_use_proj suppress_tokens task_specific_params temperature
    tf_legacy_loss tokenizer_class top_k top_p torch_dtype torchscript transformers.js_config
    transformers_version typical_p use_bfloat16 use_cache
    """.split()
)  # fmt: skip


class PublishedConfig:
    """The values of a published config.json, which remembers those that were read.

    Args:
        values: content of the file.
        source: name of the file, for messages.
    """

    def __init__(self, values: Mapping[str, Any], source: str):
        self._values = values
        self._read: set[str] = set()
        self.source = source

    def get(self, key: str, default: Any = None) -> Any:
        """Returns a value of any type, or the default where it is missing or null."""
        self._read.add(key)
        value = self._values.get(key)
        return default if value is None else value

    def integer(self, key: str, default: int | None = None) -> int:
        """Returns a positive integer; without a default the key is needed."""
        value = self._known(key, default)
        if type(value) is not int or not 0 < value < 2**31:
            raise self._error(key, "a positive integer", value)
        return value

    def rate(self, key: str, default: float) -> float:
        """Returns a number from 0 to below 1."""
        value = self._known(key, default)
        if type(value) not in (int, float) or not 0 <= value < 1:
            raise self._error(key, "a number from 0 to below 1", value)
        return float(value)

    def number(self, key: str, default: float) -> float:
        """Returns a positive number."""
        value = self._known(key, default)
        if type(value) not in (int, float) or not 0 < value < float("inf"):
            raise self._error(key, "a positive number", value)
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """Returns true or false."""
        value = self._known(key, default)
        if type(value) is not bool:
            raise self._error(key, "true or false", value)
        return value

    def choice(self, key: str, default: str, known: Mapping[str, Any] = ACTIVATIONS) -> Any:
        """Returns what stands for a value in the table of known ones, by default activations."""
        value = self._known(key, default)
        if not isinstance(value, str) or value not in known:
            raise self._error(key, f"one of {', '.join(known)}", value)
        return known[value]

    def expect(self, key: str, *only: Any) -> None:
        """Checks that a key has one of some values, the first of which it has where it is missing.

        Raises:
            InputError: if it has another value, which would be another function.
        """
        value = self.get(key, only[0])
        # 1 is no True.
        if not any(type(value) is type(one) and value == one for one in only):
            raise self._error(key, " or ".join(map(repr, only)), value)

    def depths(self, encoder: str, decoder: str) -> dict[str, int]:
        """Returns the layers of an encoder-decoder of two keys, the second by default as many."""
        layers = self.integer(encoder)
        own = self.integer(decoder, layers)
        return {"num_layers": own, "encoder_layers": layers if layers != own else 0}

    def sizes(self, max_length: int) -> dict[str, int]:
        """Returns vocabulary, length, widths, layers and heads under the names that most have.

        Args:
            max_length: positions where the key is missing.
        """
        return {
            "vocab_size": self.integer("vocab_size"),
            "max_length": self.integer("max_position_embeddings", max_length),
            "hidden_dim": self.integer("hidden_size"),
            "intermediate_dim": self.integer("intermediate_size"),
            "num_layers": self.integer("num_hidden_layers"),
            "num_heads": self.integer("num_attention_heads"),
        }

    def check_read(self) -> None:
        """Checks that nothing is left that could change the function.

        Raises:
            InputError: for a key that was not read, is not harmless and has a value.
        """
        for key in sorted(set(self._values) - self._read - HARMLESS):
            if self._values[key] not in (None, False, [], {}):
                raise InputError(
                    f"Expected {self.source} to have keys whose meaning is known, got "
                    f"{key!r}: {self._values[key]!r}; remove it if it does not change the outputs."
                )

    def _known(self, key: str, default: Any) -> Any:
        value = self.get(key, default)
        if value is None:
            raise InputError(f"Expected {self.source} to have {key}, got none.")
        return value

    def _error(self, key: str, wanted: str, value: Any) -> InputError:
        return InputError(f"Expected {key} of {self.source} to be {wanted}, got {key}={value!r}.")


@dataclasses.dataclass(frozen=True)
class Tensor:
    """How an array of ours comes from a published tensor: a name, then operations in order.

    Attributes:
        name: published name without the prefix, with `{}` for the number of a block; empty for
            what is computed, by the operation in `steps`.
        steps: name and arguments of each operation, see `pretrained.renames.OPERATIONS`.
    """

    name: str
    steps: tuple[tuple[Any, ...], ...] = ()

    def _then(self, *step: Any) -> Self:
        return dataclasses.replace(self, steps=(*self.steps, step))

    def transposed(self) -> Self:
        """(out, in) to (in, out)."""
        return self._then("transposed")

    def part(self, index: int, parts: int) -> Self:
        """One of several equal parts along the last axis."""
        return self._then("part", index, parts)

    def head_part(self, index: int, parts: int) -> Self:
        """One of several parts that alternate in each head, along the last axis."""
        return self._then("head_part", index, parts)

    def from_row(self, first: int) -> Self:
        """All rows but the first few."""
        return self._then("from_row", first)

    def scaled(self, setting: str, power: float) -> Self:
        """A setting of our config, to a power, times the array."""
        return self._then("scaled", setting, power)

    def plus_one(self) -> Self:
        """The array plus one."""
        return self._then("plus_one")

    def vocabulary(self) -> Self:
        """The rows of a vocabulary, in the order of our ids."""
        return self._then("vocabulary")

    def flat(self) -> Self:
        """(1, T, D) to (T, D)."""
        return self._then("flat")

    def first(self) -> Self:
        """(1, 1, D) to (D,)."""
        return self._then("first")

    def of_patches(self) -> Self:
        """The kernel (D, C, P, P) of a convolution to that of a projection (P P C, D)."""
        return self._then("of_patches")

    def of_frames(self) -> Self:
        """The kernel (D, C, W) of a convolution over frames to that of a projection (W C, D)."""
        return self._then("of_frames")

    def row(self, index: int) -> Self:
        """A single row."""
        return self._then("row", index)


def computed(name: str) -> Tensor:
    """A weight that no file needs to have, by the name in `pretrained.renames.COMPUTED`."""
    return Tensor("", ((name,),))


def dense(ours: str, theirs: str, *, bias: bool = True) -> dict[str, Tensor]:
    """The rename of a PyTorch `Linear`, whose kernel is (out, in)."""
    kernel = {f"{ours}/kernel": Tensor(f"{theirs}.weight").transposed()}
    return kernel | ({f"{ours}/bias": Tensor(f"{theirs}.bias")} if bias else {})


def attention(
    ours: str, query: str, key: str, value: str, output: str, *, bias: bool = True
) -> dict[str, Tensor]:
    """The rename of the four `Linear` of an attention sublayer of ours."""
    names = {"query": query, "key": key, "value": value, "output": output}
    return {
        path: tensor
        for name, theirs in names.items()
        for path, tensor in dense(f"{ours}/sublayer/{name}", theirs, bias=bias).items()
    }


def layer_norm(ours: str, theirs: str) -> dict[str, Tensor]:
    """The rename of a PyTorch `LayerNorm`."""
    return {f"{ours}/gamma": Tensor(f"{theirs}.weight"), f"{ours}/beta": Tensor(f"{theirs}.bias")}


def masked_head(transform: str, norm: str, bias: str) -> dict[str, Tensor]:
    """The rename of a head of masked language modeling: `Linear`, `LayerNorm`, bias of the logits.

    Their kernel is the table of tokens.
    """
    return {
        **dense("head/transform", transform), **layer_norm("head/norm", norm),
        "token_embedding/logits_bias": Tensor(bias).vocabulary(),
    }  # fmt: skip


def position_heads(*classes: str) -> dict[str, dict[str, Tensor]]:
    """The heads of tags and of answers of classes of `transformers`, such as `Bert`."""
    return {
        f"{name}{end}": dense("head", theirs) for name in classes
        for end, theirs in ((OF_TAGS, "classifier"), (OF_ANSWERS, "qa_outputs"))
    }  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """How `transformers` writes the models of a design.

    Attributes:
        model_types: values of `model_type` in config.json.
        settings: arguments of `TransformerConfig` from a config.json. What has another function is
            an error, see `PublishedConfig`.
        tensors: published tensors by our weight path, with `{}` for the number of a block. Of a
            path that the config's model does not have nothing is read.
        heads: further tensors by the class in `architectures` of config.json whose head we have.
        masked_head: further tensors of a `masked` head, which some files have.
        left_out: regular expressions of tensors that the model does not need.
        prefixes: prefixes that the names may have, such as that of a model with a head.
        variants: further tensors where a setting of our config has a value.
        stored: tensors by our weight path that some files have, and that are read in place of those
            of `tensors` there.
        zeros: regular expressions of tensors that the model does not have, and that are zero in
            every file that it can be read from.
        absent_logit: logit of padding that the published vocabulary lacks, far below all others.
        tied: further names of a tensor, by its name in the table: a file has one or several of
            them, which are equal.
        only_trained: why a model that writes is trained on before it is used; empty for one that
            can be used as it is.
    """

    model_types: tuple[str, ...]
    settings: Callable[[PublishedConfig], dict[str, Any]]
    tensors: Mapping[str, Tensor]
    heads: Mapping[str, Mapping[str, Tensor]] = dataclasses.field(default_factory=dict)
    masked_head: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    variants: Mapping[tuple[str, Any], Mapping[str, Tensor]] = dataclasses.field(
        default_factory=dict
    )
    stored: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    zeros: tuple[str, ...] = ()
    absent_logit: float = -64.0
    tied: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    only_trained: str = ""
