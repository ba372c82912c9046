"""The `.litertlm` file: a graph, a tokenizer and metadata for the runtime."""


from litert_lm_builder import litertlm_builder
from litert_lm_builder.runtime.proto import llm_metadata_pb2

from keras_transformer.zoo.generation.prompt import line_break_ids
from keras_transformer.zoo.storage.temporary import temporary_folder
from keras_transformer.zoo.tokenizers.piece_list import SPECIAL_TOKENS
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer


def pack(flatbuffer: bytes, pieces: bytes, tokenizer: Tokenizer, max_tokens: int) -> bytes:
    """Returns the three as one file, with a timestamp, so that no two files are equal.

    Args:
        flatbuffer: graph with the signatures of `lm_signatures`.
        pieces: serialized SentencePiece model.
        tokenizer: whose [SEP] starts and ends a text, and whose line breaks are not written.
        max_tokens: L, number of positions of the caches.
    """
    parts = {
        "metadata.pb": _metadata(tokenizer, max_tokens),
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


def _metadata(tokenizer: Tokenizer, max_tokens: int) -> bytes:
    """The start and end tokens and the banned ones, as in `TextGenerator`."""
    sep_id, metadata = tokenizer.sep_id, llm_metadata_pb2.LlmMetadata()
    metadata.start_token.token_ids.ids.append(sep_id)
    metadata.stop_tokens.add().token_ids.ids.append(sep_id)
    banned = {*range(len(SPECIAL_TOKENS)), *line_break_ids(tokenizer)} - {sep_id}
    metadata.suppress_tokens.ids.extend(sorted(banned))
    metadata.max_num_tokens = max_tokens
    # Greedy by default, expressed by the one kind of sampling that every device supports.
    sampling = metadata.sampler_params
    sampling.type, sampling.k, sampling.p, sampling.temperature = sampling.TOP_P, 1, 1.0, 1.0
    metadata.llm_model_type.generic_model.SetInParent()
    metadata.supports_thinking = metadata.supports_function_calling = False
    return metadata.SerializeToString()
