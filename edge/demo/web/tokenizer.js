/** Text to token ids and back, from the tokenizer's files in a model file. */

import { textOf } from "./archive.js";
import { Bytes, Characters, SPECIAL_TOKENS, WordPieces } from "./pieces.js";
import { Folding } from "./text.js";
import { Unigram } from "./unigram.js";

export class Tokenizer {
  /**
   * @param {Map<string, Uint8Array>} files of the model
   * @param {UnicodeTable} table
   * @param {string} prefix before the names of the files
   */
  constructor(files, table, prefix = "") {
    this.config = JSON.parse(textOf(files, `${prefix}tokenizer.json`));
    this.model = pieceModel(this.config, files, new Folding(table, this.config), prefix);
    this.size = this.model.names.length;
    [this.pad, this.unknown, this.begin, this.end] = SPECIAL_TOKENS.map((token) =>
      this.model.ids.get(token),
    );
    this.special = new Set(SPECIAL_TOKENS.map((token) => this.model.ids.get(token)));
  }

  /** Whether ids hold all white space, line breaks included. */
  get keepsLines() {
    return this.config.kind === "characters" || this.config.kind === "bytes";
  }

  /** Returns the ids of a text without special tokens. */
  pieces(text) {
    return this.model.encode(text);
  }

  /** Returns the text of ids, special tokens left out. */
  decode(ids) {
    return this.model.decode(ids.filter((id) => !this.special.has(id)));
  }

  /**
   * Encodes a text, or a pair of texts, with special tokens.
   * @return {{ids: number[], segmentIds: number[], truncated: boolean}}
   */
  encode(text, pair, maxLength) {
    let first = this.pieces(text);
    if (pair === null) {
      const room = maxLength - 2;
      const ids = [this.begin, ...first.slice(0, room), this.end];
      return { ids, segmentIds: ids.map(() => 0), truncated: first.length > room };
    }
    let second = this.pieces(pair);
    const room = maxLength - 3;
    const truncated = first.length + second.length > room;
    // The second text is guaranteed half of the room, the first what is then left.
    first = first.slice(0, Math.max(room - second.length, room - Math.floor(room / 2)));
    second = second.slice(0, room - first.length);
    const ids = [this.begin, ...first, this.end, ...second, this.end];
    return { ids, segmentIds: ids.map((_, i) => Number(i >= first.length + 2)), truncated };
  }

  /** Encodes what a translator reads: a text and its end. */
  encodeSource(text, maxLength) {
    const pieces = this.pieces(text);
    const room = maxLength - 1;
    return { ids: [...pieces.slice(0, room), this.end], truncated: pieces.length > room };
  }
}

function pieceModel(config, files, folding, prefix) {
  const { special, normalization, byte_fallback: hasBytes } = config;
  if (special || normalization === "bert" || normalization === "charsmap" || hasBytes === false) {
    throw new Error("This page knows no tokenizer of a published model.");
  }
  if (config.kind === "bytes") return new Bytes(folding);
  if (config.kind === "characters") {
    return new Characters(JSON.parse(textOf(files, `${prefix}characters.json`)), folding);
  }
  if (config.kind === "wordpiece") {
    return new WordPieces(linesOf(files, `${prefix}vocab.txt`), folding, config);
  }
  if (config.kind !== "sentencepiece") {
    throw new Error(`This page knows no tokenizer of the kind ${config.kind}.`);
  }
  const lines = linesOf(files, `${prefix}sentencepiece.tsv`);
  const tabs = lines.map((line) => line.lastIndexOf("\t"));
  return new Unigram(
    lines.map((line, i) => line.slice(0, tabs[i])),
    lines.map((line, i) => Number(line.slice(tabs[i] + 1))),
    folding,
    config,
  );
}

function linesOf(files, name) {
  return textOf(files, name).replace(/\n$/, "").split("\n");
}
