/**
 * Reads a file that `keras-transformer convert` wrote: a TFLite flatbuffer with a ZIP archive of
 * its description, tokenizer and labels behind it.
 */

export const FORMAT = "keras-transformer-zoo tflite 1";
const DESCRIPTION = "model.json";
const [END, ENTRY, STORED, DEFLATED] = [0x06054b50, 0x02014b50, 0, 8];
const [END_BYTES, ENTRY_BYTES, LOCAL_BYTES] = [22, 46, 30];

/**
 * Takes a file apart.
 * @param {Uint8Array} data
 * @return {Promise<{flatbuffer: Uint8Array, description: object, files: Map<string, Uint8Array>}>}
 */
export async function unpack(data) {
  const files = await readArchive(data);
  const description = JSON.parse(textOf(files, DESCRIPTION));
  if (description.format !== FORMAT) {
    throw new Error(`The file is of the format ${description.format}; this page reads ${FORMAT}.`);
  }
  return { flatbuffer: data.subarray(0, description.flatbuffer_bytes), description, files };
}

/** Returns the text of one of the files. */
export function textOf(files, name) {
  if (!files.has(name)) throw new Error(`The file holds no ${name}.`);
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(files.get(name));
}

async function readArchive(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const end = findEnd(view);
  const size = view.getUint32(end + 12, true);
  // Offsets count from where the archive's writer began, which need not be the file's start.
  const shift = end - size - view.getUint32(end + 16, true);
  const files = new Map();
  let place = end - size;
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(place, true) !== ENTRY) throw new Error("The file's archive is damaged.");
    const method = view.getUint16(place + 10, true);
    const packed = view.getUint32(place + 20, true);
    const nameLength = view.getUint16(place + 28, true);
    const rest = view.getUint16(place + 30, true) + view.getUint16(place + 32, true);
    const local = view.getUint32(place + 42, true) + shift;
    const name = data.subarray(place + ENTRY_BYTES, place + ENTRY_BYTES + nameLength);
    const localRest = view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const start = local + LOCAL_BYTES + localRest;
    const bytes = await inflated(data.subarray(start, start + packed), method);
    files.set(new TextDecoder().decode(name), bytes);
    place += ENTRY_BYTES + nameLength + rest;
  }
  return files;
}

function findEnd(view) {
  for (let place = view.byteLength - END_BYTES; place >= 0; place--) {
    const reachesEnd = () =>
      place + END_BYTES + view.getUint16(place + 20, true) === view.byteLength;
    if (view.getUint32(place, true) === END && reachesEnd()) return place;
  }
  throw new Error("The file was not written by keras-transformer convert, or was cut short.");
}

async function inflated(bytes, method) {
  if (method === STORED) return bytes;
  if (method !== DEFLATED) throw new Error(`The file's archive is packed by method ${method}.`);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
