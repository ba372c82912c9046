/**
 * Checks the graphs of a file before LiteRT.js sees them, as `Runner` checks their structure: every
 * index points at something, every constant has the bytes of its shape, every op reads what was
 * made before it, and what is computed has bounds.
 */

import { Damaged, root } from "./flatbuffer.js";
import { checkBlocks, checkIndex, readTensor } from "./tensors.js";

const VERSION = 3;
const ABSENT = -1; // stands for an optional input that is not given
const MOST = { graphs: 256, tensors: 100_000, ops: 100_000, buffers: 400_000 };
// What a file of so many bytes may take: bytes of what is computed at one time, multiplications.
const [MEMORY, MEMORY_PER_BYTE] = [2 ** 30, 8];
const [WORK, WORK_PER_BYTE] = [30_000_000_000, 4_000];
const MATMULS = [9, 126]; // FULLY_CONNECTED, BATCH_MATMUL

/**
 * Throws an error of one sentence unless the graphs of a file are whole in themselves.
 * @param {Uint8Array} flatbuffer
 */
export function checkGraphs(flatbuffer) {
  try {
    for (const graph of readGraphs(flatbuffer)) checkCosts(graph, flatbuffer.length);
  } catch (error) {
    if (error instanceof Damaged) throw new Error(`The file is damaged: ${error.message}.`);
    throw error;
  }
}

function readGraphs(flatbuffer) {
  const model = root(flatbuffer);
  const version = model.scalar(0, "uint32");
  if (version !== VERSION) throw new Damaged(`it is of TFLite's version ${version}, not ${VERSION}`);
  if (model.has(8) || model.has(9)) throw new Damaged("it refers to buffers of other files");
  const codes = model.tables(1, MOST.ops).map(readCode);
  const buffers = model.tables(4, MOST.buffers).map(readBuffer);
  if (!buffers.length || buffers[0].length) {
    throw new Damaged("its buffer 0, of all that is computed, is not there or not empty");
  }
  const graphs = model.tables(2, MOST.graphs).map((one) => readGraph(one, codes, buffers));
  if (!graphs.length) throw new Damaged("it has no graph");
  for (const one of model.tables(6, MOST.buffers)) {
    one.text(0);
    checkIndex("buffer of its metadata", one.scalar(1, "uint32"), buffers.length);
  }
  const names = new Set();
  for (const one of model.tables(7, MOST.graphs)) {
    const name = one.text(2);
    if (names.has(name)) throw new Damaged(`it has two signatures ${JSON.stringify(name)}`);
    names.add(name);
    checkSignature(JSON.stringify(name), one, graphs);
  }
  return graphs;
}

function readCode(table) {
  table.text(1);
  // Old writers fill only the deprecated 8-bit field.
  return Math.max(table.scalar(3, "int32"), table.scalar(0, "int8"));
}

function readBuffer(table) {
  if (table.scalar(1, "uint64") > 1) throw new Damaged("a buffer stands outside the flatbuffer");
  return table.bytes(0);
}

function readGraph(table, codes, buffers) {
  const tensors = table.tables(0, MOST.tensors).map((one) => readTensor(one, buffers));
  for (const one of tensors) if (one.blocks) checkBlocks(one, tensors);
  const [inputs, outputs] = [table.numbers(1), table.numbers(2)];
  const ops = table.tables(3, MOST.ops).map((one) => readOp(one, codes));
  const made = tensors.map(({ constant }) => constant !== null);
  for (const place of inputs) {
    checkIndex("graph's input", place, tensors.length);
    if (made[place]) {
      throw new Damaged(`an input of a graph, tensor ${place}, is a constant or given twice`);
    }
    made[place] = true;
  }
  for (const [number, op] of ops.entries()) {
    for (const place of op.inputs) {
      if (place === ABSENT) continue;
      checkIndex(`tensor that op ${number} reads`, place, tensors.length);
      if (!made[place]) throw new Damaged(`op ${number} reads tensor ${place} before it is made`);
    }
    for (const place of op.outputs) {
      checkIndex(`tensor that op ${number} makes`, place, tensors.length);
      if (made[place]) {
        throw new Damaged(`op ${number} makes tensor ${place}, which is there before it`);
      }
      made[place] = true;
    }
  }
  for (const place of outputs) {
    checkIndex("graph's output", place, tensors.length);
    if (!made[place]) throw new Damaged(`an output of a graph, tensor ${place}, is made by no op`);
  }
  return { tensors, inputs, outputs, ops };
}

