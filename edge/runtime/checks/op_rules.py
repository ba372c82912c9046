"""What shapes and types the ops of a file may have, so that LiteRT computes what was checked.

LiteRT works out the shapes of what is computed anew and trusts options and constants of an op. The
rules say the same of the ops that `convert` writes. Imports only the standard library.
"""

import math
from collections.abc import Callable, Sequence

from keras_transformer.edge.runtime.checks.graph import ABSENT, Op, Tensor
from keras_transformer.edge.runtime.checks.tables import Damaged
from keras_transformer.edge.runtime.checks.window_rules import convolution, max_pool

Shape = tuple[int, ...]
# An op's inputs, None where one is absent, its outputs and itself -> whether they fit.
Rule = Callable[[Sequence[Tensor | None], Sequence[Tensor], Op], bool]
_PLAIN = ("FLOAT32", "FLOAT16", "INT32", "INT64", "INT16", "INT8", "UINT8", "BOOL")


def check_op(name: str, rule: Rule, op: Op, tensors: Sequence[Tensor]) -> None:
    """Raises Damaged where an op does not make what it says of what it reads."""
    given = [None if place == ABSENT else tensors[place] for place in op.inputs]
    made = [tensors[place] for place in op.outputs]
    try:
        fits = rule(given, made, op)
    except Damaged:
        raise
    except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError):
        # An input, an option or a constant that it needs is absent, or of another rank.
        fits = False
    if not fits or any(one.type not in (*_PLAIN, "INT4", "INT2") for one in made):
        shapes = [None if one is None else list(one.shape) for one in given]
        raise Damaged(
            f"an op {name} makes {', '.join(f'{one.type} {list(one.shape)}' for one in made)} "
            f"of {', '.join(map(str, shapes))}"
        )


def work(op: Op, tensors: Sequence[Tensor]) -> int:
    """Returns about how many multiplications an op takes."""
    made = sum(tensors[place].size for place in op.outputs)
    if op.code in (_FULLY_CONNECTED, _BATCH_MATMUL):
        return made * max(1, tensors[op.inputs[0]].shape[-1])
    if op.code == _CONV_2D:
        return made * max(1, math.prod(tensors[op.inputs[1]].shape[1:]))
    if op.code == _MAX_POOL_2D:
        return made * max(1, op.option(3) * op.option(4))
    return made


