/** Prompts: their ids, cut as the training text was, and the text that new ids add to them. */

import { WordPieces } from "./pieces.js";
import { split } from "./text.js";

/**
 * Returns what a language model reads of a prompt.
 * @param {Tokenizer} tokenizer
 * @param {string} text
 * @return {{ids: number[], line: number[], afterSpace: boolean}} the ids; those of them that new
 *     ids are decoded with; and whether the next token begins a word, since the last has ended
 */
export function readPrompt(tokenizer, text) {
  const plain = plainLines(text);
  if (tokenizer.keepsLines) {
    const ids = tokenizer.pieces(plain);
    if (!tokenizer.endsTexts) return { ids, line: [], afterSpace: false };
    // A published decoder's own first token. Only bytes have their text by themselves.
    const line = tokenizer.config.kind === "bpe" ? [] : ids;
    return { ids: [...tokenizer.single[0], ...ids], line, afterSpace: false };
  }
  // Lines end in [SEP], so that it precedes the first token of a line.
  const lines = plain.split("\n");
  const last = lines.pop();
  const whole = lines.filter((one) => split(one).length);
  const isBlank = !split(last).length;
  const inSpace = !isBlank && endsInSpace(tokenizer.model, last);
  // The space is that of the word behind it.
  const kept = inSpace ? Array.from(last).slice(0, -1).join("") : last;
  const line = isBlank ? [] : tokenizer.pieces(kept);
  const ids = [
    tokenizer.end,
    ...whole.flatMap((one) => [...tokenizer.pieces(one), tokenizer.end]),
    ...line,
  ];
  return { ids, line, afterSpace: line.length > 0 && inSpace };
}

/** What new ids add to a prompt: their text, decoded together with what precedes them. */
export class Continuation {
  /**
   * @param {Tokenizer} tokenizer
   * @param {{line: number[], afterSpace: boolean}} prompt that is continued, empty for a
   *     translation
   */
  constructor(tokenizer, { line, afterSpace } = { line: [], afterSpace: false }) {
    this.tokenizer = tokenizer;
    this.line = line;
    this.afterSpace = afterSpace;
    // The model's and not the tokenizer's text: an unknown word has its place too.
    this.length = tokenizer.model.decode(line).length;
  }

  /** Returns the text that ids add. */
  text(ids) {
    if (!this.line.length) return this.tokenizer.decode(ids);
    const added = this.tokenizer.model.decode([...this.line, ...ids]).slice(this.length);
    return this.afterSpace ? added.replace(/^ /, "") : added;
  }

  /** Whether an id may come first: behind a space no word goes on. */
  mayBegin(id) {
    return !this.afterSpace || !this.tokenizer.model.continues(id);
  }
}

/** Returns a text with LF at the end of each line, and without byte order marks before one. */
function plainLines(text) {
  return text.replace(/\r\n|\r|\x85/g, "\n").replace(/(^|\n)\ufeff+/g, "$1");
}

function endsInSpace(model, line) {
  if (model instanceof WordPieces) return model.folding.table.isSpace(Array.from(line).pop());
  return model.split(`${line}a`).pop() === model.split("a").pop();
}
