/** Hands the microphone's samples to the page, the mean of its channels; runs beside it. */

class Recorder extends AudioWorkletProcessor {
  process([channels]) {
    if (channels.length) {
      const mean = channels[0].map(
        (_, i) => channels.reduce((sum, one) => sum + one[i], 0) / channels.length,
      );
      this.port.postMessage(mean);
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
