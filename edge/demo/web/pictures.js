/** Pictures from files and the camera as the pixels that a model reads, computed as Pillow does. */

const MOST_PIXELS = 2 ** 26;
// Bits of the weights of a resampled pixel, and how far each filter reaches.
const WEIGHT = 2 ** 22;
const FILTERS = {
  bilinear: { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { reach: 2, weight: cubic },
};
const DEFAULTS = { channels: 3, crop: 1, stretch: true, method: "bilinear" };

export const accept = "image/*";
export const words = { live: "Use the camera", stop: "Stop the camera" };

/**
 * Decodes a picture, upright, without a change of its colours.
 * @param {Blob} file
 * @return {Promise<ImageData>}
 */
export async function decode(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name}: expected a picture, got what this browser cannot decode.`);
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    throw new Error(
      `${file.name}: expected at most ${MOST_PIXELS} pixels, got ${width} x ${height}.`,
    );
  }
  return drawn(bitmap, width, height);
}

/**
 * Returns what a model reads of a picture.
 * @param {ImageData} picture
 * @param {object} settings of the modality
 * @return {{name: string, data: Uint8Array, notice: string}} the input's name and its values
 */
export function inputOf({ data, width, height }, settings) {
  const of = { ...DEFAULTS, ...settings };
  const picture = { data: channelsOf(data, of.channels), width, height, channels: of.channels };
  return { name: "pixels", data: fitted(picture, of), notice: "" };
}

/** Returns a grey picture of a model's size, to warm up with. */
export function blank(settings) {
  return inputOf(new ImageData(settings.width, settings.height), settings);
}

/** Shows a picture on the page. */
export function show(preview, picture) {
  preview.width = picture.width;
  preview.height = picture.height;
  preview.getContext("2d").putImageData(picture, 0, 0);
}

/**
 * Opens the camera.
 * @return {Promise<{next: function(): Promise<ImageData>, stop: function()}>} the next picture, and
 *     the end
 */
export async function open() {
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { facingMode: "environment" },
  });
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  video.srcObject = stream;
  await video.play();
  return {
    next: async () => drawn(video, video.videoWidth, video.videoHeight),
    stop: () => stream.getTracks().forEach((track) => track.stop()),
  };
}

function drawn(source, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** Red, green and blue, or their grey, of RGBA. */
function channelsOf(rgba, channels) {
  const pixels = new Uint8Array((rgba.length / 4) * channels);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += channels) {
    const [red, green, blue] = [rgba[from], rgba[from + 1], rgba[from + 2]];
    if (channels === 3) {
      pixels[to] = red;
      pixels[to + 1] = green;
      pixels[to + 2] = blue;
    } else {
      pixels[to] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    }
  }
  return pixels;
}

/** The middle of a picture in the model's size, as zoo/media/pictures.py computes it. */
function fitted(picture, { height, width, crop, stretch, method }) {
  const { height: tall, width: wide } = picture;
  if (tall === height && wide === width && crop === 1) return picture.data;
  const least = Math.min(tall / height, wide / width);
  const halfOf = (size, own) => (crop * (stretch ? own / size : least) * size) / 2;
  // Pillow keeps the edges as float32.
  const boxOf = (size, own) => [
    Math.fround(Math.max(0, own / 2 - halfOf(size, own))),
    Math.fround(Math.min(own, own / 2 + halfOf(size, own))),
  ];
  const across = weightsOf(wide, width, boxOf(width, wide), FILTERS[method]);
  const down = weightsOf(tall, height, boxOf(height, tall), FILTERS[method]);
  const { channels } = picture;
  const narrow = resized(picture.data, across, {
    count: tall, stride: wide * channels, step: channels, channels, into: [width * channels, channels],
  });
  return resized(narrow, down, {
    count: width, stride: channels, step: width * channels, channels,
    into: [channels, width * channels],
  });
}

/** For each place along an axis the first pixel that counts there, and the weights from it on. */
function weightsOf(size, wanted, [start, end], { reach, weight }) {
  const scale = Math.fround(end - start) / wanted;
  const wide = Math.max(1, scale);
  return Array.from({ length: wanted }, (_, place) => {
    const center = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach * wide + 0.5));
    const last = Math.min(size, Math.trunc(center + reach * wide + 0.5));
    const found = Array.from({ length: last - first }, (_, i) =>
      weight((i + first - center + 0.5) / wide),
    );
    const sum = found.reduce((all, one) => all + one, 0);
    const whole = found.map((one) => {
      const share = (one / sum) * WEIGHT;
      return Math.trunc(share + (share < 0 ? -0.5 : 0.5));
    });
    return { first, whole };
  });
}

/** Pixels along one axis as sums of others, for `count` lines of the other axis. */
function resized(pixels, weights, { count, stride, step, channels, into }) {
  const made = new Uint8Array(count * weights.length * channels);
  for (let line = 0; line < count; line++) {
    for (const [place, { first, whole }] of weights.entries()) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = WEIGHT / 2;
        let from = line * stride + first * step + channel;
        for (const one of whole) {
          sum += one * pixels[from];
          from += step;
        }
        made[line * into[0] + place * into[1] + channel] = Math.min(
          255, Math.max(0, Math.floor(sum / WEIGHT)),
        );
      }
    }
  }
  return made;
}

/** Keys' cubic with a = -0.5. */
function cubic(x) {
  const far = Math.abs(x);
  if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
  return far < 2 ? ((-0.5 * far + 2.5) * far - 4) * far + 2 : 0;
}
