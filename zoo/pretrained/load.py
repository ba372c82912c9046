"""Published models: their config, weights and tokenizer, from a folder or the hub."""

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.chat.chat import Chat
from keras_transformer.zoo.chat.published import read_chat
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.speech import Script
from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.config import TransformerConfig
from keras_transformer.zoo.models.embedded.resized import resized_positions, stored_shape
from keras_transformer.zoo.models.families.published import Published, Tensor
from keras_transformer.zoo.models.heads import POOLER, Head, HeadOwner, is_of_head
from keras_transformer.zoo.models.memory import parameters_of
from keras_transformer.zoo.pretrained.configs import family_of, read_config
from keras_transformer.zoo.pretrained.ctranslate import is_ctranslate, read_ctranslate
from keras_transformer.zoo.pretrained.heads import (
    PublishedHead,
    has_pooler,
    head_of,
    read_sentence_modules,
    usual_pooling,
)
from keras_transformer.zoo.pretrained.pixels import PREPROCESSOR, PublishedPixels
from keras_transformer.zoo.pretrained.renames import RenamedWeights, known_names, table_of
from keras_transformer.zoo.pretrained.source import (
    CONFIG,
    TOKENIZER_FILES,
    Location,
    licence_of,
    locate,
    refuse_code,
)
from keras_transformer.zoo.pretrained.speech import GENERATION, read_script
from keras_transformer.zoo.pretrained.tensors import Tensors, open_tensors
from keras_transformer.zoo.pretrained.vocabularies.files import read_json
from keras_transformer.zoo.pretrained.vocabularies.tokenizer import (
    PublishedTokenizer,
    read_tokenizer,
)
from keras_transformer.zoo.recipe.training_data import file_digest

# Weights that a task trains anew, and those of a pooler that a file may lack.
_TABLE = "token_embedding/embeddings"


@dataclasses.dataclass(kw_only=True, eq=False)
class Pretrained:
    """A published model.

    Attributes:
        location: where it is.
        family: name of the family.
        config: architecture and sizes of our model.
        tensors: its tensors, of which nothing is read before they are asked for.
        published: tables of the family.
        tokenizers: its tokenizers; None for a model of images.
        pixels: how a model of images reads them; None for others.
        script: what surrounds the text that a model of speech writes; None for others.
        normalize: whether its vectors are scaled to length 1.
        max_length: number of tokens that its files recommend at most.
        head: the head that config.json names.
        licence: licence that its README states, empty for none.
        stored_config: config that its files are of, where `config` is of inputs of another size.
    """

    location: Location
    family: str
    config: TransformerConfig
    tensors: Tensors
    published: Published
    tokenizers: PublishedTokenizer | None
    pixels: PublishedPixels | None = None
    script: Script | None = None
    normalize: bool = False
    max_length: int
    head: PublishedHead = PublishedHead()
    licence: str = ""
    stored_config: TransformerConfig | None = None
    _chat: Callable[[], Chat | None] = dataclasses.field(repr=False)

    @property
    def chat(self) -> Chat | None:
        """The chat of a decoder with a template, None for others."""
        return self._chat() if self.config.architecture == "decoder" else None

    @functools.cached_property
    def provenance(self) -> dict[str, Any]:
        """Where it came from: source, revision, licence, and the SHA-256 of each file by name.

        Of config, weights, how pictures are read, and tokenizer, by whose order the rows of the
        embeddings are found.
        """
        folder = self.tensors.files[0].parent
        readers = (*TOKENIZER_FILES, PREPROCESSOR)
        if self.script is not None:
            readers = (*readers, GENERATION)
        reading = [folder / name for name in readers if (folder / name).is_file()]
        files = [self.location.folder / CONFIG, *self.tensors.files, *reading]
        return {
            "source": self.location.name, "revision": self.location.revision,
            "licence": self.licence, "sha256": {file.name: file_digest(file) for file in files},
        }  # fmt: skip

    @property
    def rows(self) -> np.ndarray | None:
        """Row of the published vocabulary of each of our ids; None without one."""
        return None if self.tokenizers is None else self.tokenizers.rows

    @property
    def parameters(self) -> int:
        """Number of parameters that are read, without a head."""
        names = known_names(self.published, self.tensors)
        used = [
            re.compile(re.escape(one.name).replace(r"\{\}", r"\d+"))
            for path, one in table_of(self.published, self.config).items()
            if one.name
            if self.config.pooling == "first" or not path.startswith(POOLER)
        ]
        found = {
            tensor for name, tensor in names.items() if any(one.fullmatch(name) for one in used)
        }
        return sum(int(np.prod(self.tensors[name].shape, dtype=np.int64)) for name in found)

    def weights(self, model: keras.Model, *, head: bool = False) -> RenamedWeights:
        """Returns the weights of a model of this config by path.

        Args:
            model: model from `models.build`, with or without a head.
            head: whether those of its head are read, rather than left as they are.

        Raises:
            InputError: if a tensor is missing, left over, or of another shape.
        """
        heads = self.head.tensors if head else self._masked_head(model)
        # A head that is read has learned behind its pooler.
        reads_pooler = head or has_pooler(self.published, {}, self.tensors)
        own = self.stored_config or self.config
        shapes = {
            weight.path: stored_shape(weight.path, tuple(weight.shape), own, self.config)
            for weight in model.weights
            if (head or heads or not is_of_head(weight.path))
            and (reads_pooler or not weight.path.startswith(POOLER))
        }  # fmt: skip
        return RenamedWeights(
            self.published, self.tensors, self.config, shapes, rows=self.rows,
            heads=heads,
        )

    def _masked_head(self, model: keras.Model) -> Mapping[str, Tensor]:
        """The table of a `masked` head, if the model has one and the file its tensors."""
        head, known = self.published.masked_head, known_names(self.published, self.tensors)
        paths = {weight.path for weight in model.weights}
        is_there = set(head) <= paths and all(one.name in known for one in head.values())
        return head if is_there else {}

    def assign(self, model: keras.Model, *, head: bool = False) -> None:
        """Assigns the weights one by one, tables in parts; see `weights`."""
        weights = self.weights(model, head=head)
        in_parts = keras.config.backend() == "tensorflow"
        if in_parts:
            import tensorflow as tf
        for weight in model.weights:
            if weight.path not in weights:
                continue
            if in_parts and weights.is_table(weight.path):
                # A variable whose slices were assigned is copied whenever it is read. This tensor
                # is the variable's own, and becomes resident as it is filled.
                table = tf.raw_ops.Empty(shape=weight.shape, dtype=weight.dtype)
                weight.assign(table)
                for first, rows in weights.parts(weight.path):
                    places = np.arange(first, first + len(rows), dtype=np.int32)
                    tf.raw_ops.InplaceUpdate(x=table, i=places, v=tf.cast(rows, weight.dtype))
            else:
                stored = self.stored_config or self.config
                value = resized_positions(weight.path, weights[weight.path], stored, self.config)
                weight.assign(value)
        if self.pixels is not None:
            kernel, bias = (
                next(weight for weight in model.weights if weight.path == path)
                for path in ("patch_projection/kernel", "patch_positions/bias")
            )
            folded = self.pixels.fold(*map(keras.ops.convert_to_numpy, (kernel, bias)))
            kernel.assign(folded[0])
            bias.assign(folded[1])

    def build(
        self, head: Head | HeadOwner | None = None, *, dtype: str = "float32",
        trained_head: bool = False,
    ) -> keras.Model:  # fmt: skip
        """Returns the model with its weights.

        Args:
            head: head, see `models.build`.
            dtype: Keras dtype policy of the layers.
            trained_head: whether the head's weights are read too, rather than new.
        """
        model = build(self.config, head, dtype=dtype)
        self.assign(model, head=trained_head)
        return model


