#ifndef MODEL_HOST_H_
#define MODEL_HOST_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The host's part of a model for an NPU: what it reads besides ids, and numbers for its int8. */

/* Places of the inputs and outputs, for interpreter.input() and interpreter.output(). */
@places@

@sizes@
@declarations@
#ifdef __cplusplus
}
#endif

#endif /* MODEL_HOST_H_ */
