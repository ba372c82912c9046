"""TFLite metadata for MediaPipe (metadata_schema.fbs, identifier M001).

The schema's generated code comes with MediaPipe, which cannot be installed beside
tensorflow-model-optimization; the few tables that a model of texts or of images needs are written
by their field numbers.
"""

import dataclasses
from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_transformer.edge.tflite.compact import to_bytes

NAME = b"TFLITE_METADATA"
IDENTIFIER = b"M001"
# The first versions of the parser that support a tokenizer as a process unit of the inputs, and
# sounds.
_MIN_PARSER_VERSION, _PARSER_OF_SOUNDS = "1.1.0", "1.3.0"

# AssociatedFileType
AXIS_LABELS, AXIS_SCORE_CALIBRATION, VOCABULARY = 2, 4, 5
# ProcessUnitOptions
_SCORE_CALIBRATION, _BERT_TOKENIZER = 2, 4
# ContentProperties
FEATURE, IMAGE, AUDIO = 1, 2, 4
# ColorSpaceType
_RGB = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttachedFile:
    """A file of the ZIP archive after the flatbuffer.

    Attributes:
        name: name of the archive member.
        kind: AssociatedFileType, such as `AXIS_LABELS`.
    """

    name: str
    kind: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """Metadata of one input or output.

    Attributes:
        name: name by which MediaPipe finds it.
        description: description for readers.
        files: attached files that explain its values.
        calibrated: whether one of them calibrates its scores.
        content: ContentProperties of the tensor, `FEATURE`, `IMAGE` or `AUDIO`.
        rate: samples of a sound a second, which has one channel.
    """

    name: str
    description: str
    files: tuple[AttachedFile, ...] = ()
    calibrated: bool = False
    content: int = FEATURE
    rate: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Metadata of a model.

    Attributes:
        name, description, version, license: information for readers.
        inputs, outputs: metadata of the inputs and outputs, in the order of the subgraph.
        vocabulary: name of the attached file that BERT's tokenizer reads; empty for none.
    """

    name: str
    description: str
    version: str
    license: str
    inputs: Sequence[TensorInfo]
    outputs: Sequence[TensorInfo]
    vocabulary: str


def add_metadata(flatbuffer: bytes, info: ModelInfo) -> bytes:
    """Returns the model with metadata in a buffer of its own."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(metadata_bytes(info), np.uint8)
    entry.name, entry.buffer = NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    return to_bytes(model, len(flatbuffer) + len(buffer.data))


def metadata_bytes(info: ModelInfo) -> bytes:
    """Returns a ModelMetadata flatbuffer."""
    writer = _Writer()
    parts = {
        2: writer.vector([_tensor(writer, one) for one in info.inputs]),
        3: writer.vector([_tensor(writer, one) for one in info.outputs]),
    }
    if info.vocabulary:
        parts[5] = writer.vector([_bert_tokenizer(writer, info.vocabulary)])
    subgraph = writer.table(parts)
    has_sounds = any(one.content == AUDIO for one in info.inputs)
    root = writer.table(
        {
            0: writer.text(info.name),
            1: writer.text(info.description),
            2: writer.text(info.version),
            3: writer.vector([subgraph]),
            5: writer.text(info.license),
            7: writer.text(_PARSER_OF_SOUNDS if has_sounds else _MIN_PARSER_VERSION),
        }
    )
    writer.builder.Finish(root, IDENTIFIER)
    return bytes(writer.builder.Output())


def _tensor(writer, info):
    if info.content == AUDIO:
        properties = writer.integers([info.rate, 1])
    else:
        properties = writer.table({0: _RGB} if info.content == IMAGE else {}, bytes_at=(0,))
    content = writer.table({0: info.content, 1: properties}, bytes_at=(0,))
    fields = {0: writer.text(info.name), 1: writer.text(info.description), 3: content}
    if info.calibrated:
        fields[4] = writer.vector([writer.union(_SCORE_CALIBRATION, writer.table({}))])
    if info.files:
        fields[6] = writer.vector([_file(writer, one) for one in info.files])
    return writer.table(fields)


def _bert_tokenizer(writer, vocabulary):
    file = _file(writer, AttachedFile(name=vocabulary, kind=VOCABULARY))
    return writer.union(_BERT_TOKENIZER, writer.table({0: writer.vector([file])}))


def _file(writer, file):
    return writer.table({0: writer.text(file.name), 2: file.kind}, bytes_at=(2,))


class _Writer:
    """Writes tables by field numbers; children are written before their parents."""

    def __init__(self):
        self.builder = flatbuffers.Builder(1024)

    def text(self, value: str) -> int:
        return self.builder.CreateString(value)

    def vector(self, offsets: Sequence[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return self.builder.EndVector()

    def union(self, kind: int, value: int) -> int:
        """A table whose only fields are a union's type and its value."""
        return self.table({0: kind, 1: value}, bytes_at=(0,))

    def integers(self, values: Sequence[int]) -> int:
        """A table of unsigned integers."""
        self.builder.StartObject(len(values))
        for number, value in enumerate(values):
            self.builder.PrependUint32Slot(number, value, 0)
        return self.builder.EndObject()

    def table(self, fields: dict[int, int], bytes_at: Sequence[int] = ()) -> int:
        """Writes offsets by field number; at the numbers `bytes_at`, bytes."""
        self.builder.StartObject(max(fields, default=-1) + 1)
        for number, value in fields.items():
            if number in bytes_at:
                self.builder.PrependByteSlot(number, value, 0)
            else:
                self.builder.PrependUOffsetTRelativeSlot(number, value, 0)
        return self.builder.EndObject()
