/** The span of a context that answers a question, or that there is none. */

import { logSum } from "./logits.js";

const MOST_WORDS = 30;
// Position of the first special token, which stands for no answer.
const NOWHERE = 0;

/**
 * Returns the best span of all windows.
 * @param {number[][]} places ranges of the context's words
 * @param {Window[]} windows see `questionWindows`
 * @param {Float32Array[]} outputs logits (T, 2) of begin and end of each window
 * @param {?number} threshold margin of no answer above which none is given; null for none
 * @return {{start: ?number, end: ?number, score: number}} the range of its characters, and its
 *     probability; null for no answer
 */
export function bestAnswer(places, windows, outputs, threshold) {
  if (!windows.length) return { start: null, end: null, score: 0 };
  const candidates = [];
  let nothing = Infinity;
  const [begins, ends] = [[], []];
  for (const [number, { words, starts, ends: lasts }] of windows.entries()) {
    const [begin, end] = [starts, lasts].map((positions, side) =>
      positions.map((position) => outputs[number][2 * position + side]),
    );
    let best = { sum: -Infinity, first: 0, last: 0 };
    for (const [i, from] of begin.entries()) {
      for (const [j, to] of end.slice(i, i + MOST_WORDS).entries()) {
        const sum = from + to;
        if (sum > best.sum) best = { sum, first: words[i], last: words[i + j] };
      }
    }
    candidates.push(best);
    const [noBegin, noEnd] = [outputs[number][2 * NOWHERE], outputs[number][2 * NOWHERE + 1]];
    nothing = Math.min(nothing, noBegin + noEnd);
    begins.push(...begin, noBegin);
    ends.push(...end, noEnd);
  }
  // Of equals the first of a window, and the last of windows, as Python has it.
  const best = candidates.toSorted(inOrder).at(-1);
  const normalizer = logSum(begins) + logSum(ends);
  if (threshold !== null && nothing - best.sum > threshold) {
    return { start: null, end: null, score: Math.exp(nothing - normalizer) };
  }
  const [start, end] = [places[best.first][0], places[best.last][1]];
  return { start, end, score: Math.exp(best.sum - normalizer) };
}

function inOrder(one, other) {
  return one.sum - other.sum || one.first - other.first || one.last - other.last;
}
