"""The `.litertlm` file: a graph, a tokenizer and metadata for the runtime."""

import json
from collections.abc import Mapping

from litert_lm_builder import litertlm_builder
from litert_lm_builder.runtime.proto import llm_metadata_pb2

from keras_transformer.zoo.chat.chat import Chat
from keras_transformer.zoo.chat.messages import ASSISTANT, SYSTEM, USER
from keras_transformer.zoo.generation.prompt import line_break_ids
from keras_transformer.zoo.storage.temporary import temporary_folder
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer

# LiteRT-LM gives templates a message's content as a list of parts, which most do not expect.
_AS_TEXTS = """\
{%- set texts = namespace(of=[]) -%}
{%- for message in messages -%}
{%- set text = namespace(all='') -%}
{%- if message['content'] is string -%}{%- set text.all = message['content'] -%}
{%- else -%}
{%- for part in message['content'] -%}{%- set text.all = text.all + part['text'] -%}{%- endfor -%}
{%- endif -%}
{%- set texts.of = texts.of + [{'role': message['role'], 'content': text.all}] -%}
{%- endfor -%}
{%- set messages = texts.of -%}
"""
_ROLES = {USER: "user", ASSISTANT: "model", SYSTEM: "system"}


def pack(
    flatbuffer: bytes, pieces: bytes, tokenizer: Tokenizer, max_tokens: int,
    chat: Chat | None = None, affixes: Mapping[str, tuple[str, str]] | None = None,
) -> bytes:  # fmt: skip
    """Returns the three as one file, with a timestamp, so that no two files are equal.

    Args:
        flatbuffer: graph with the signatures of `lm_signatures`.
        pieces: serialized SentencePiece model.
        tokenizer: whose [SEP] starts and ends a text, and whose line breaks are not written.
        max_tokens: L, number of positions of the caches.
        chat: how the model reads conversations, if it does.
        affixes: texts before and behind a message by role, if the template has no others.
    """
    parts = {
        "metadata.pb": _metadata(tokenizer, max_tokens, chat, affixes or {}),
        "model.tflite": flatbuffer,
        "pieces.model": pieces,
    }
    with temporary_folder() as folder:
        for name, data in parts.items():
            (folder / name).write_bytes(data)
        paths = [str(folder / name) for name in parts]
        builder = litertlm_builder.LitertLmFileBuilder()
        builder.add_llm_metadata(paths[0])
        builder.add_tflite_model(paths[1], litertlm_builder.TfLiteModelType.PREFILL_DECODE)
        builder.add_sentencepiece_tokenizer(paths[2])
        packed = folder / "packed"
        with packed.open("wb") as stream:
            builder.build(stream, validate_metadata=True)
        return packed.read_bytes()


def lm_template(chat: Chat, tokenizer: Tokenizer) -> str:
    """Returns a chat template that takes a message's content in parts, with its special tokens.

    LiteRT-LM writes the start token itself.
    """
    start = tokenizer.config.special.end
    tokens = {
        name: "" if (name, token) == ("bos_token", start) else token
        for name, token in chat.tokens.items()
    }
    sets = (f"{{%- set {name} = {json.dumps(text)} -%}}\n" for name, text in tokens.items())
    return "".join(sets) + _AS_TEXTS + chat.template


def _metadata(
    tokenizer: Tokenizer, max_tokens: int, chat: Chat | None,
    affixes: Mapping[str, tuple[str, str]],
) -> bytes:  # fmt: skip
    """The start and end tokens and the banned ones, as in `TextGenerator`."""
    sep_id, metadata = tokenizer.sep_id, llm_metadata_pb2.LlmMetadata()
    metadata.start_token.token_ids.ids.append(sep_id)
    stop_ids = {sep_id} if chat is None else chat.end_ids(tokenizer)
    for stop_id in sorted(stop_ids, key=lambda i: (i != sep_id, i)):
        metadata.stop_tokens.add().token_ids.ids.append(stop_id)
    banned = {*range(len(SPECIAL_TOKENS)), *line_break_ids(tokenizer)} - stop_ids
    if chat is not None:
        metadata.jinja_prompt_template = lm_template(chat, tokenizer)
    for role, (prefix, suffix) in affixes.items():
        template = getattr(metadata.prompt_templates, _ROLES[role])
        template.prefix, template.suffix = prefix, suffix
    metadata.suppress_tokens.ids.extend(sorted(banned))
    metadata.max_num_tokens = max_tokens
    # Greedy by default, expressed by the one kind of sampling that every device supports.
    sampling = metadata.sampler_params
    sampling.type, sampling.k, sampling.p, sampling.temperature = sampling.TOP_P, 1, 1.0, 1.0
    metadata.llm_model_type.generic_model.SetInParent()
    metadata.supports_thinking = metadata.supports_function_calling = False
    return metadata.SerializeToString()
