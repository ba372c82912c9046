/** The vocabulary of a tokenizer, from its files in a model file, and the settings beside it. */

import { textOf } from "./archive.js";
import { SpecialTokens } from "./special.js";

const FILES = {
  wordpiece: "vocab.txt",
  characters: "characters.json",
  sentencepiece: "sentencepiece.tsv",
  bpe: "bpe.json",
  sentencepiece_bpe: "bpe.json",
};
const CHARSMAP_FILE = "charsmap.bin";
// What files leave out.
const DEFAULTS = {
  sentencepiece: { prefix_space: true, single_spaces: true, byte_fallback: true, unknown_pieces: 0 },
  bpe: { splitter: "gpt2", prefix_space: false, whole_words: false, added: [] },
  sentencepiece_bpe: { prefix_space: true, single_spaces: false, byte_fallback: true, added: [] },
};

/** Returns the settings of a tokenizer with its special tokens. */
export function readSettings(files, prefix) {
  const given = JSON.parse(textOf(files, `${prefix}tokenizer.json`));
  return { ...DEFAULTS[given.kind], ...given, special: new SpecialTokens(given.special) };
}

/**
 * @typedef {object} Vocabulary
 * @property {string[]} pieces in the order of their ids
 * @property {number[]} scores log probability of each; none but for SentencePiece
 * @property {number[][]} merges ids of the two pieces that each joins; none but for BPE
 * @property {?Uint8Array} charsmap SentencePiece's table of characters, where there is one
 */

/** Returns the vocabulary of a kind; bytes have none. */
export function readVocabulary(files, prefix, { kind, normalization }) {
  const empty = { pieces: [], scores: [], merges: [], charsmap: null };
  if (!(kind in FILES)) return empty;
  const text = textOf(files, prefix + FILES[kind]);
  if (kind === "characters") return { ...empty, pieces: JSON.parse(text) };
  if (kind === "wordpiece") return { ...empty, pieces: linesOf(text) };
  let charsmap = null;
  if (normalization === "charsmap") {
    charsmap = files.get(prefix + CHARSMAP_FILE);
    if (!charsmap) throw new Error(`The file holds no ${prefix}${CHARSMAP_FILE}.`);
  }
  if (kind === "sentencepiece") return { ...empty, ...scoredLines(text), charsmap };
  const { pieces, scores = [], merges = [] } = JSON.parse(text);
  // JSON has no infinity.
  return { pieces, scores: scores.map((score) => score ?? -Infinity), merges, charsmap };
}

function scoredLines(text) {
  const lines = linesOf(text);
  const tabs = lines.map((line) => line.lastIndexOf("\t"));
  const scores = lines.map((line, i) => line.slice(tabs[i] + 1));
  return {
    pieces: lines.map((line, i) => line.slice(0, tabs[i])),
    scores: scores.map((score) => (score === "-inf" ? -Infinity : Number(score))),
  };
}

function linesOf(text) {
  return text.replace(/\n$/, "").split("\n");
}
