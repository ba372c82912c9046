/** SentencePiece's unigram model: each word is cut into its most probable pieces. */

import { Marker, SPACE } from "./marked.js";
import { byteIdsOf, decodeBytes, idsOf, pieceBytes } from "./pieces.js";
import { split } from "./text.js";

// The words of a marked text.
const WORDS = /\u2581[^\u2581]*|[^\u2581]+/g;
// What a character outside the vocabulary costs more than the least probable piece.
const UNKNOWN_PENALTY = 10;
const UTF8 = new TextEncoder();

export class Unigram {
  /**
   * @param {Vocabulary} vocabulary with scores
   * @param {Folding} folding
   * @param {object} settings of the tokenizer; without `normalization` they mean NFKC
   */
  constructor({ pieces, scores, charsmap }, folding, settings) {
    const { special } = settings;
    // Pieces past the last id are only known to split words.
    this.size = pieces.length - settings.unknown_pieces;
    this.names = pieces.slice(0, this.size);
    this.ids = idsOf(pieces);
    this.special = new Set(special.names);
    this.folding = folding;
    this.marker = settings.normalization === "charsmap" ? new Marker(charsmap, settings) : null;
    this.isIdentity = settings.normalization === "identity";
    this.unknown = this.ids.get(special.unknown);
    this.byteIds = settings.byte_fallback ? byteIdsOf(this.ids) : null;
    this.bytes = pieceBytes(pieces, this.byteIds);
    const hidden = new Set([...this.special, ...(this.byteIds ?? []).map((id) => pieces[id])]);
    this.edges = new Map();
    // Pieces that are never matched, though a run of unknown characters may be one.
    this.unmatched = new Map();
    this.longest = 1;
    let lowest = Infinity;
    for (const [piece, id] of this.ids) {
      if (hidden.has(piece)) continue;
      const score = Math.fround(scores[id]);
      if (score === -Infinity) {
        if (id < this.size) this.unmatched.set(piece, id);
        continue;
      }
      this.edges.set(piece, { id: id < this.size ? id : this.unknown, score });
      this.longest = Math.max(this.longest, Array.from(piece).length);
      lowest = Math.min(lowest, score);
    }
    this.unknownScore = Math.fround((this.edges.size ? lowest : 0) - UNKNOWN_PENALTY);
  }

  encode(text) {
    return this.split(text).flatMap((word) => this.#match(word));
  }

  /** Returns the words with a space before each, which are matched one by one. */
  split(text) {
    if (this.marker) return this.marker.mark(text).match(WORDS) ?? [];
    return this.#words(text).map((word) => SPACE + word);
  }

  #words(text) {
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

  name(id) {
    return this.names[id];
  }

  /** Whether a piece goes on with a word. */
  continues(id) {
    const piece = this.names[id];
    return !piece.startsWith(SPACE) && !this.special.has(piece);
  }

  /** Returns the ids of a word. */
  #match(word) {
    const characters = Array.from(word);
    const found = [];
    let run = "";
    const endRun = () => {
      // A run of unknown characters is one token; of Marian's, a piece of another model.
      if (run) found.push(this.unmatched.get(run) ?? this.unknown);
      run = "";
    };
    for (const { start, end, id } of this.#bestPath(characters)) {
      const covered = characters.slice(start, end).join("");
      if (id === null && !this.byteIds) {
        run += covered;
        continue;
      }
      endRun();
      if (id === null) found.push(...this.#bytesOf(covered));
      else found.push(id);
    }
    endRun();
    return found;
  }

  #bytesOf(character) {
    return Array.from(UTF8.encode(character), (byte) => this.byteIds[byte]);
  }

  /**
   * Returns the most probable pieces, with null for the id of an unknown character. As in
   * SentencePiece, a sum is compared in double precision and kept in single, but one that ends with
   * an unknown character is rounded before.
   */
  #bestPath(characters) {
    const scores = new Float32Array(characters.length + 1);
    const arrivals = new Array(characters.length + 1);
    const arrive = (start, end, id, total) => {
      if (arrivals[end] === undefined || total > scores[end]) {
        scores[end] = total;
        arrivals[end] = { start, end, id };
      }
    };
    for (let start = 0; start < characters.length; start++) {
      const last = Math.min(characters.length, start + this.longest);
      let piece = "";
      for (let end = start + 1; end <= last; end++) {
        piece += characters[end - 1];
        const edge = this.edges.get(piece);
        if (edge) arrive(start, end, edge.id, scores[start] + edge.score);
        else if (end === start + 1) {
          arrive(start, end, null, Math.fround(scores[start] + this.unknownScore));
        }
      }
    }
    const path = [];
    for (let end = characters.length; end > 0; end = arrivals[end].start) path.push(arrivals[end]);
    return path.reverse();
  }
}