def load_pretrained(
    name: str | os.PathLike, *, tokenizers: PublishedTokenizer | None = None
) -> Pretrained:
    """Opens a published model; its weights are read when a model is built.

    Args:
        name: a folder that `transformers` or `sentence-transformers` wrote, a safetensors file
            beside its config.json, or `hf:OWNER/NAME[@REVISION]`.
        tokenizers: tokenizers in place of those in its files.

    Raises:
        FileNotFoundError: if there is no such path.
        InputError: if it is of no known family, would need another function than ours, or its
            files are damaged or do not fit together.
    """
    location = locate(name)
    refuse_code(location.folder, location.name)
    modules = read_sentence_modules(location.folder)
    folder = location.folder / modules.folder
    values = read_json(folder / CONFIG)
    tensors = None
    if is_ctranslate(folder, values):
        values, tensors = read_ctranslate(folder, values)
    family, published = family_of(values, folder / CONFIG)
    tensors = tensors or open_tensors(folder, location.weights)
    config = read_config(values, published, str(folder / CONFIG), pooling=modules.pooling)
    head = head_of(values, published, folder / CONFIG)
    pixels, script, added_rows = None, None, 0
    if config.modality == "image":
        pixels = PublishedPixels.of_folder(folder, config)
        config = config.replace(**pixels.settings)
    else:
        if config.architecture == "encoder" and modules.pooling is None:
            config = config.replace(pooling=usual_pooling(published, head, tensors))
        tokenizers = tokenizers or read_tokenizer(folder)
        if config.modality == "speech":
            script = read_script(folder, values, config, tokenizers)
        config = _with_vocabulary(config, tokenizers.rows, published, tensors)
        added_rows = len(tokenizers.rows)
    if modules.lowercase and not (tokenizers and tokenizers.tokenizer.config.lowercase):
        raise InputError(
            f"Expected a tokenizer that lowercases in {folder}, whose sentence_bert_config.json "
            "has do_lower_case=True, got one that does not."
        )
    least = parameters_of(config)
    if least > tensors.size + added_rows * config.hidden_dim:
        raise InputError(
            f"Expected {folder / CONFIG} to be of a model with at most the {tensors.size} numbers "
            f"of {tensors.source}, got one of at least {least}."
        )
    return Pretrained(
        location=location, family=family, config=config, tensors=tensors, published=published,
        tokenizers=tokenizers, pixels=pixels, script=script, normalize=modules.normalize, head=head,
        max_length=min(modules.max_length or config.max_length, config.max_length),
        licence=licence_of(location.folder),
        _chat=functools.cache(functools.partial(read_chat, location.folder, read_json)),
    )  # fmt: skip


def _with_vocabulary(
    config: TransformerConfig, rows: np.ndarray, published: Published, tensors: Tensors
) -> TransformerConfig:
    """The config with the vocabulary of a tokenizer.

    Raises:
        InputError: if config, table and tokenizer are of different vocabularies.
    """
    vocab_size = config.vocab_size
    name = known_names(published, tensors).get(published.tensors[_TABLE].name)
    if name is not None and tensors[name].shape[:1] != (vocab_size,):
        raise InputError(
            f"Expected {name} of {tensors.source} to have the {vocab_size} rows that the config "
            f"says, got shape {tensors[name].shape}."
        )
    if int(rows.max()) >= vocab_size:
        raise InputError(
            f"Expected a tokenizer of at most the {vocab_size} rows in {tensors.source}, got one "
            f"of {int(rows.max()) + 1} tokens."
        )
    has_bias = config.architecture != "encoder" and bool((rows < 0).any())
    changes = {"logits_bias": True} if has_bias else {}
    return config.replace(vocab_size=len(rows), **changes)
