/** SentencePiece's unigram model: each word is cut into its most probable pieces. */

import { SPECIAL_TOKENS, decodeBytes, idsOf } from "./pieces.js";
import { split } from "./text.js";

const SPACE = "\u2581";
const BYTE = /^<0x([0-9A-F]{2})>$/;
// What a character outside the vocabulary costs more than the least probable piece.
const UNKNOWN_PENALTY = 10;
const UTF8 = new TextEncoder();

export class Unigram {
  /**
   * @param {string[]} pieces in the order of their ids
   * @param {number[]} scores log probability of each
   * @param {Folding} folding
   * @param {{normalization: string}} settings; a file without it means NFKC
   */
  constructor(pieces, scores, folding, { normalization }) {
    this.names = pieces;
    this.ids = idsOf(pieces);
    this.folding = folding;
    this.isIdentity = normalization === "identity";
    this.byteIds = new Array(256);
    this.bytes = pieces.map((piece) => Array.from(UTF8.encode(piece)));
    this.edges = new Map();
    this.longest = 1;
    let lowest = Infinity;
    pieces.forEach((piece, id) => {
      const byte = BYTE.exec(piece);
      if (byte) {
        const value = parseInt(byte[1], 16);
        this.byteIds[value] = id;
        this.bytes[id] = [value];
      } else if (!SPECIAL_TOKENS.includes(piece)) {
        const score = Math.fround(scores[id]);
        this.edges.set(piece, { ids: [id], score });
        this.longest = Math.max(this.longest, Array.from(piece).length);
        lowest = Math.min(lowest, score);
      }
    });
    this.unknown = Math.fround((this.edges.size ? lowest : 0) - UNKNOWN_PENALTY);
  }

  encode(text) {
    return this.words(text).flatMap((word) => this.#match(SPACE + word));
  }

  /** Returns the words, which are matched one by one. */
  words(text) {
    if (this.isIdentity) {
      const folded = this.folding.fold(text);
      return folded ? folded.replaceAll(SPACE, " ").split(" ") : [];
    }
    const folded = this.folding.fold(this.folding.table.normalize(text));
    return split(folded.replaceAll(SPACE, " "));
  }

  decode(ids) {
    const text = decodeBytes(ids.flatMap((id) => this.bytes[id]));
    return text.replaceAll(SPACE, " ").replace(/^ /, "");
  }

  /** Whether a piece is or holds a line break. */
  breaksLine(id) {
    const isEnd = (byte) => byte === 10 || byte === 13;
    return this.bytes[id].some(isEnd) || this.names[id].includes("\x85");
  }

  /** Whether a piece goes on with a word. */
  continues(id) {
    const piece = this.names[id];
    return !piece.startsWith(SPACE) && !SPECIAL_TOKENS.includes(piece);
  }

  /**
   * Returns the ids of the best path. As in SentencePiece, a sum is compared in double precision
   * and kept in single, but one that ends with an unknown character is rounded before.
   */
  #match(word) {
    const characters = Array.from(word);
    const scores = new Float32Array(characters.length + 1);
    const arrivals = new Array(characters.length + 1);
    const arrive = (start, end, ids, total) => {
      if (arrivals[end] === undefined || total > scores[end]) {
        scores[end] = total;
        arrivals[end] = { start, ids };
      }
    };
    for (let start = 0; start < characters.length; start++) {
      const last = Math.min(characters.length, start + this.longest);
      let piece = "";
      for (let end = start + 1; end <= last; end++) {
        piece += characters[end - 1];
        const edge = this.edges.get(piece);
        if (edge) arrive(start, end, edge.ids, scores[start] + edge.score);
        else if (end === start + 1) {
          const ids = Array.from(UTF8.encode(piece), (byte) => this.byteIds[byte]);
          arrive(start, end, ids, Math.fround(scores[start] + this.unknown));
        }
      }
    }
    const path = [];
    for (let end = characters.length; end > 0; end = arrivals[end].start) path.push(arrivals[end]);
    return path.reverse().flatMap((edge) => edge.ids);
  }
}
