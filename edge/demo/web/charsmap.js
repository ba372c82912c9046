/** SentencePiece's precompiled table of characters: what each sequence is replaced by. */

const [LABEL, HAS_VALUE, VALUE] = [0x800000ff, 0x100, 0x7fffffff];
const DAMAGED = "The file's table of characters is damaged.";
const UTF8 = new TextEncoder();

export class Charsmap {
  /** @param {Uint8Array} data the size of a trie (darts-clone), the trie, and the results */
  constructor(data) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const size = data.length < 8 ? 0 : view.getUint32(0, true);
    if (size % 4 || size < 4 || size > data.length - 4) throw new Error(DAMAGED);
    this.units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
    this.results = data.subarray(4 + size);
  }

  /** Returns a text with the longest sequence of the table replaced at each position. */
  normalize(text) {
    const bytes = UTF8.encode(text);
    const kept = [];
    for (let start = 0; start < bytes.length; ) {
      const { length, result } = this.#longest(bytes, start);
      if (result) for (const byte of result) kept.push(byte);
      else for (let i = start; i < start + length; i++) kept.push(bytes[i]);
      start += length;
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(kept));
  }

  /** Returns the longest sequence at a position, or its character, and the result if there is one. */
  #longest(bytes, start) {
    const { units } = this;
    let longest = { length: characterBytes(bytes[start]), result: null };
    let place = offset(units[0]);
    for (let end = start; end < bytes.length; end++) {
      // NUL is no part of a sequence: what would lead to it is a value.
      if (bytes[end] === 0) break;
      place ^= bytes[end];
      const unit = units[place];
      if (unit === undefined || (unit & LABEL) >>> 0 !== bytes[end]) break;
      place ^= offset(unit);
      if (unit & HAS_VALUE) {
        longest = { length: end + 1 - start, result: this.#resultAt(units[place] & VALUE) };
      }
    }
    return longest;
  }

  #resultAt(start) {
    const end = this.results.indexOf(0, start);
    if (end < 0) throw new Error(DAMAGED);
    return this.results.subarray(start, end);
  }
}

function offset(unit) {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

/** The number of bytes of a character that begins with a byte. */
function characterBytes(first) {
  if (first < 0x80) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}
