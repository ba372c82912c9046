/** Byte-level BPE: UTF-8 bytes, merged within the parts of a text (GPT-2). */

import { merge } from "./merges.js";
import { decodeBytes, idsOf, pieceRank, splitAround } from "./pieces.js";
import { splitter } from "./splitters.js";
import { wholeText } from "./text.js";

const UTF8 = new TextEncoder();
const ALPHABET = alphabet();
const BYTES = new Map(ALPHABET.map((character, byte) => [character, byte]));
const SPACE_SHOWN = "\u2581";

export class ByteBPE {
  /**
   * @param {Vocabulary} vocabulary whose pieces are written in GPT-2's alphabet of bytes
   * @param {UnicodeTable} table
   * @param {object} settings of the tokenizer
   */
  constructor({ pieces, merges }, table, settings) {
    this.size = pieces.length;
    this.ids = idsOf(pieces);
    this.table = table;
    this.normalization = settings.normalization;
    this.hasPrefix = settings.prefix_space;
    this.added = splitAround(settings.added);
    this.addedPieces = new Set(settings.added);
    this.splitParts = splitter(settings.splitter, table);
    this.rank = pieceRank(this.ids, merges);
    const asText = new Set([...settings.special.names, ...settings.added]);
    this.bytes = pieces.map((piece) => pieceBytes(piece, asText.has(piece)));
    this.isWhole = (piece) => settings.whole_words && this.ids.has(piece) && !asText.has(piece);
  }

  encode(text) {
    return this.split(text).flatMap((part) => this.#match(part));
  }

  /** Returns the parts, which are matched one by one. */
  split(text) {
    let whole = wholeText(text);
    if (this.normalization === "nfc") whole = this.table.normalize(whole, "NFC");
    if (!this.added) return this.#parts(whole);
    // Every second is an added piece.
    return whole.split(this.added).flatMap((run, i) => (i % 2 ? [run] : this.#parts(run)));
  }

  decode(ids) {
    return decodeBytes(ids.flatMap((id) => this.bytes[id]));
  }

  /** Returns a piece as it is shown: its text, or the bytes of a part of a character. */
  name(id) {
    const bytes = this.bytes[id];
    const text = decodeBytes(bytes);
    if (!text.includes("\ufffd")) return text.replaceAll(" ", SPACE_SHOWN);
    return bytes.map((byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`).join("");
  }

  #parts(text) {
    const hasPrefix = this.hasPrefix && text && !text.startsWith(" ");
    return this.splitParts(hasPrefix ? ` ${text}` : text);
  }

  #match(part) {
    if (this.addedPieces.has(part)) return [this.ids.get(part)];
    // Published vocabularies lack some control characters, which are left out.
    const symbols = Array.from(UTF8.encode(part), (byte) => ALPHABET[byte]).filter((symbol) =>
      this.ids.has(symbol),
    );
    const whole = symbols.join("");
    if (this.isWhole(whole)) return [this.ids.get(whole)];
    return merge(symbols, this.rank).map((piece) => this.ids.get(piece));
  }
}

/** The character that stands for each byte: itself if it is printed, else a later one. */
function alphabet() {
  const isPrinted = (byte) =>
    (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte < 0x100 && byte !== 0xad);
  let later = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrinted(byte) ? byte : later++),
  );
}

/** The bytes of a piece; one that is not in the alphabet of bytes is text. */
function pieceBytes(piece, isText) {
  const bytes = Array.from(piece, (character) => BYTES.get(character));
  return isText || bytes.includes(undefined) ? Array.from(UTF8.encode(piece)) : bytes;
}
