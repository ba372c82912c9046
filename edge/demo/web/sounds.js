/** Sounds from files and the microphone as the samples that a model reads, as NumPy resamples them. */

import { resampled } from "./resample.js";

const MOST_SECONDS = 3600;
// Seconds from one answer of the microphone to the next.
const PAUSE = 0.25;

export const accept = "audio/wav,audio/flac,.wav,.flac";
export const words = { live: "Use the microphone", stop: "Stop the microphone" };

/**
 * Decodes a sound at its own rate, as the mean of its channels.
 * @param {Blob} file
 * @return {Promise<{samples: Float32Array, rate: number}>}
 */
export async function decode(file) {
  const bytes = await file.arrayBuffer();
  const rate = rateOf(new DataView(bytes));
  if (!rate) throw new Error(`${file.name}: expected a WAV or FLAC file.`);
  let buffer;
  try {
    // A context of the file's own rate does not resample it.
    buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  } catch (error) {
    throw new Error(`${file.name}: this browser cannot decode it (${error.message}).`);
  }
  if (buffer.duration > MOST_SECONDS) {
    throw new Error(`${file.name}: expected at most ${MOST_SECONDS} seconds of sound.`);
  }
  return { samples: meanOf(buffer), rate };
}

/**
 * Returns what a model reads of a sound: its middle, or zeros after it.
 * @param {{samples: Float32Array, rate: number}} sound
 * @param {object} settings of the modality
 * @return {{name: string, data: Float32Array, notice: string}} the input's name and its values
 */
export function inputOf({ samples, rate }, settings) {
  const sound = resampled(samples, rate, settings.rate);
  if (sound.length < settings.frame) {
    throw new Error(
      `Expected a sound of at least a frame of ${settings.frame} samples at ${settings.rate} Hz, ` +
        `got ${sound.length}.`,
    );
  }
  if (!sound.every(Number.isFinite)) throw new Error("Expected finite samples in the sound.");
  const start = Math.max(0, Math.floor((sound.length - settings.samples) / 2));
  const data = new Float32Array(settings.samples);
  data.set(sound.subarray(start, start + settings.samples));
  const seconds = (settings.samples / settings.rate).toFixed(2);
  const isCut = sound.length > settings.samples;
  return { name: "waveform", data, notice: isCut ? `The middle ${seconds} seconds are read.` : "" };
}

/** Returns silence, to warm up with. */
export function blank({ samples, rate, ...settings }) {
  return inputOf({ samples: new Float32Array(samples), rate }, { samples, rate, ...settings });
}

/** Shows the wave of a sound on the page. */
export function show(preview, { samples }) {
  [preview.width, preview.height] = [480, 96];
  const context = preview.getContext("2d");
  context.strokeStyle = getComputedStyle(preview).color;
  context.beginPath();
  for (let x = 0; x < preview.width; x++) {
    const start = Math.floor((x * samples.length) / preview.width);
    const end = Math.max(start + 1, Math.floor(((x + 1) * samples.length) / preview.width));
    const level = samples.subarray(start, end).reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    const half = Math.max(0.5, (Math.min(1, level) * preview.height) / 2);
    context.moveTo(x + 0.5, preview.height / 2 - half);
    context.lineTo(x + 0.5, preview.height / 2 + half);
  }
  context.stroke();
}

/**
 * Opens the microphone.
 * @param {{rate: number, samples: number}} settings of the modality
 * @return {Promise<{next: function(): Promise<object>, stop: function()}>} the last seconds that a
 *     model reads, some time after those before, and the end
 */
export async function open({ rate, samples }) {
  const stream = await navigator.mediaDevices.getUserMedia({
    // The model was trained on sounds as they are.
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const context = new AudioContext();
  await context.audioWorklet.addModule(new URL("recorder.js", import.meta.url));
  const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  const heard = new Float32Array(Math.ceil((samples / rate) * context.sampleRate));
  let count = 0;
  recorder.port.onmessage = ({ data }) => {
    heard.copyWithin(0, data.length);
    heard.set(data.subarray(-heard.length), Math.max(0, heard.length - data.length));
    count += data.length;
  };
  context.createMediaStreamSource(stream).connect(recorder);
  let answered = 0;
  return {
    next: async () => {
      while (count < answered + PAUSE * context.sampleRate) await pause(PAUSE / 5);
      answered = count;
      return { samples: heard.slice(), rate: context.sampleRate };
    },
    stop: () => {
      stream.getTracks().forEach((track) => track.stop());
      context.close();
    },
  };
}

function meanOf(buffer) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => channels.reduce((sum, one) => sum + one[i], 0) / channels.length);
}

/** The rate in the header of a WAV or FLAC file, 0 of what is neither. */
function rateOf(view) {
  const nameAt = (place) => String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(place + i)));
  if (view.byteLength >= 42 && nameAt(0) === "fLaC") return view.getUint32(18) >>> 12;
  if (view.byteLength < 12 || nameAt(0) !== "RIFF" || nameAt(8) !== "WAVE") return 0;
  for (let place = 12; place + 16 <= view.byteLength; ) {
    const length = view.getUint32(place + 4, true);
    if (nameAt(place) === "fmt ") return view.getUint32(place + 12, true);
    place += 8 + length + (length % 2);
  }
  return 0;
}

function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}