def _broadcast(shapes: Sequence[Shape]) -> Shape | None:
    """The shape of an op of every pair of elements."""
    rank = max(map(len, shapes))
    result = []
    for sizes in zip(*((1,) * (rank - len(one)) + one for one in shapes), strict=True):
        wide = {size for size in sizes if size != 1}
        if len(wide) > 1:
            return None
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def _axis(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise IndexError(axis)
    return axis % rank


def _each(count: int, *, keeps_type: bool) -> Rule:
    """An op of each element, or of each pair."""

    def rule(given, made, op):
        [out] = made
        kinds = {one.type for one in given}
        return (
            len(given) == count
            and out.shape == _broadcast([one.shape for one in given])
            and (count == 1 or len(kinds) == 1)
            and (not keeps_type or out.type in kinds)
            and len(out.shape) <= 6
        )

    return rule


def _choice(given, made, op):
    [out] = made
    return (
        len(given) == 3 and given[0].type == "BOOL" and given[1].type == given[2].type == out.type
        and out.shape == _broadcast([one.shape for one in given]) and len(out.shape) <= 5
    )  # fmt: skip


def _fully_connected(given, made, op):
    [out], (x, kernel) = made, given[:2]
    outputs, width = kernel.shape
    bias = given[2] if len(given) > 2 else None
    # Only in its own order: another one interleaves rows.
    return (
        len(given) <= 3 and op.option(1, "int8") == 0 and width > 0 and x.size % width == 0
        and (kernel.constant is None or bool(outputs)) and out.shape[-1] == outputs
        and out.size == x.size // width * outputs and (bias is None or bias.size == outputs)
        and x.shape[-1] == width
    )  # fmt: skip


def _batch_matmul(given, made, op):
    (x, y), [out] = given, made
    rows, inner = x.shape[-2:][:: -1 if op.option(0, "bool") else 1]
    other, columns = y.shape[-2:][:: -1 if op.option(1, "bool") else 1]
    batch = _broadcast([x.shape[:-2], y.shape[:-2]])
    return inner == other and len(out.shape) <= 5 and out.shape == (*batch, rows, columns)


def _gather(given, made, op):
    (table, places), [out] = given, made
    axis = _axis(op.option(0), len(table.shape))
    found = places.integers()
    return (
        op.option(1) == 0 and places.type in ("INT32", "INT64") and out.type == table.type
        and out.shape == table.shape[:axis] + places.shape + table.shape[axis + 1 :]
        and (found is None or all(0 <= one < table.shape[axis] for one in found))
        and table.shape[axis] > 0
    )  # fmt: skip


def _embedding_lookup(given, made, op):
    (places, table), [out] = given, made
    found = places.integers()
    return (
        places.type == "INT32" and len(places.shape) == 1 and len(table.shape) >= 2
        and out.shape == places.shape + table.shape[1:] and table.shape[0] > 0
        and (found is None or all(0 <= one < table.shape[0] for one in found))
    )  # fmt: skip


def _reshape(given, made, op):
    x, [out] = given[0], made
    wanted = given[1].integers() if len(given) == 2 else None
    if len(given) != 2 or wanted is None or len(given[1].shape) != 1 or wanted.count(-1) > 1:
        return False
    known = math.prod(size for size in wanted if size != -1)
    shape = tuple(x.size // known if size == -1 else size for size in wanted)
    return x.type == out.type and out.size == x.size and out.shape == shape


def _transpose(given, made, op):
    (x, order), [out] = given, made
    places = order.integers()
    return (
        sorted(places) == list(range(len(x.shape))) and len(x.shape) <= 6 and x.type == out.type
        and out.shape == tuple(x.shape[place] for place in places)
    )  # fmt: skip


def _concatenation(given, made, op):
    [out] = made
    axis = _axis(op.option(0), len(out.shape))
    rest = {one.shape[:axis] + one.shape[axis + 1 :] for one in given}
    return (
        {one.type for one in given} == {out.type}
        and rest == {out.shape[:axis] + out.shape[axis + 1 :]}
        and {len(one.shape) for one in given} == {len(out.shape)}
        and sum(one.shape[axis] for one in given) == out.shape[axis]
    )  # fmt: skip


def _pack(given, made, op):
    [out] = made
    axis = _axis(op.option(1), len(out.shape))
    return (
        op.option(0) == len(given) == out.shape[axis]
        and {one.shape for one in given} == {out.shape[:axis] + out.shape[axis + 1 :]}
        and {one.type for one in given} == {out.type}
    )


def _unpack(given, made, op):
    [x] = given
    axis = _axis(op.option(1), len(x.shape))
    return (
        op.option(0) == len(made) == x.shape[axis]
        and {one.shape for one in made} == {x.shape[:axis] + x.shape[axis + 1 :]}
        and {one.type for one in made} == {x.type}
    )


def _split(given, made, op):
    axis, x = given
    [place] = axis.integers()
    place = _axis(place, len(x.shape))
    part = x.shape[place] // len(made)
    shape = (*x.shape[:place], part, *x.shape[place + 1 :])
    return (
        op.option(0) == len(made) and part * len(made) == x.shape[place]
        and {one.shape for one in made} == {shape} and {one.type for one in made} == {x.type}
    )  # fmt: skip


def _slice(given, made, op):
    (x, begin, size), [out] = given, made
    first = begin.integers()
    if first is None:
        # A place that is computed: LiteRT compares it with the bounds when it runs.
        many = size.integers()
        return (
            begin.type in ("INT32", "INT64") and begin.shape == (len(x.shape),)
            and x.type == out.type and out.shape == tuple(many)
            and all(0 < few <= whole for few, whole in zip(many, x.shape, strict=True))
        )  # fmt: skip
    bounds = list(zip(x.shape, first, size.integers(), strict=True))
    return (
        len(x.shape) <= 5 and x.type == out.type
        and all(0 <= first <= whole for whole, first, _ in bounds)
        and all(many == -1 or 0 <= many <= whole - first for whole, first, many in bounds)
        and out.shape == tuple(
            whole - first if many == -1 else many for whole, first, many in bounds
        )
    )  # fmt: skip


def _strided_slice(given, made, op):
    x, [out] = given[0], made
    begin, end, strides = (one.integers() for one in given[1:])
    masks = [op.option(number) for number in range(5)]
    if op.option(5, "bool") or masks[2] or masks[3] or len(begin) != len(x.shape):
        return False
    shape = []
    for place, (whole, first, past, step) in enumerate(
        zip(x.shape, begin, end, strides, strict=True)
    ):
        is_one = masks[4] >> place & 1
        if step < 1 or (is_one and step != 1):
            return False
        first = 0 if masks[0] >> place & 1 and not is_one else first + whole * (first < 0)
        past = whole if masks[1] >> place & 1 else past + whole * (past < 0)
        first, past = min(max(first, 0), whole), min(max(past, 0), whole)
        if is_one:
            if first >= whole:
                return False
            continue
        shape.append(max(0, -((first - past) // step)))
    return len(x.shape) <= 5 and x.type == out.type and out.shape == tuple(shape)


def _reduce(given, made, op):
    (x, axes), [out] = given, made
    gone = {_axis(one, len(x.shape)) for one in axes.integers()}
    keeps = op.option(0, "bool")
    shape = tuple(
        1 if place in gone else size
        for place, size in enumerate(x.shape) if keeps or place not in gone
    )  # fmt: skip
    return x.type == out.type and out.shape == shape and len(x.shape) <= 6


def _update(given, made, op):
    (x, part, start), [out] = given, made
    return (
        out.shape == x.shape and len(part.shape) == len(x.shape)
        and all(few <= many for few, many in zip(part.shape, x.shape, strict=True))
        and start.shape == (len(x.shape),) and start.type in ("INT32", "INT64")
        and {x.type, part.type} == {out.type}
    )  # fmt: skip


def _expand(given, made, op):
    (x, axis), [out] = given, made
    [place] = axis.integers()
    place = _axis(place, len(out.shape))
    return x.type == out.type and out.shape == (*x.shape[:place], 1, *x.shape[place:])


def _same_elements(given, made, op):
    [x], [out] = given, made
    return x.type == out.type and [n for n in x.shape if n != 1] == [n for n in out.shape if n != 1]


def _padded(given, made, op):
    (x, sizes), [out] = given, made
    found = sizes.integers()
    pairs = list(zip(found[::2], found[1::2], strict=True))
    wide = [n + a + b for n, (a, b) in zip(x.shape, pairs, strict=True)]
    return min(found) >= 0 and x.type == out.type and list(out.shape) == wide


_CONV_2D, _FULLY_CONNECTED, _MAX_POOL_2D, _MUL, _BATCH_MATMUL = 3, 9, 17, 18, 126
# Ops that multiply their first two inputs, and with them the scales.
MULTIPLY = (_CONV_2D, _FULLY_CONNECTED, _MUL, _BATCH_MATMUL)
_UNARY, _CHANGED = _each(1, keeps_type=True), _each(1, keeps_type=False)
_BINARY, _COMPARED = _each(2, keeps_type=True), _each(2, keeps_type=False)
# By the schema's numbers.
RULES: dict[int, tuple[str, Rule]] = {
    0: ("ADD", _BINARY), 2: ("CONCATENATION", _concatenation), 3: ("CONV_2D", convolution),
    6: ("DEQUANTIZE", _CHANGED), 7: ("EMBEDDING_LOOKUP", _embedding_lookup), 8: ("FLOOR", _UNARY),
    9: ("FULLY_CONNECTED", _fully_connected), 11: ("L2_NORMALIZATION", _UNARY),
    14: ("LOGISTIC", _UNARY), 17: ("MAX_POOL_2D", max_pool), 18: ("MUL", _BINARY),
    19: ("RELU", _UNARY), 21: ("RELU6", _UNARY), 22: ("RESHAPE", _reshape),
    25: ("SOFTMAX", _UNARY), 28: ("TANH", _UNARY), 34: ("PAD", _padded), 36: ("GATHER", _gather),
    39: ("TRANSPOSE", _transpose), 40: ("MEAN", _reduce), 41: ("SUB", _BINARY),
    42: ("DIV", _BINARY), 43: ("SQUEEZE", _same_elements),
    45: ("STRIDED_SLICE", _strided_slice), 47: ("EXP", _UNARY), 49: ("SPLIT", _split),
    50: ("LOG_SOFTMAX", _UNARY), 53: ("CAST", _CHANGED), 55: ("MAXIMUM", _BINARY),
    57: ("MINIMUM", _BINARY), 58: ("LESS", _COMPARED), 59: ("NEG", _UNARY),
    61: ("GREATER", _COMPARED), 62: ("GREATER_EQUAL", _COMPARED), 63: ("LESS_EQUAL", _COMPARED),
    64: ("SELECT", _choice), 65: ("SLICE", _slice), 66: ("SIN", _UNARY),
    70: ("EXPAND_DIMS", _expand), 71: ("EQUAL", _COMPARED), 72: ("NOT_EQUAL", _COMPARED),
    73: ("LOG", _UNARY), 74: ("SUM", _reduce), 75: ("SQRT", _UNARY), 76: ("RSQRT", _UNARY),
    82: ("REDUCE_MAX", _reduce), 83: ("PACK", _pack), 84: ("LOGICAL_OR", _BINARY),
    86: ("LOGICAL_AND", _BINARY), 87: ("LOGICAL_NOT", _UNARY), 88: ("UNPACK", _unpack),
    92: ("SQUARE", _UNARY), 99: ("SQUARED_DIFFERENCE", _BINARY), 101: ("ABS", _UNARY),
    108: ("COS", _UNARY), 114: ("QUANTIZE", _CHANGED), 117: ("HARD_SWISH", _UNARY),
    123: ("SELECT_V2", _choice), 126: ("BATCH_MATMUL", _batch_matmul), 150: ("GELU", _UNARY),
    151: ("DYNAMIC_UPDATE_SLICE", _update),
}  # fmt: skip
