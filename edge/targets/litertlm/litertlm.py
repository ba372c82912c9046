"""A trained decoder and its tokenizer as one `.litertlm` file, which LiteRT-LM runs."""

from importlib.util import find_spec

from keras_transformer.edge.convert.convert import convert
from keras_transformer.edge.precision import precision_of
from keras_transformer.edge.targets.exported.export import Exported
from keras_transformer.edge.targets.litertlm.lm_file import pack
from keras_transformer.edge.targets.litertlm.lm_parity import check_continued
from keras_transformer.edge.targets.litertlm.lm_replay import MODEL
from keras_transformer.edge.targets.litertlm.lm_target import LiteRtLm
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.vocabularies.sentencepiece import to_sentencepiece

RUNTIME = "litert_lm"
# A prompt is read in pieces of these lengths, and of that of the caches. It takes a short one to
# read the next turn of a conversation where there is no room for a long one.
PREFILL_LENGTHS = 16, 64, 256


def export(checkpoint: Checkpoint, *, precision: str | None = None) -> Exported:
    """Writes `model.litertlm`.

    Args:
        checkpoint: a decoder with a sentencepiece tokenizer.
        precision: see `LiteRtLm`; by default float32, or that of a quantized checkpoint.

    Raises:
        InputError: a model or a precision that LiteRT-LM does not run, or a tokenizer that it does
            not have.
        RunError: the graph does not follow the Keras model, or LiteRT-LM, where it is installed,
            does not write what the graph says.
    """
    if precision is None:
        precision = precision_of(checkpoint.bits).name if checkpoint.is_quantized else "float32"
    shorter = [length for length in PREFILL_LENGTHS if length < checkpoint.max_length]
    converted = convert(
        checkpoint, precision, lengths=[*shorter, checkpoint.max_length], target=LiteRtLm()
    )
    pieces = to_sentencepiece(checkpoint.tokenizer)
    packed = pack(converted.data, pieces, checkpoint.tokenizer.sep_id, checkpoint.max_length)
    continued = "not installed"
    if find_spec(RUNTIME) is not None:
        num_tokens = check_continued(packed, converted.data, checkpoint)
        continued = f"the same, up to {num_tokens} of each prompt"
    parity = converted.parity
    return Exported(
        files={MODEL: packed},
        description={"precision": precision, "lengths": converted.description["lengths"]},
        measured={
            "tokens": parity.rows,
            "same choice": f"{parity.agreement:.1%}",
            "largest difference": f"{parity.largest:.2g}",
            "greedy tokens of LiteRT-LM": continued,
        },
    )
