/** The page: reads what is typed, runs every model on it, and shows what comes out. */

import { loadLiteRt } from "@litertjs/core";
import { generate, readerIds } from "./generate.js";
import { sourceOf, startMedia } from "./media.js";
import { Model } from "./model.js";
import { predict, predictSpans, readWindows } from "./predict.js";
import { UnicodeTable } from "./text.js";
import * as view from "./view.js";

const TYPING_PAUSE_MS = 150;
const WARM_UP_MS = 400;
const FRAME_MS = 16;
const { form, text, pair, language } = view.fields;

async function load() {
  const [demo, characters] = await Promise.all(["demo.json", "unicode.json"].map(readJson));
  const table = new UnicodeTable(characters);
  await loadLiteRt("litert/core/wasm/");
  const models = [];
  for (const { file, name, bytes } of demo.models) {
    const model = await Model.load(file, table);
    await warmUp(model);
    models.push({ model, name, bytes });
  }
  return models;
}

/** Runs a model until the browser has compiled what it uses well: its first runs are slow. */
async function warmUp(model) {
  const source = sourceOf(model);
  const single = source ? source.blank(model.settings) : { ids: [model.tokenizer.end], segmentIds: [0] };
  const end = performance.now() + WARM_UP_MS;
  while (performance.now() < end) {
    if (model.writes) {
      const read = readerIds(model, "a", model.labels[0]);
      for await (const _ of generate(model, read)) if (performance.now() > end) break;
    } else if (model.readsWindows) {
      await predictSpans(model, readWindows(model, "a", model.pair ? "a" : null));
    } else {
      await predict(model, single);
    }
    await nextFrame();
  }
}

async function readJson(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} could not be read (${response.status}).`);
  return response.json();
}

/**
 * Predicts with every model, one after the other so that each has the processor to itself. They
 * have the same tokenizer.
 */
async function predictAll(models, signal) {
  const second = models[0].model.pair ? pair.value : null;
  if (!text.value.trim() || second?.trim() === "") return view.clear();
  const { tokenizer, maxLength } = models[0].model;
  const encoded = tokenizer.encode(text.value, second, maxLength);
  view.showTokens(tokenizer, encoded);
  for (const [place, { model }] of models.entries()) {
    const prediction = await predict(model, encoded);
    if (signal.aborted) return;
    view.showPrediction(place, prediction);
    await nextFrame();
  }
  view.speakResults();
}

/** Finds entities, tags or an answer with every model, one after the other. */
async function markAll(models, signal) {
  const context = models[0].model.pair ? pair.value : null;
  if (!text.value.trim() || context?.trim() === "") return view.clear();
  const read = readWindows(models[0].model, text.value, context);
  view.showWindows(models[0].model.tokenizer, read);
  for (const [place, { model }] of models.entries()) {
    const found = await predictSpans(model, read);
    if (signal.aborted) return;
    view.showSpans(place, read.characters, found);
    await nextFrame();
  }
  view.speakResults();
}

/** Writes with every model, one after the other. */
async function generateAll(models, signal) {
  if (!text.value.trim()) return view.clear();
  const { model: first } = models[0];
  const encoded = readerIds(first, text.value, language.value);
  const prompt = first.task === "translation" ? "" : text.value;
  view.showTokens(first.tokenizer, encoded, first.labels);
  view.clearResults();
  for (const [place, { model }] of models.entries()) {
    let shown = performance.now();
    let last = null;
    for await (const written of generate(model, encoded)) {
      last = written;
      if (performance.now() - shown > FRAME_MS) {
        view.showText(place, prompt, written);
        await nextFrame();
        shown = performance.now();
      }
      if (signal.aborted) return;
    }
    view.showText(place, prompt, last);
  }
  view.speakResults();
}

/** Lets the browser draw and read the keyboard. */
function nextFrame() {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Returns a function that ends the job that runs, and runs another when that has ended. */
function oneAtATime() {
  let aborter = new AbortController();
  let running = Promise.resolve();
  return (job) => {
    aborter.abort();
    aborter = new AbortController();
    const { signal } = aborter;
    running = running.then(async () => {
      if (signal.aborted) return;
      view.busy(true);
      view.showError(null);
      try {
        await job(signal);
      } catch (error) {
        view.showError(error);
      } finally {
        view.busy(false);
      }
    });
    return running;
  };
}

async function start() {
  const models = await load();
  const { model } = models[0];
  view.showModels(models);
  const runJob = oneAtATime();
  if (model.reads !== "text") return startMedia(models, runJob);
  const readAll = model.readsWindows ? markAll : predictAll;
  const runAll = model.writes ? generateAll : readAll;
  const run = () => runJob((signal) => runAll(models, signal));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  if (!model.writes) {
    let pause;
    form.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(run, TYPING_PAUSE_MS);
    });
  } else {
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      run();
    });
  }
  // A link may bring a text: `?text=...`.
  const query = new URLSearchParams(location.search);
  text.value ||= query.get("text") ?? "";
  pair.value ||= query.get("pair") ?? "";
  if (text.value) await run();
  text.focus();
}

start().catch((error) => view.showError(error));