function readOp(table, codes) {
  const index = table.scalar(0, "uint32");
  checkIndex("kind of an op", index, codes.length);
  if (table.has(9) && table.scalar(9, "uint64")) {
    throw new Damaged("an op has options outside the flatbuffer");
  }
  if (table.bytes(7).length || table.bytes(8).length) {
    throw new Damaged("an op changes what it reads, or has tensors of its own");
  }
  table.bytes(5);
  table.table(12);
  const [inputs, outputs] = [table.numbers(1), table.numbers(2)];
  table.table(4);
  return { code: codes[index], inputs, outputs };
}

function checkSignature(name, table, graphs) {
  const index = table.scalar(4, "uint32");
  checkIndex(`graph of the signature ${name}`, index, graphs.length);
  const { inputs, outputs } = graphs[index];
  for (const [number, places, what] of [[0, inputs, "input"], [1, outputs, "output"]]) {
    const named = new Map();
    for (const one of table.tables(number, MOST.tensors)) {
      const [end, place] = [one.text(0), one.scalar(1, "uint32")];
      if (!places.includes(place) || named.has(end)) {
        const shown = JSON.stringify(end);
        throw new Damaged(`the signature ${name} has an ${what} ${shown} that its graph has not`);
      }
      named.set(end, place);
    }
    if (new Set(named.values()).size !== new Set(places).size) {
      throw new Damaged(`the signature ${name} does not name each ${what} of its graph`);
    }
  }
}

/** Throws where a graph takes more than a file of its size may. */
function checkCosts(graph, size) {
  const costs = [
    ["bytes of memory", peakMemory(graph), MEMORY + MEMORY_PER_BYTE * size],
    ["multiplications", work(graph), WORK + WORK_PER_BYTE * size],
  ];
  for (const [what, found, most] of costs) {
    if (found > most) {
      throw new Damaged(`a graph takes ${found} ${what}, more than ${most} in a file of its size`);
    }
  }
}

/** The most bytes of tensors that are held at one time. */
function peakMemory({ tensors, inputs, outputs, ops }) {
  const bytes = (places) =>
    places
      .filter((place) => place >= 0 && tensors[place].constant === null)
      .reduce((all, place) => all + Math.floor((tensors[place].size * tensors[place].bits) / 8), 0);
  const last = new Map();
  for (const [number, op] of ops.entries()) {
    for (const place of [...op.inputs, ...op.outputs]) last.set(place, number);
  }
  const ends = new Set([...inputs, ...outputs]);
  let held = bytes(inputs);
  let peak = held;
  for (const [number, op] of ops.entries()) {
    held += bytes(op.outputs);
    peak = Math.max(peak, held);
    const gone = new Set([...op.inputs, ...op.outputs].filter((one) => last.get(one) === number));
    held -= bytes([...gone].filter((place) => !ends.has(place)));
  }
  return peak;
}

/** About how many multiplications a graph takes. */
function work({ tensors, ops }) {
  return ops.reduce((all, { code, inputs, outputs }) => {
    const made = outputs.reduce((sum, place) => sum + tensors[place].size, 0);
    const width = MATMULS.includes(code) ? (tensors[inputs[0]]?.shape.at(-1) ?? 1) : 1;
    return all + made * Math.max(1, width);
  }, 0);
}
