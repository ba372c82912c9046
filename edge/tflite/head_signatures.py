"""The signatures of one head in a file of several, as a file of that head alone has them."""

from collections.abc import Sequence

from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.runtime.names import PREDICT, signature_name
from keras_transformer.edge.tflite.compact import to_bytes


def of_head(flatbuffer: bytes, head: str, lengths: Sequence[int]) -> bytes:
    """Returns the model with the signatures of one head, whose names are those of `predict`.

    Args:
        flatbuffer: the model of several heads.
        head: name of the head.
        lengths: lengths of the inputs in tokens.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    names = {
        signature_name(head, length, lengths): signature_name(PREDICT, length, lengths)
        for length in lengths
    }
    model.signatureDefs = [
        one for one in model.signatureDefs if one.signatureKey.decode() in names
    ]
    for one in model.signatureDefs:
        one.signatureKey = names[one.signatureKey.decode()].encode()
    return to_bytes(model, len(flatbuffer))
