/** Windows: the ids that a model reads of a text's words, and where each word stands in them. */

// Share of a window that the next one repeats, unless the model has a stride.
const OVERLAP = 0.25;
const MOST_OF_A_QUESTION = 64;
// A space is read before each word where these write spaces as text.
const WRITES_SPACES = ["bpe", "bytes", "characters"];

/**
 * @typedef {object} Window
 * @property {number[]} ids with special tokens
 * @property {number[]} segmentIds
 * @property {number[]} words numbers of the words that are read here
 * @property {number[]} starts positions of their first pieces
 * @property {number[]} ends positions of their last pieces
 */

/**
 * Encodes the words of a text; a word in two windows is read where it is further from the edge.
 * @param {Tokenizer} tokenizer
 * @param {string[]} words
 * @param {number} maxLength
 * @param {number} stride tokens that neighbouring windows have in common; 0 for a quarter
 * @return {{windows: Window[], truncated: boolean}}
 */
export function tagWindows(tokenizer, words, maxLength, stride) {
  const [before, between, after] = tokenizer.single;
  const tail = [...between, ...after];
  const room = maxLength - before.length - tail.length;
  const found = windowsOf(tokenizer, words, room, stride, before, tail);
  const owners = ownersOf(found);
  for (const [number, one] of found.windows.entries()) {
    const kept = one.words.map((word) => owners[word] === number);
    for (const name of ["words", "starts", "ends"]) one[name] = one[name].filter((_, i) => kept[i]);
  }
  return found;
}

/**
 * Encodes a question with the words of its context, each window with the whole question.
 * @return {{windows: Window[], truncated: boolean}}
 */
export function questionWindows(tokenizer, question, words, maxLength, stride) {
  const [before, between, after] = tokenizer.paired;
  const whole = maxLength - before.length - between.length - after.length;
  const asked = tokenizer.pieces(question);
  const kept = asked.slice(0, Math.min(MOST_OF_A_QUESTION, Math.floor(whole / 2)));
  const head = [...before, ...kept, ...between];
  const found = windowsOf(tokenizer, words, whole - kept.length, stride, head, after);
  if (tokenizer.config.special.segments) {
    for (const { segmentIds } of found.windows) segmentIds.fill(1, head.length);
  }
  return { ...found, truncated: found.truncated || kept.length < asked.length };
}

function windowsOf(tokenizer, words, room, stride, head, tail) {
  const lead = leadOf(tokenizer.config);
  const whole = words.map((word) => tokenizer.pieces(lead + word));
  const pieces = whole.map((ids) => ids.slice(0, room));
  const ends = [];
  for (const ids of pieces) ends.push((ends.at(-1) ?? 0) + ids.length);
  const starts = ends.map((end, i) => end - pieces[i].length);
  const ranges = wordRanges(starts, ends, room, stride);
  const windows = ranges.map(([first, end]) => {
    const ids = [...head, ...pieces.slice(first, end).flat(), ...tail];
    // The tokenizer leaves nothing of some words.
    const read = range(first, end).filter((word) => ends[word] > starts[word]);
    const shift = head.length - starts[first];
    return {
      ids,
      segmentIds: ids.map(() => 0),
      words: read,
      starts: read.map((word) => starts[word] + shift),
      ends: read.map((word) => ends[word] - 1 + shift),
    };
  });
  const truncated = whole.some((ids) => ids.length > room);
  return { windows, truncated, starts, ends, ranges };
}

function leadOf({ kind, prefix_space: prefixSpace }) {
  return WRITES_SPACES.includes(kind) || prefixSpace === false ? " " : "";
}

/** The first word of each window, and that behind its last. */
function wordRanges(starts, ends, room, stride) {
  const found = [];
  const count = starts.length;
  if (!count || !ends[count - 1]) return found;
  const overlap = stride || Math.floor(OVERLAP * room);
  for (let first = 0; ; ) {
    const end = firstWhere(ends, (one) => one > starts[first] + room);
    found.push([first, end]);
    if (end === count) return found;
    // From here on the window's rest is at most the overlap, and the next word fits in.
    const again = Math.max(ends[end - 1] - overlap, ends[end] - room);
    first = Math.max(first + 1, Math.min(firstWhere(starts, (one) => one >= again), end));
  }
}

/** The window of each word: where the shorter of its two sides has the most pieces. */
function ownersOf({ starts, ends, ranges }) {
  const owners = starts.map(() => -1);
  const most = starts.map(() => -1);
  for (const [number, [first, end]] of ranges.entries()) {
    for (const word of range(first, end)) {
      const left = first ? starts[word] - starts[first] : Infinity;
      const right = end < starts.length ? ends[end - 1] - ends[word] : Infinity;
      const context = Math.min(left, right);
      if (context > most[word]) [owners[word], most[word]] = [number, context];
    }
  }
  return owners;
}

function firstWhere(values, holds) {
  const place = values.findIndex(holds);
  return place < 0 ? values.length : place;
}

function range(first, end) {
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
}
