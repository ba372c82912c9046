/** Entities, or the tag of each word, from a model's outputs, by the rules of the tags' scheme. */

import { logSum } from "./logits.js";

const OUTSIDE = "O";
const PREFIXES = ["B", "I", "O", "E", "S"];

/**
 * @typedef {object} Span
 * @property {string} label type of the entity, or tag of the word
 * @property {number} start first character
 * @property {number} end the character behind the last
 * @property {number} score mean probability of its words' tags
 */

/**
 * Returns what a model found in a text.
 * @param {{labels: string[], constrained: boolean}} model whose tags keep to the rules or do not
 * @param {number[][]} places ranges of the words
 * @param {Window[]} windows see `tagWindows`
 * @param {Float32Array[]} outputs logits (T, labels) of each window
 * @return {Span[]}
 */
export function tagSpans({ labels, constrained }, places, windows, outputs) {
  const byWord = new Map();
  for (const [number, { words, starts }] of windows.entries()) {
    for (const [i, word] of words.entries()) {
      const first = starts[i] * labels.length;
      byWord.set(word, outputs[number].subarray(first, first + labels.length));
    }
  }
  const read = [...byWord.keys()].toSorted((one, other) => one - other);
  const rows = read.map((word) => logProbabilities(byWord.get(word)));
  const scheme = schemeOf(labels);
  const tags = bestTags(rows, scheme && constrained ? rulesOf(labels, scheme) : null);
  const found =
    scheme === null
      ? tags.map((tag, place) => ({ label: labels[tag], first: place, end: place + 1 }))
      : entitiesOf(tags.map((tag) => labels[tag]));
  return found.map(({ label, first, end }) => {
    const sum = rows.slice(first, end).reduce((all, row, i) => all + Math.exp(row[tags[first + i]]), 0);
    const [start, last] = [places[read[first]][0], places[read[end - 1]][1]];
    return { label, start, end: last, score: sum / (end - first) };
  });
}

function logProbabilities(logits) {
  const normalizer = logSum(logits);
  return Array.from(logits, (one) => one - normalizer);
}

/** The prefix and the type of a tag; two empty texts for `O` and a plain tag. */
function parted(tag) {
  const dash = tag.indexOf("-");
  const [prefix, kind] = [tag.slice(0, Math.max(dash, 0)), tag.slice(dash + 1)];
  return PREFIXES.includes(prefix) && kind ? [prefix, kind] : ["", ""];
}

/** `BIO`, `BIOES`, or null for plain tags. */
function schemeOf(labels) {
  const prefixes = labels.map((label) => parted(label)[0]);
  const found = new Set(prefixes.filter((prefix) => prefix));
  const hasEntities = labels.includes(OUTSIDE) || (!prefixes.includes("") && found.has("B"));
  if (!found.size || !hasEntities) return null;
  return found.has("E") || found.has("S") ? "BIOES" : "BIO";
}

/** Which tags a row may begin and end with, and which may follow which. */
function rulesOf(labels, scheme) {
  const parts = labels.map(parted);
  const isInside = parts.map(([prefix]) => prefix === "I" || prefix === "E");
  const isOpen = parts.map(([prefix]) => prefix === "B" || prefix === "I");
  const mayEnd = isOpen.map((one) => scheme === "BIO" || !one);
  const mayFollow = (one, other) =>
    isInside[other] ? isOpen[one] && parts[one][1] === parts[other][1] : mayEnd[one];
  return { mayBegin: isInside.map((one) => !one), mayEnd, mayFollow };
}

/** The most probable tags among those that the rules allow (Viterbi 1967). */
function bestTags(rows, rules) {
  if (rules === null || !rows.length) return rows.map(placeOfMost);
  let best = rows[0].map((score, tag) => (rules.mayBegin[tag] ? score : -Infinity));
  const cameFrom = [];
  for (const row of rows.slice(1)) {
    const from = row.map((_, tag) =>
      placeOfMost(best.map((score, one) => (rules.mayFollow(one, tag) ? score : -Infinity))),
    );
    best = row.map((score, tag) =>
      rules.mayFollow(from[tag], tag) ? best[from[tag]] + score : -Infinity,
    );
    cameFrom.push(from);
  }
  const path = [placeOfMost(best.map((score, tag) => (rules.mayEnd[tag] ? score : -Infinity)))];
  for (const from of cameFrom.reverse()) path.push(from[path.at(-1)]);
  return path.reverse();
}

/** The place of the largest number, the first of equals. */
function placeOfMost(values) {
  return values.reduce((most, one, place) => (one > values[most] ? place : most), 0);
}

/** Entities of a row of tags; `I-X` and `E-X` that go on with nothing begin one. */
function entitiesOf(tags) {
  const found = [];
  let [kind, first] = ["", 0];
  for (const [place, tag] of [...tags, OUTSIDE].entries()) {
    const [prefix, own] = parted(tag);
    const goesOn = (prefix === "I" || prefix === "E") && own === kind;
    if (kind && !goesOn) {
      found.push({ label: kind, first, end: place });
      kind = "";
    }
    if (prefix && !goesOn) [kind, first] = [own, place];
    if (prefix === "E" || prefix === "S") {
      found.push({ label: own, first, end: place + 1 });
      kind = "";
    }
  }
  return found;
}
