/** SentencePiece's BPE: characters of a whole text, merged into pieces of a vocabulary. */

import { Marker, SPACE } from "./marked.js";
import { merge } from "./merges.js";
import { byteIdsOf, decodeBytes, idsOf, pieceBytes, pieceRank, splitAround } from "./pieces.js";

const UTF8 = new TextEncoder();
// A word with the run of spaces before it, or a run of spaces at the end.
const WORDS = /\u2581*[^\u2581]+|\u2581+/g;
// A piece that goes on behind a space.
const ACROSS = /[^\u2581]\u2581/;

export class SentenceBPE {
  /**
   * @param {Vocabulary} vocabulary with merges or scores
   * @param {object} settings of the tokenizer
   */
  constructor({ pieces, scores, merges, charsmap }, settings) {
    const { special, added } = settings;
    this.size = pieces.length;
    this.names = pieces;
    this.ids = idsOf(pieces);
    this.marker = new Marker(charsmap, settings);
    this.added = splitAround(added);
    this.addedPieces = new Set(added);
    this.unknown = this.ids.get(special.unknown);
    this.byteIds = settings.byte_fallback ? byteIdsOf(this.ids) : null;
    this.bytes = pieceBytes(pieces, this.byteIds);
    const hidden = new Set([...special.names, ...(this.byteIds ?? []).map((id) => pieces[id])]);
    this.known = new Map([...this.ids].filter(([piece]) => !hidden.has(piece)));
    if (merges.length) {
      this.rank = pieceRank(this.ids, merges);
    } else {
      const ranks = new Map();
      for (const [piece, id] of this.known) {
        const isFrozen = this.addedPieces.has(piece) || scores[id] === -Infinity;
        if (!isFrozen) ranks.set(piece, -Math.fround(scores[id]));
      }
      this.rank = (left, right) => ranks.get(left + right);
    }
    this.splitsWords = ![...this.known.keys()].some((piece) => ACROSS.test(piece));
  }

  encode(text) {
    return this.split(text).flatMap((part) => this.#match(part));
  }

  /** Returns the parts, which are matched one by one. */
  split(text) {
    const marked = this.marker.mark(text);
    if (!this.added) return this.#parts(marked);
    // Every second is an added piece.
    return marked.split(this.added).flatMap((run, i) => (i % 2 ? [run] : this.#parts(run)));
  }

  decode(ids) {
    const text = decodeBytes(ids.flatMap((id) => this.bytes[id])).replaceAll(SPACE, " ");
    return this.marker.hasPrefix ? text.replace(/^ /, "") : text;
  }

  name(id) {
    return this.names[id];
  }

  #parts(marked) {
    if (this.splitsWords) return marked.match(WORDS) ?? [];
    return marked ? [marked] : [];
  }

  #bytesOf(piece) {
    return Array.from(UTF8.encode(piece), (byte) => this.byteIds[byte]);
  }

  #match(part) {
    if (this.addedPieces.has(part)) return [this.ids.get(part)];
    const found = [];
    let wasUnknown = false;
    for (const piece of merge(Array.from(part), this.rank)) {
      const known = this.known.get(piece);
      if (known !== undefined) found.push(known);
      else if (this.byteIds) found.push(...this.#bytesOf(piece));
      else if (!wasUnknown) found.push(this.unknown);
      wasUnknown = known === undefined;
    }
    return found;
  }
}
