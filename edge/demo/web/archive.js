/**
 * Reads a file that `keras-transformer convert` wrote: a TFLite flatbuffer with a ZIP archive of
 * its description, tokenizer and labels behind it, whose comment is the hash of all before it.
 */

import { sha256 } from "./sha256.js";

export const FORMAT = "keras-transformer-zoo tflite 1";
const DESCRIPTION = "model.json";
const KNOWN = /^(model\.json|labels\.txt|(target_)?(tokenizer\.json|vocab\.txt|characters\.json|sentencepiece\.tsv|bpe\.json|charsmap\.bin))$/;
const [END, ENTRY, LOCAL, STORED, DEFLATED] = [0x06054b50, 0x02014b50, 0x04034b50, 0, 8];
const [END_BYTES, ENTRY_BYTES, LOCAL_BYTES, HASH_BYTES] = [22, 46, 30, 64];
// As `Runner` has it.
const [MOST_MEMBERS, MOST_MEMBER_BYTES, MOST_BYTES] = [64, 64 << 20, 128 << 20];
const FOREIGN =
  "The file is not as keras-transformer convert wrote it: it was made by another program, cut " +
  "short or changed.";
const DAMAGED = "The file's archive is damaged.";

/**
 * Takes a file apart.
 * @param {Uint8Array} data
 * @return {Promise<{flatbuffer: Uint8Array, description: object, files: Map<string, Uint8Array>}>}
 */
export async function unpack(data) {
  const body = data.subarray(0, Math.max(0, data.length - HASH_BYTES));
  if (sha256(body) !== ascii(data.subarray(body.length))) throw new Error(FOREIGN);
  let files;
  try {
    files = await readArchive(data);
  } catch (error) {
    throw error instanceof RangeError ? new Error(DAMAGED) : error; // of a place outside the file
  }
  const description = parsed(textOf(files, DESCRIPTION));
  if (description?.format !== FORMAT) {
    throw new Error(`The file is of the format ${description?.format}; this page reads ${FORMAT}.`);
  }
  const size = description.flatbuffer_bytes;
  if (!Number.isInteger(size) || size < 8 || size > data.length) {
    throw new Error(`The file says that its graph has ${size} bytes.`);
  }
  return { flatbuffer: data.subarray(0, size), description, files };
}

/** Returns the text of one of the files. */
export function textOf(files, name) {
  if (!files.has(name)) throw new Error(`The file holds no ${name}.`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(files.get(name));
  } catch {
    throw new Error(`${name} of the file is not UTF-8.`);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${DESCRIPTION} of the file is not JSON.`);
  }
}

function ascii(bytes) {
  return String.fromCharCode(...bytes);
}

async function readArchive(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const end = data.length - HASH_BYTES - END_BYTES;
  if (view.getUint32(end, true) !== END) throw new RangeError("no archive");
  const size = view.getUint32(end + 12, true);
  // Offsets count from where the archive's writer began, which need not be the file's start.
  const shift = end - size - view.getUint32(end + 16, true);
  const count = view.getUint16(end + 10, true);
  if (count > MOST_MEMBERS) throw new Error(`The file's archive has ${count} members.`);
  const files = new Map();
  let left = MOST_BYTES;
  let place = end - size;
  for (let number = 0; number < count; number++) {
    if (view.getUint32(place, true) !== ENTRY) throw new RangeError("no entry");
    const method = view.getUint16(place + 10, true);
    const packed = view.getUint32(place + 20, true);
    const nameLength = view.getUint16(place + 28, true);
    const rest = view.getUint16(place + 30, true) + view.getUint16(place + 32, true);
    const local = view.getUint32(place + 42, true) + shift;
    const name = ascii(data.subarray(place + ENTRY_BYTES, place + ENTRY_BYTES + nameLength));
    place += ENTRY_BYTES + nameLength + rest;
    if (!KNOWN.test(name)) continue;
    if (files.has(name)) throw new Error(`The file's archive holds ${name} twice.`);
    if (view.getUint32(local, true) !== LOCAL) throw new RangeError("no member");
    const localRest = view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const start = local + LOCAL_BYTES + localRest;
    if (start + packed > end) throw new RangeError("cut short");
    const most = Math.min(left, MOST_MEMBER_BYTES);
    const bytes = await inflated(data.subarray(start, start + packed), method, most, name);
    left -= bytes.length;
    files.set(name, bytes);
  }
  return files;
}

async function inflated(bytes, method, most, name) {
  const tooLarge = () => new Error(`${name} of the file inflates to more than ${most} bytes.`);
  if (method === STORED) {
    if (bytes.length > most) throw tooLarge();
    return bytes;
  }
  if (method !== DEFLATED) throw new Error(`The file's archive is packed by method ${method}.`);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const reader = stream.getReader();
  const pieces = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new Error(DAMAGED);
    });
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw tooLarge();
    }
    pieces.push(value);
  }
  const whole = new Uint8Array(size);
  let place = 0;
  for (const piece of pieces) {
    whole.set(piece, place);
    place += piece.length;
  }
  return whole;
}
