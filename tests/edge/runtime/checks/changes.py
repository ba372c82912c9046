"""Changes to the graphs of a file, by the schema's objects."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}


def changed(flatbuffer, change):
    """The flatbuffer after a change to the schema's objects."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    change(model)
    builder = flatbuffers.Builder(2 * len(flatbuffer))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def graph(model):
    return model.subgraphs[0]


def op_named(model, name, of=None):
    """The first op of a name, or of those with an output of a type."""
    tensors = graph(model).tensors
    for op in graph(model).operators:
        code = model.operatorCodes[op.opcodeIndex]
        is_named = NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)] == name
        if is_named and of in (None, tensors[op.outputs[0]].type):
            return op
    raise AssertionError(name)


def tensor_of(model, name, place):
    """A tensor that the first op of a name reads."""
    return graph(model).tensors[op_named(model, name).inputs[place]]


def constant(model, values):
    """Gives the model a new buffer, and returns its number."""
    buffer = schema.BufferT()
    buffer.data = np.array(values).view(np.uint8).ravel()
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def set_field(of, name, value):
    def change(model):
        setattr(of(model), name, value)

    return change


def set_item(of, name, place, value):
    def change(model):
        values = np.array(getattr(of(model), name))
        values[place] = value
        setattr(of(model), name, values)

    return change


def kernel(model):
    return tensor_of(model, "FULLY_CONNECTED", 1)
