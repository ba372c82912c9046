/** BERT's own normalization: for vocabularies that were published with it. */

import { split, translate } from "./text.js";

export class BertFolding {
  /**
   * @param {UnicodeTable} table
   * @param {{lowercase: boolean, strip_accents: boolean}} settings of the tokenizer
   */
  constructor(table, { lowercase, strip_accents: stripAccents }) {
    this.table = table;
    this.lowercase = lowercase;
    this.stripAccents = stripAccents;
    this.spaced = new Map();
  }

  /** Returns the words, as `BasicTokenizer` of the `tokenizers` library splits them. */
  words(text) {
    return split(translate(text, this.spaced, (character) => this.#spaced(character)));
  }

  #spaced(character) {
    return Array.from(this.#fold(character), (one) =>
      this.table.isIsolated(one) ? ` ${one} ` : one,
    ).join("");
  }

  /** Each character by itself: the sigma at a word's end is like any other. */
  #fold(character) {
    const { table } = this;
    if (table.isBlank(character)) return " ";
    if (table.isErased(character)) return "";
    const lower = (one) => (this.lowercase ? (table.lowercase.get(one) ?? one) : one);
    if (!this.stripAccents) return lower(character);
    const decomposed = table.isUnassigned(character) ? character : character.normalize("NFD");
    return Array.from(decomposed)
      .filter((one) => !table.isMark(one))
      .map(lower)
      .join("");
  }
}
