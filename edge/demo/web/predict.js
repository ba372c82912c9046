/** Labels, a number or spans for a text, and the time that the model takes. */

import { Tensor } from "@litertjs/core";
import { bestAnswer } from "./answers.js";
import { logSum } from "./logits.js";
import { free, idTensor } from "./model.js";
import { tagSpans } from "./tags.js";
import { questionWindows, tagWindows } from "./windows.js";
import { wordsOf } from "./words.js";

const RUNS = { least: 3, most: 9 };
const MOST_MILLISECONDS = 150;

/**
 * @typedef {object} Prediction
 * @property {{label: string, probability: number, chosen: boolean}[]} labels most probable first,
 *     and whether the model chooses each; none in regression
 * @property {?number} value in regression
 * @property {number} milliseconds of one run, the median
 * @property {number} runs that were timed
 */

/**
 * Runs a model on an encoded text, a picture or a sound: once to warm up, then a few times for the
 * clock.
 * @param {Model} model
 * @param {{ids: number[], segmentIds: number[]}|{name: string, data: TypedArray}} encoded
 * @param {{least: number, most: number}} runs for the clock; of one there is none to warm up
 * @return {Promise<Prediction>}
 */
export async function predict(model, encoded, { least, most } = RUNS) {
  const { length, inputs } = inputsOf(model, encoded);
  try {
    let scores = most > 1 ? await run(model, length, inputs) : null;
    const times = [];
    const began = performance.now();
    const hasTime = () => performance.now() - began < MOST_MILLISECONDS;
    while (times.length < least || (times.length < most && hasTime())) {
      const start = performance.now();
      scores = await run(model, length, inputs);
      times.push(performance.now() - start);
    }
    const timing = { milliseconds: median(times), runs: times.length };
    if (model.task === "regression") return { labels: [], value: scores[0], ...timing };
    const labels = model.choosesSets ? eachAlone(model, scores) : bestOf(model, scores);
    return { labels: ranked(labels), value: null, ...timing };
  } finally {
    free(inputs);
  }
}

/**
 * Returns the words of what is typed, and the windows in which a model of tags or answers reads them.
 * @param {Model} model
 * @param {string} text
 * @param {?string} context of the question, where the text is one
 */
export function readWindows({ tokenizer, table, maxLength, stride }, text, context) {
  if (context === null) {
    const read = wordsOf(text, table);
    return { ...read, ...tagWindows(tokenizer, read.words, maxLength, stride) };
  }
  const read = wordsOf(context, table);
  return { ...read, ...questionWindows(tokenizer, text, read.words, maxLength, stride) };
}

/**
 * Runs a model on windows: the first once to warm up, then each for the clock.
 * @return {Promise<{spans: Span[], score: ?number, milliseconds: number, runs: number}>} entities or
 *     tags; or the answer, if there is one, and its probability or that of none
 */
export async function predictSpans(model, { places, windows }) {
  const outputs = [];
  if (windows.length) await outputOf(model, windows[0]);
  const began = performance.now();
  for (const one of windows) outputs.push(await outputOf(model, one));
  const timing = { milliseconds: performance.now() - began, runs: windows.length };
  if (model.outputKind === "tags") {
    const spans = tagSpans(model, places, windows, outputs);
    return { spans, score: null, ...timing };
  }
  const { start, end, score } = bestAnswer(places, windows, outputs, model.nullThreshold);
  const spans = start === null ? [] : [{ label: "answer", start, end, score }];
  return { spans, score, ...timing };
}

async function outputOf(model, encoded) {
  const { length, inputs } = inputsOf(model, encoded);
  try {
    return await run(model, length, inputs);
  } finally {
    free(inputs);
  }
}

function inputsOf(model, encoded) {
  if (encoded.data) {
    const shape = model.inputShape("predict", encoded.name);
    const inputs = { [encoded.name]: new Tensor(encoded.data, shape) };
    return { length: model.maxLength, inputs };
  }
  const length = model.lengthFor(encoded.ids.length);
  const inputs = { ids: idTensor(encoded.ids, length) };
  if (model.hasSegments) inputs.segment_ids = idTensor(encoded.segmentIds, length);
  return { length, inputs };
}

async function run(model, length, inputs) {
  const outputs = await model.run("predict", length, inputs);
  const scores = outputs.output.toTypedArray();
  free(outputs);
  return scores;
}

/** Labels of which one is right: the most probable is chosen, if the text is in the scope. */
function bestOf({ labels, temperature, outOfScope }, scores) {
  const probabilities = softmax(Array.from(scores, (score) => score / temperature));
  const highest = Math.max(...probabilities);
  const isInside = !outOfScope || scopeScore(outOfScope.score, scores, highest) >= outOfScope.threshold;
  const best = isInside ? probabilities.indexOf(highest) : -1;
  return labels.map((label, i) => ({ label, probability: probabilities[i], chosen: i === best }));
}

/** The score by which a text is in the model's scope. */
function scopeScore(name, scores, probability) {
  if (name === "probability") return probability;
  return name === "max-logit" ? Math.max(...scores) : logSum(scores);
}

/** Labels of which any number is right: those are chosen that reach their thresholds. */
function eachAlone({ labels, thresholds }, scores) {
  return labels.map((label, i) => {
    const probability = 1 / (1 + Math.exp(-scores[i]));
    return { label, probability, chosen: probability >= (thresholds?.[i] ?? 0.5) };
  });
}

function softmax(scores) {
  const highest = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const exponents = Array.from(scores, (score) => Math.exp(score - highest));
  const sum = exponents.reduce((total, one) => total + one, 0);
  return exponents.map((one) => one / sum);
}

function ranked(labels) {
  return labels.toSorted((one, other) => other.probability - one.probability);
}

function median(values) {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)];
}
