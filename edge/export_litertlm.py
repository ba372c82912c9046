"""A trained decoder and its tokenizer as one `.litertlm` file, which LiteRT-LM runs."""

from importlib.util import find_spec

from keras_transformer.edge.convert import to_graph
from keras_transformer.edge.export import Exported
from keras_transformer.edge.flatbuffer import output_step
from keras_transformer.edge.lm_file import pack
from keras_transformer.edge.lm_parity import check_continued
from keras_transformer.edge.lm_replay import MODEL
from keras_transformer.edge.lm_signatures import make_lm_signatures
from keras_transformer.edge.lm_steps import LmSteps
from keras_transformer.edge.parity import steps_parity
from keras_transformer.edge.precision import PRECISIONS, get_precision, precision_of
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.sentencepiece_model import to_sentencepiece
from keras_transformer.zoo.trained import Trained

RUNTIME = "litert_lm"
# Of what stays outside the matmuls, the mask is one of floats.
RUN_PRECISIONS = tuple(name for name in PRECISIONS if name != "integer")
# A prompt is read in pieces of these lengths, and of that of the caches. It takes a short one to
# read the next turn of a conversation where there is no room for a long one.
PREFILL_LENGTHS = 16, 64, 256


def export(trained: Trained, *, precision: str | None = None) -> Exported:
    """Writes `model.litertlm`.

    Args:
        trained: a decoder with a sentencepiece tokenizer.
        precision: one of `RUN_PRECISIONS`; by default float32, or that of a quantized checkpoint.

    Raises:
        InputError: a model or a precision that LiteRT-LM does not run, or a tokenizer that it does
            not have.
        RunError: the graph does not follow the Keras model, or LiteRT-LM, where it is installed,
            does not write what the graph says.
    """
    if precision is None:
        precision = precision_of(trained.bits).name if trained.is_quantized else "float32"
    _check(trained, precision)
    shorter = [length for length in PREFILL_LENGTHS if length < trained.max_length]
    lengths = [*shorter, trained.max_length]
    pieces = to_sentencepiece(trained.tokenizer)
    graph = to_graph(trained, precision, lengths=lengths, signatures=make_lm_signatures)
    steps = LmSteps(graph.flatbuffer, trained.config.num_layers, lengths)
    parity = steps_parity(graph.model, trained, steps, output_step(graph.flatbuffer))
    graph.check(parity)
    data = pack(graph.flatbuffer, pieces, trained.tokenizer.sep_id, lengths[-1])
    continued = "not installed"
    if find_spec(RUNTIME) is not None:
        continued = f"the same, up to {check_continued(data, trained, steps)} of each prompt"
    return Exported(
        files={MODEL: data},
        description={"precision": precision, "lengths": lengths},
        measured={
            "tokens": parity.rows,
            "same choice": f"{parity.agreement:.1%}",
            "largest difference": f"{parity.largest:.2g}",
            "greedy tokens of LiteRT-LM": continued,
        },
    )


def _check(trained: Trained, precision: str) -> None:
    """Raises InputError for what LiteRT-LM cannot run, before anything is converted."""
    config, vocab_size = trained.config, trained.tokenizer.vocab_size
    if config.architecture != "decoder":
        raise InputError(
            f"Expected a decoder, which is all that LiteRT-LM runs, got an {config.architecture}; "
            "keras-transformer convert writes it as a .tflite file."
        )
    if vocab_size != config.vocab_size:
        raise InputError(
            f"Expected a tokenizer of the {config.vocab_size} tokens that the model embeds, got "
            f"one of {vocab_size}."
        )
    spec = get_precision(precision)
    if precision not in RUN_PRECISIONS:
        raise InputError(
            f"Expected a precision that LiteRT-LM runs, one of {', '.join(RUN_PRECISIONS)}, got "
            f"precision={precision}."
        )
    if spec.is_static and not trained.is_quantized:
        raise InputError(
            f"Expected a checkpoint that was quantized for {precision}, got a float one; make it "
            f"with keras-transformer quantize --precision {precision}."
        )
