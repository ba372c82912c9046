/* Listens to a stream for a model of sounds: its log-mel spectrogram in integers, bit for bit as
   keras_transformer.zoo.modalities.log_mel computes it, and when a label is heard, as
   keras_transformer.zoo.streaming does. C99; `>>` of a negative number has to keep its sign, as with
   all compilers of these devices. */

#include "model_listen.h"

#include <math.h>
#include <string.h>

#define LAST (MODEL_TRANSFORM / 2)

@tables@

/* Divides by a power of 2 and rounds: of ties to the higher number. */
static int64_t shifted(int64_t value, int bits) {
  return (value + ((int64_t)1 << (bits - 1))) >> bits;
}

/* The Fourier transform of the samples, in place: radix 2, the samples in the order of their
   reversed bits. */
static void transform(model_listener* listener) {
  int32_t *real = listener->real, *imaginary = listener->imaginary;
  size_t place, size, start;
  for (place = 0; place < MODEL_TRANSFORM; place++) {
    size_t from = 0, bit;
    for (bit = 1; bit < MODEL_TRANSFORM; bit <<= 1) {
      from = (from << 1) | ((place & bit) != 0);
    }
    real[place] = 0;
    imaginary[place] = 0;
    if (from < MODEL_FRAME) {
      int64_t product = (int64_t)listener->samples[from] * window[from];
      real[place] = (int32_t)shifted(product, WINDOW_SHIFT);
    }
  }
  for (size = 1; size < MODEL_TRANSFORM; size <<= 1) {
    for (start = 0; start < MODEL_TRANSFORM; start += 2 * size) {
      for (place = 0; place < size; place++) {
        size_t a = start + place, b = a + size, turn = place * (LAST / size);
        int64_t x = real[b], y = imaginary[b], cosine = cosines[turn], sine = sines[turn];
        int32_t u = (int32_t)shifted(x * cosine - y * sine, TURN_BITS);
        int32_t v = (int32_t)shifted(x * sine + y * cosine, TURN_BITS);
        real[b] = real[a] - u;
        imaginary[b] = imaginary[a] - v;
        real[a] += u;
        imaginary[a] += v;
      }
    }
  }
}

/* The logarithm of base 2, times 2^16, of a positive number below 2^63. */
static int64_t logarithm(uint64_t value) {
  int highest = 0;
  uint64_t rest, place;
  int64_t rise;
  while (highest < 62 && value >> (highest + 1)) highest++;
  rest = (value << (62 - highest)) & (((uint64_t)1 << 62) - 1);
  place = (rest >> 39) & 0xffff;
  rest >>= 55;
  rise = lines[rest + 1] - lines[rest];
  return ((int64_t)highest << 16) + lines[rest] + ((rise * (int64_t)place) >> 16);
}

/* The stored values of the samples in mel bands. */
static void frame(model_listener* listener, int8_t* values) {
  const uint16_t* weight = weights;
  size_t band, bin;
  transform(listener);
  for (band = 0; band < MODEL_MELS; band++) {
    uint64_t sum = 0;
    int64_t value;
    for (bin = 0; bin < counts[band]; bin++) {
      int64_t x = listener->real[firsts[band] + bin];
      int64_t y = listener->imaginary[firsts[band] + bin];
      sum += ((uint64_t)(x * x + y * y) >> POWER_SHIFT) * *weight++;
    }
    if (sum < FLOOR) sum = FLOOR;
    value = (logarithm(sum) * factors[band] + offsets[band]) >> SCALE_BITS;
    values[band] = (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
  }
}

void model_listen_reset(model_listener* listener) { memset(listener, 0, sizeof(*listener)); }

size_t model_listen(
    model_listener* listener, const int16_t* samples, size_t count, int* is_due) {
  size_t taken = 0;
  *is_due = 0;
  while (taken < count && !*is_due) {
    size_t part = MODEL_FRAME - listener->held;
    uint64_t last;
    if (part > count - taken) part = count - taken;
    memcpy(listener->samples + listener->held, samples + taken, part * sizeof(*samples));
    listener->held += part;
    taken += part;
    if (listener->held < MODEL_FRAME) break;
    frame(listener, listener->frames[listener->num_frames++ % MODEL_FRAMES]);
    listener->held -= MODEL_HOP;
    memmove(
        listener->samples, listener->samples + MODEL_HOP, listener->held * sizeof(*samples));
    last = MODEL_FRAMES + listener->num_windows * MODEL_HOP_FRAMES;
    if (listener->num_frames == last) {
      listener->num_windows++;
      *is_due = 1;
    }
  }
  return taken;
}

void model_listen_window(
    const model_listener* listener, int8_t features[MODEL_FRAMES * MODEL_MELS]) {
  /* The next frame that is overwritten is the oldest. */
  size_t oldest = (size_t)(listener->num_frames % MODEL_FRAMES), newer = MODEL_FRAMES - oldest;
  memcpy(features, listener->frames[oldest], newer * MODEL_MELS);
  memcpy(features + newer * MODEL_MELS, listener->frames[0], oldest * MODEL_MELS);
}

int model_listen_decide(
    model_listener* listener, const float logits[MODEL_LABELS], model_detection* found) {
  float* row = listener->recent[(listener->num_windows - 1) % MODEL_WINDOWS];
  float largest = logits[0], total = 0, best = -1;
  uint64_t end = MODEL_SAMPLES + (listener->num_windows - 1) * MODEL_HOP_FRAMES * MODEL_HOP;
  int label, other;
  for (label = 1; label < MODEL_LABELS; label++) {
    if (logits[label] > largest) largest = logits[label];
  }
  for (label = 0; label < MODEL_LABELS; label++) {
    row[label] = expf((logits[label] - largest) / TEMPERATURE);
    total += row[label];
  }
  /* A window that is out of the model's scope counts as 0 for all labels. */
  for (label = 0; label < MODEL_LABELS; label++) {
    row[label] = 1 / total < LEAST_PROBABILITY ? 0 : row[label] / total;
  }
  found->label = -1;
  for (label = 0; label < MODEL_LABELS; label++) {
    float mean = 0;
    for (other = 0; other < MODEL_WINDOWS; other++) mean += listener->recent[other][label];
    mean /= MODEL_WINDOWS;
    if (!listener->ignored[label] && mean > best) {
      best = mean;
      found->label = label;
    }
  }
  if (best < MODEL_THRESHOLD || end < listener->ready) return 0;
  found->score = best;
  found->end = end;
  listener->ready = end + MODEL_REFRACTORY;
  return 1;
}
