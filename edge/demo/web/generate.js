/** Text that a model writes, greedily, token by token. */

import { Tensor } from "@litertjs/core";
import { Continuation, readPrompt } from "./continuation.js";
import { free, idTensor } from "./model.js";

const MOST_TOKENS = 128;
const REPLACEMENT = "\ufffd";
const LINE_BREAK = /^<0x0[AD]>$|[\n\r\x85]/;

/**
 * Returns what the model is to read first.
 * @param {Model} model a translator or a language model
 * @param {string} text the source or the prompt
 * @param {?string} language to write, where a translator knows several
 * @return {{ids: number[], truncated: boolean, continuation: Continuation}}
 * @throws when a prompt is longer than the model's cache
 */
export function readerIds(model, text, language) {
  const { tokenizer, writer, labels, maxLength } = model;
  if (model.task !== "translation") {
    const prompt = readPrompt(tokenizer, text);
    const { ids } = prompt;
    if (!ids.length) throw new Error("The text holds no token to go on from.");
    if (ids.length > maxLength) {
      throw new Error(`The text has ${ids.length} tokens, the model holds ${maxLength}: shorten it.`);
    }
    return { ids, truncated: false, continuation: new Continuation(tokenizer, prompt) };
  }
  const continuation = new Continuation(writer);
  if (!labels.length) return { ...tokenizer.encodeSource(text, maxLength), continuation };
  const { ids, truncated } = tokenizer.encodeSource(text, maxLength - 1);
  return { ids: [tokenizer.size + labels.indexOf(language), ...ids], truncated, continuation };
}

/**
 * Writes the translation of a text, or what follows it.
 * @param {Model} model
 * @param {{ids: number[], continuation: Continuation}} read what `readerIds` returned
 * @yields {{text: string, tokens: number, readMilliseconds: number, perSecond: number}} what is
 *     written so far, how long reading took, and how many steps a second the model makes
 */
export async function* generate(model, { ids, continuation }) {
  const isTranslation = model.task === "translation";
  const { writer } = model;
  const steps = new Steps(model);
  const stops = new Set(isTranslation || writer.endsTexts ? [writer.end] : []);
  const writesLineBreaks = writer.keepsLines || (isTranslation && writer.model.isIdentity);
  const isWritten = (id) => writesLineBreaks || !LINE_BREAK.test(writer.model.names[id]);
  const isToken = (id) => id < writer.size && !writer.special.has(id);
  const allowed = (id) => stops.has(id) || (isToken(id) && isWritten(id));
  const room = model.lengths[model.lengths.length - 1];
  const limit = Math.min(MOST_TOKENS, isTranslation ? room : room - ids.length + 1);
  const written = [];
  const begin = performance.now();
  try {
    if (isTranslation) await steps.encode(ids);
    else await steps.prefill(ids.slice(0, -1));
    const readMilliseconds = performance.now() - begin;
    let next = isTranslation ? writer.begin : ids[ids.length - 1];
    let [milliseconds, perSecond] = [0, 0];
    let text = "";
    for (let step = 1; step <= limit; step++) {
      const start = performance.now();
      const logits = await steps.step(next);
      const begins = (id) => allowed(id) && (stops.has(id) || continuation.mayBegin(id));
      next = mostProbable(logits, step === 1 ? begins : allowed);
      milliseconds += performance.now() - start;
      perSecond = (1000 * step) / milliseconds;
      if (stops.has(next)) break;
      written.push(next);
      const decoded = continuation.text(written);
      // Nothing is shown of a character before its last byte.
      if (!decoded.endsWith(REPLACEMENT)) text = decoded;
      yield { text, tokens: written.length, readMilliseconds, perSecond };
    }
    const tokens = written.length;
    yield { text: continuation.text(written), tokens, readMilliseconds, perSecond };
  } finally {
    steps.free();
  }
}

function mostProbable(logits, allowed) {
  let best = -1;
  for (let id = 0; id < logits.length; id++) {
    if (allowed(id) && (best < 0 || logits[id] > logits[best])) best = id;
  }
  if (!Number.isFinite(logits[best])) {
    throw new Error(`The model's highest logit is ${logits[best]}, which is no number.`);
  }
  return best;
}

/** A file's signatures with the caches between them, which stay in LiteRT.js's memory. */
class Steps {
  constructor(model) {
    this.model = model;
    this.longest = model.lengths[model.lengths.length - 1];
    this.position = 0;
    this.memory = {};
    const inputs = model.compiled.signatures.decode.getInputDetails();
    const caches = inputs.filter(({ name }) => name.startsWith("kv_cache_"));
    this.caches = Object.fromEntries(caches.map(({ name, shape }) => [name, zeros(shape)]));
  }

  async encode(source) {
    const length = this.model.lengthFor(source.length);
    const ids = idTensor(source, length);
    const read = await this.model.run("encode", length, { ids });
    ids.delete();
    const mask = new Int32Array(this.longest).fill(1, 0, source.length);
    this.memory = { memory_mask: new Tensor(mask, [1, this.longest]) };
    for (const [name, tensor] of Object.entries(read)) {
      this.memory[name] = padded(tensor, this.model.inputShape("decode", name));
      tensor.delete();
    }
  }

  async prefill(prompt) {
    if (!prompt.length) return;
    const length = this.model.lengthFor(prompt.length);
    // Padding is read too, but `decode` sees no later position and writes over each in turn.
    await this.#advance("prefill", length, idTensor(prompt, length), prompt.length);
  }

  /** Feeds a token and returns the logits of the next. */
  async step(token) {
    const { logits } = await this.#advance("decode", this.longest, idTensor([token], 1), 1);
    const values = logits.toTypedArray();
    logits.delete();
    return values;
  }

  free() {
    free(this.memory);
    free(this.caches);
  }

  async #advance(kind, length, ids, tokens) {
    const position = new Tensor(Int32Array.of(this.position), [1]);
    const inputs = { ids, position, ...this.caches, ...this.memory };
    const outputs = await this.model.run(kind, length, inputs);
    free({ ids, position, ...this.caches });
    for (const name of Object.keys(this.caches)) {
      this.caches[name] = outputs[name];
      delete outputs[name];
    }
    this.position += tokens;
    return outputs;
  }
}

function zeros(shape) {
  return new Tensor(new Float32Array(shape.reduce((size, width) => size * width, 1)), [...shape]);
}

/** Returns a copy of keys or values (1, S, heads, width) with zeros up to the full length. */
function padded(tensor, shape) {
  const values = new Float32Array(shape.reduce((size, width) => size * width, 1));
  values.set(tensor.toTypedArray());
  return new Tensor(values, shape);
}
