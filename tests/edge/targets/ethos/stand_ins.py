"""Declarations in the place of Arm's driver and TensorFlow Lite Micro, to compile against.

They are written from the documented signatures: what compiles shows syntax and types as they are
declared here, nothing of the libraries.
"""

_GUARD = "#pragma once\n"
FILES = {
    "ethosu_driver.h": _GUARD
    + """\
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
struct ethosu_driver { void* device; };
int ethosu_init(struct ethosu_driver* driver, void* const base_address, const void* fast_memory,
                const size_t fast_memory_size, uint32_t secure, uint32_t privileged);
#ifdef __cplusplus
}
#endif
""",
    "tensorflow/lite/schema/schema_generated.h": _GUARD
    + "namespace tflite { struct Model; const Model* GetModel(const void* data); }\n",
    "tensorflow/lite/micro/micro_mutable_op_resolver.h": _GUARD
    + """\
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
namespace tflite {
struct MicroOpResolver {};
template <unsigned int count> struct MicroMutableOpResolver : MicroOpResolver {
  TfLiteStatus AddEthosU();
  TfLiteStatus AddGather();
};
}
""",
    "tensorflow/lite/micro/micro_interpreter.h": _GUARD
    + """\
#include <stddef.h>
#include <stdint.h>
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
union TfLitePtrUnion { int32_t* i32; float* f; char* raw; int8_t* int8; void* data; };
struct TfLiteTensor { TfLitePtrUnion data; size_t bytes; };
namespace tflite {
struct MicroInterpreter {
  MicroInterpreter(
      const Model* model, const MicroOpResolver& resolver, uint8_t* arena, size_t size);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(size_t index);
  TfLiteTensor* output(size_t index);
};
}
""",
}


def write(folder):
    """Writes the headers into a folder."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
