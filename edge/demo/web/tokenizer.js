/** Text to token ids and back, from the tokenizer's files in a model file. */

import { BertFolding } from "./bert.js";
import { ByteBPE } from "./byte_bpe.js";
import { Bytes, Characters, WordPieces } from "./pieces.js";
import { SentenceBPE } from "./sentence_bpe.js";
import { Folding } from "./text.js";
import { Unigram } from "./unigram.js";
import { readSettings, readVocabulary } from "./vocabulary.js";

const PUBLISHED_KINDS = ["bpe", "sentencepiece_bpe"];

export class Tokenizer {
  /**
   * @param {Map<string, Uint8Array>} files of the model
   * @param {UnicodeTable} table
   * @param {string} prefix before the names of the files
   */
  constructor(files, table, prefix = "") {
    this.config = readSettings(files, prefix);
    this.model = pieceModel(this.config, readVocabulary(files, prefix, this.config), table);
    this.size = this.model.size;
    const { special } = this.config;
    const { ids } = this.model;
    [this.begin, this.end] = [ids.get(special.begin), ids.get(special.end)];
    this.special = new Set(special.names.map((name) => ids.get(name)));
    this.single = special.frame(ids, false);
    this.paired = special.frame(ids, true);
  }

  /** Whether ids hold all white space, line breaks included. */
  get keepsLines() {
    return ["characters", "bytes", ...PUBLISHED_KINDS].includes(this.config.kind);
  }

  /** Whether a token ends what a model writes; else only a limit does. */
  get endsTexts() {
    return !this.keepsLines || PUBLISHED_KINDS.includes(this.config.kind);
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
    const [before, between, after] = pair === null ? this.single : this.paired;
    const room = maxLength - before.length - between.length - after.length;
    let first = this.pieces(text);
    if (pair === null) {
      const ids = [...before, ...first.slice(0, room), ...after];
      return { ids, segmentIds: ids.map(() => 0), truncated: first.length > room };
    }
    let second = this.pieces(pair);
    const truncated = first.length + second.length > room;
    // The second text is guaranteed half of the room, the first what is then left.
    first = first.slice(0, Math.max(room - second.length, room - Math.floor(room / 2)));
    second = second.slice(0, room - first.length);
    const ids = [...before, ...first, ...between, ...second, ...after];
    const start = this.config.special.segments
      ? before.length + first.length + between.length
      : ids.length;
    return { ids, segmentIds: ids.map((_, i) => Number(i >= start)), truncated };
  }

  /** Encodes what a translator reads: a text and its end. */
  encodeSource(text, maxLength) {
    const pieces = this.pieces(text);
    const room = maxLength - 1;
    return { ids: [...pieces.slice(0, room), this.end], truncated: pieces.length > room };
  }
}

function pieceModel(config, vocabulary, table) {
  if (config.kind === "bpe") return new ByteBPE(vocabulary, table, config);
  if (config.kind === "sentencepiece_bpe") return new SentenceBPE(vocabulary, config);
  const isBert = config.kind === "wordpiece" && config.normalization === "bert";
  const folding = new (isBert ? BertFolding : Folding)(table, config);
  if (config.kind === "bytes") return new Bytes(folding, config);
  if (config.kind === "characters") return new Characters(vocabulary, folding, config);
  if (config.kind === "wordpiece") return new WordPieces(vocabulary, folding, config);
  if (config.kind === "sentencepiece") return new Unigram(vocabulary, folding, config);
  throw new Error(`This page knows no tokenizer of the kind ${config.kind}.`);
}
