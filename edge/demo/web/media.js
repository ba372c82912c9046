/** The page of a model of pictures or sounds: a file, or what the camera or microphone gives. */

import { predict } from "./predict.js";
import * as pictures from "./pictures.js";
import * as sounds from "./sounds.js";
import * as view from "./view.js";

const SOURCES = { image: pictures, audio: sounds };

/** Returns the module of what a model reads. */
export function sourceOf(model) {
  return SOURCES[model.reads];
}

/**
 * Lets the user choose a file, or start and stop the camera or microphone.
 * @param {{model: Model}[]} models of the same input
 * @param {function(function(AbortSignal): Promise)} run ends what runs, and runs a job
 */
export function startMedia(models, run) {
  const { model } = models[0];
  const source = sourceOf(model);
  const { file, live, preview } = view.fields;
  let isLive = false;
  const setLive = (value) => {
    isLive = value;
    live.textContent = isLive ? source.words.stop : source.words.live;
    live.setAttribute("aria-pressed", String(isLive));
  };
  const answer = async (found, signal, runs) => {
    source.show(preview, found);
    preview.hidden = false;
    const input = source.inputOf(found, model.settings);
    for (const [place, one] of models.entries()) {
      const prediction = await predict(one.model, input, runs);
      if (signal.aborted) return;
      view.showPrediction(place, prediction);
    }
    view.notice(input.notice);
  };
  const watch = async (signal) => {
    const opened = await source.open(model.settings);
    try {
      while (!signal.aborted) {
        await answer(await opened.next(), signal, { least: 1, most: 1 });
        await new Promise((resolve) => setTimeout(resolve));
      }
    } finally {
      opened.stop();
    }
  };
  file.accept = source.accept;
  setLive(false);
  live.disabled = !navigator.mediaDevices;
  file.addEventListener("change", () => {
    const [chosen] = file.files;
    if (!chosen) return;
    setLive(false);
    run(async (signal) => {
      await answer(await source.decode(chosen), signal);
      view.speakResults();
    });
  });
  live.addEventListener("click", () => {
    setLive(!isLive);
    if (isLive) file.value = "";
    run(async (signal) => {
      if (!isLive) return;
      try {
        await watch(signal);
      } catch (error) {
        setLive(false);
        throw error;
      }
    });
  });
  file.focus();
}
