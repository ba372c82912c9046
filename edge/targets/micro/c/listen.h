#ifndef MODEL_LISTEN_H_
#define MODEL_LISTEN_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the model reads: values of frames in mel bands. */
@sizes@

/* May be defined otherwise for the whole program: frames from one window to the next, windows whose
   probabilities are averaged, the mean from which on a label is heard, and the samples after a
   detection in which there is none. */
#ifndef MODEL_HOP_FRAMES
#define MODEL_HOP_FRAMES @hop_frames@
#endif
#ifndef MODEL_WINDOWS
#define MODEL_WINDOWS @windows@
#endif
#ifndef MODEL_THRESHOLD
#define MODEL_THRESHOLD @threshold@
#endif
#ifndef MODEL_REFRACTORY
#define MODEL_REFRACTORY @refractory@
#endif

extern const char* const model_labels[MODEL_LABELS];

/* A label that was heard, its mean probability, and the end of the last window in samples from the
   beginning of the stream. */
typedef struct {
  int label;
  float score;
  uint64_t end;
} model_detection;

/* The state of a stream: the samples of a frame, a ring of the frames of a window, and a ring of
   the probabilities of the last windows. */
typedef struct {
  int16_t samples[MODEL_FRAME];
  int8_t frames[MODEL_FRAMES][MODEL_MELS];
  float recent[MODEL_WINDOWS][MODEL_LABELS];
  int32_t real[MODEL_TRANSFORM], imaginary[MODEL_TRANSFORM];
  /* Labels that are never heard, such as silence: set after the reset. */
  uint8_t ignored[MODEL_LABELS];
  size_t held;
  uint64_t num_frames, num_windows, ready;
} model_listener;

/* Forgets all: what is heard next is the beginning of a stream. */
void model_listen_reset(model_listener* listener);

/* Hears samples of 16 bits up to the end of the next window, and returns how many it took. Where
   `*is_due` is then 1, the model has to be run. */
size_t model_listen(
    model_listener* listener, const int16_t* samples, size_t count, int* is_due);

/* Writes what the model reads in the last window. */
void model_listen_window(
    const model_listener* listener, int8_t features[MODEL_FRAMES * MODEL_MELS]);

/* Takes the model's outputs for the last window; 1 where a label is heard. */
int model_listen_decide(
    model_listener* listener, const float logits[MODEL_LABELS], model_detection* found);

#ifdef __cplusplus
}
#endif

#endif /* MODEL_LISTEN_H_ */
