/* An example: sets up an Ethos-U and runs the model once. Change what is marked for a board.

   With TensorFlow Lite Micro built by `make ... CO_PROCESSOR=ethos_u`, which fetches Arm's driver, or
   with the driver from https://gitlab.arm.com/artificial-intelligence/ethos-u/ethos-u-core-driver, as
   C++17 with the flags of that library: -DTF_LITE_STATIC_MEMORY -fno-rtti -fno-exceptions
   -fno-threadsafe-statics. */

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "ethosu_driver.h"
#include "@name@.h"
#include "model_host.h"
#include "model_ops.h"
@include@#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

/* Of the board: where the NPU's registers are. Those of Arm's Corstone-300 and its FPGA images are
   here. Its interrupt has to call ethosu_irq_handler(&model_npu). */
#ifndef MODEL_NPU_BASE
#define MODEL_NPU_BASE 0x48102000
#endif
/* Of the linker script: where the arena is, in a memory that the NPU reaches, such as
   __attribute__((section(".bss.sram"))). */
#ifndef MODEL_ARENA_SECTION
#define MODEL_ARENA_SECTION
#endif

struct ethosu_driver model_npu;

alignas(16) MODEL_ARENA_SECTION static uint8_t model_arena[model_arena_bytes];
@fast@
int main() {
  if (ethosu_init(&model_npu, reinterpret_cast<void*>(MODEL_NPU_BASE), @fast_arguments@, 1, 1) != 0) {
    puts("The NPU cannot be set up.");
    return 1;
  }
  static tflite::MicroMutableOpResolver<model_op_count> model_resolver;
  if (!model_register_ops(&model_resolver)) return 1;
  static tflite::MicroInterpreter model_interpreter(
      tflite::GetModel(@name@), model_resolver, model_arena, sizeof(model_arena));
  if (model_interpreter.AllocateTensors() != kTfLiteOk) {
    puts("The arena is too small.");
    return 1;
  }
@inputs@
  if (model_interpreter.Invoke() != kTfLiteOk) {
    puts("The NPU cannot run the model.");
    return 1;
  }
  static float outputs[MODEL_OUTPUTS];
  model_outputs(model_interpreter.output(MODEL_OUTPUT)->data.int8, outputs);
  for (int i = 0; i < MODEL_OUTPUTS; ++i) printf("%g\n", static_cast<double>(outputs[i]));
  return 0;
}
