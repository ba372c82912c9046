/** Labels or a number for a text, and the time that the model takes. */

import { free, idTensor } from "./model.js";

const [LEAST_RUNS, MOST_RUNS] = [3, 9];
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
 * Runs a model on an encoded text: once to warm up, then a few times for the clock.
 * @param {Model} model
 * @param {{ids: number[], segmentIds: number[]}} encoded
 * @return {Promise<Prediction>}
 */
export async function predict(model, encoded) {
  const length = model.lengthFor(encoded.ids.length);
  const inputs = { ids: idTensor(encoded.ids, length) };
  if (model.hasSegments) inputs.segment_ids = idTensor(encoded.segmentIds, length);
  try {
    const scores = await run(model, length, inputs);
    const times = [];
    const began = performance.now();
    const hasTime = () => performance.now() - began < MOST_MILLISECONDS;
    while (times.length < LEAST_RUNS || (times.length < MOST_RUNS && hasTime())) {
      const start = performance.now();
      await run(model, length, inputs);
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
  const highest = Math.max(...scores);
  if (name === "probability") return probability;
  if (name === "max-logit") return highest;
  return highest + Math.log(scores.reduce((sum, one) => sum + Math.exp(one - highest), 0));
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
