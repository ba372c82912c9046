/** Resampling of sounds by a polyphase filter, the same as zoo/media/resample.py. */

// The filter reaches over so many samples of the lower rate to both sides, under a Kaiser window.
const [REACH, BETA] = [10, 5];
const MOST_PHASES = 2 ** 16;

/**
 * Returns a sound at another rate.
 * @param {Float32Array} samples
 * @param {number} rate of the samples in Hz
 * @param {number} wanted rate in Hz
 * @return {Float32Array}
 */
export function resampled(samples, rate, wanted) {
  const divisor = greatestDivisor(rate, wanted);
  const [up, down] = [wanted / divisor, rate / divisor];
  if (up === down) return samples;
  if (Math.max(up, down) > MOST_PHASES) {
    throw new Error(`Expected other rates than ${rate} and ${wanted} Hz, whose ratio is too odd.`);
  }
  const taps = lowPass(Math.max(up, down));
  const middle = (taps.length - 1) / 2;
  const made = new Float32Array(Math.ceil((samples.length * up) / down));
  for (let place = 0; place < made.length; place++) {
    // The sample at or before this place of the finer grid, and how far it is behind it.
    const fine = place * down + middle;
    let sum = 0;
    for (let from = Math.floor(fine / up), tap = fine % up; tap < taps.length; tap += up, from--) {
      if (from >= 0 && from < samples.length) sum += taps[tap] * samples[from];
    }
    made[place] = sum * up;
  }
  return made;
}

/** The taps of the filter at `factor` times the lower rate, whose sum is 1. */
function lowPass(factor) {
  const reach = REACH * factor;
  const taps = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => {
    const place = i - reach;
    const angle = (Math.PI * place) / factor;
    const share = bessel(BETA * Math.sqrt(1 - (place / reach) ** 2)) / bessel(BETA);
    return (place ? Math.sin(angle) / angle : 1) * share;
  });
  const sum = taps.reduce((all, one) => all + one, 0);
  return taps.map((tap) => tap / sum);
}

/** The modified Bessel function of the first kind of order 0, by its power series. */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestDivisor(one, other) {
  return other ? greatestDivisor(other, one % other) : one;
}
