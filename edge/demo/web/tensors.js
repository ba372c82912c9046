/** The tensors of a graph, read from bytes that nobody vouches for. */

import { Damaged } from "./flatbuffer.js";

// The schema's numbers of the types, with their bits. Others are no tensor's that `convert` writes.
const TYPES = new Map([
  [0, ["FLOAT32", 32]], [1, ["FLOAT16", 16]], [2, ["INT32", 32]], [3, ["UINT8", 8]],
  [4, ["INT64", 64]], [5, ["STRING", 0]], [6, ["BOOL", 8]], [7, ["INT16", 16]], [9, ["INT8", 8]],
  [10, ["FLOAT64", 64]], [12, ["UINT64", 64]], [15, ["UINT32", 32]], [16, ["UINT16", 16]],
  [17, ["INT4", 4]], [19, ["INT2", 2]],
]);
const RANGES = {
  INT2: [-2, 1], INT4: [-8, 7], INT8: [-128, 127], UINT8: [0, 255], INT16: [-32768, 32767],
};
const [MOST_ELEMENTS, MOST_RANK] = [2 ** 31, 8];
const [LEAST_SCALE, MOST_SCALE] = [1e-30, 1e30];
const BLOCKWISE = 2;

/** Throws unless an index is one of so many. */
export function checkIndex(what, index, count) {
  if (!(index >= 0 && index < count)) throw new Damaged(`a ${what} is number ${index} of ${count}`);
}

/**
 * @typedef {object} Tensor
 * @property {string} type such as `INT8`
 * @property {number} bits of an element
 * @property {number[]} shape
 * @property {number} size elements
 * @property {?Uint8Array} constant its bytes, null of what is given or computed
 * @property {?number[]} blocks of a constant with a scale for each stretch of its last axis: the
 *     tensor of the scales and the elements of a stretch
 */

/**
 * Reads a tensor.
 * @param {Table} table
 * @param {Uint8Array[]} buffers of the file
 * @return {Tensor}
 */
export function readTensor(table, buffers) {
  const kind = table.scalar(1, "int8");
  if (!TYPES.has(kind)) throw new Damaged(`a tensor is of type ${kind}`);
  const [type, bits] = TYPES.get(kind);
  const shape = table.numbers(0);
  const size = product(shape);
  if (shape.length > MOST_RANK || shape.some((one) => one < 0) || size > MOST_ELEMENTS) {
    throw new Damaged(`a tensor has the shape ${listed(shape.slice(0, MOST_RANK + 1))}`);
  }
  const signature = table.has(7) ? table.numbers(7) : shape;
  const isOwn = (one, i) => one === -1 || one === shape[i];
  if (signature.length !== shape.length || !signature.every(isOwn)) {
    throw new Damaged(`a tensor has the shape ${listed(shape)} and another one for callers`);
  }
  const isOdd = table.scalar(5, "bool") || table.has(6) || table.has(9);
  if (isOdd || table.scalar(10, "uint32")) {
    throw new Damaged("a tensor is a variable, sparse, of many types or outside the file");
  }
  const buffer = table.scalar(2, "uint32");
  checkIndex("buffer of a tensor", buffer, buffers.length);
  const data = buffers[buffer];
  const constant = data.length || (buffer && shape.includes(0)) ? data : null;
  if (data.length && type === "STRING") checkStrings(data, size);
  else if (data.length && data.length !== Math.ceil((size * bits) / 8)) {
    const what = `a constant of ${type} and the shape ${listed(shape)}`;
    throw new Damaged(`${what} has ${data.length} bytes`);
  }
  const quantization = table.table(4);
  const blocks = quantization && readBlocks(quantization);
  if (quantization && !blocks) checkScales(quantization, type, shape);
  table.text(3);
  return { type, bits, shape, size, constant, blocks };
}

/** Throws unless the scales of a tensor's blocks are constants that fit it. */
export function checkBlocks({ shape, size, constant, blocks: [place, stretch] }, tensors) {
  checkIndex("tensor of scales", place, tensors.length);
  const scales = tensors[place];
  const last = shape.at(-1);
  const isWhole = stretch >= 1 && last !== undefined && last % stretch === 0;
  const areFloats = scales.constant && ["FLOAT16", "FLOAT32"].includes(scales.type);
  if (!isWhole || !constant || !areFloats || scales.size !== size / stretch) {
    throw new Damaged(
      `a tensor of the shape ${listed(shape)} has ${scales.size} scales of blocks of ${stretch}`,
    );
  }
  // The exponent of NaN and of infinities is all ones.
  const [width, exponent] = scales.type === "FLOAT16" ? [2, 0x7c] : [4, 0x7f];
  const { constant: bytes } = scales;
  for (let end = width; end <= bytes.length; end += width) {
    const [high, next] = [bytes[end - 1], bytes[end - 2]];
    if ((high & exponent) === exponent && (width === 2 || next & 0x80)) {
      throw new Damaged("a tensor has scales of blocks that are not finite");
    }
  }
}

function readBlocks(quantization) {
  if (quantization.scalar(4, "uint8") !== BLOCKWISE) return null;
  const details = quantization.table(5);
  if (!details) throw new Damaged("a tensor has blocks of no size");
  return [details.scalar(0, "int32"), details.scalar(2, "int32")];
}

function checkScales(quantization, type, shape) {
  const scales = quantization.numbers(2, "float32");
  const zeroPoints = quantization.numbers(3, "int64");
  if (quantization.scalar(4, "uint8") || quantization.has(5)) {
    throw new Damaged("a tensor is quantized in another way than by scale and zero point");
  }
  if (!scales.length) {
    if (zeroPoints.length) throw new Damaged("a tensor has zero points without a scale");
    return;
  }
  const axis = quantization.scalar(6, "int32");
  const whose = `a tensor of the shape ${listed(shape)}`;
  if (!(axis >= 0 && axis < Math.max(1, shape.length))) {
    throw new Damaged(`${whose} has scales along axis ${axis}`);
  }
  const isCount = scales.length === 1 || scales.length === shape[axis];
  if (!isCount || zeroPoints.length !== scales.length) {
    const counts = `${scales.length} scales and ${zeroPoints.length} zero points`;
    throw new Damaged(`${whose} has ${counts}`);
  }
  // NaN is within no bounds.
  const wrong = scales.find((scale) => !(scale >= LEAST_SCALE && scale <= MOST_SCALE));
  if (wrong !== undefined) throw new Damaged(`a tensor has scales from ${wrong}`);
  const [low, high] = RANGES[type] ?? [0, 0];
  if (zeroPoints.some((one) => one < low || one > high)) {
    throw new Damaged(`a tensor of ${type} has zero points outside ${low} to ${high}`);
  }
}

/** Throws unless these are so many strings as TFLite keeps them. */
function checkStrings(data, size) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const count = data.length < 4 ? -1 : view.getUint32(0, true);
  const head = 4 * (count + 2);
  if (count !== size || head > data.length) {
    throw new Damaged(`a constant of ${size} strings has ${data.length} bytes`);
  }
  const bounds = Array.from({ length: count + 1 }, (_, i) => view.getInt32(4 + 4 * i, true));
  const isOrdered = bounds.every((one, i) => i === 0 || one >= bounds[i - 1]);
  if (bounds[0] !== head || bounds[count] !== data.length || !isOrdered) {
    throw new Damaged("a constant's strings lie outside it");
  }
}

function product(shape) {
  return shape.reduce((all, one) => all * one, 1);
}

function listed(shape) {
  return `[${shape.join(", ")}]`;
}
