"""The programs of docs/targets/cpp.md, compiled; the one for LiteRT's C API is run.

It is run on x86-64, and on an emulated ARM64 core with the library of the ARM64 wheel. LiteRT's
wheels have their library without headers, so that the functions which the program calls are
declared here, as LiteRT's own headers do. What it prints is compared with `Runner`'s logits.
"""

import re
import shutil
import subprocess
from pathlib import Path

import ai_edge_litert
import numpy as np
import pytest

from keras_transformer.edge.arm64.cores import CORES
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.edge.targets.micro.tokenizing import tokenizer_code
from tests.arm64 import emulated
from tests.edge.models import LENGTH, calibration, random_model, random_rows
from tests.slow import mostly_slow

PAGE = (Path(__file__).parents[2] / "docs/targets/cpp.md").read_text(encoding="utf-8")
LIBRARY = Path(ai_edge_litert.__file__).parent

LITERT = """
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef enum { kLiteRtStatusOk = 0 } LiteRtStatus;
typedef struct LiteRtEnvironmentT* LiteRtEnvironment;
typedef struct LiteRtModelT* LiteRtModel;
typedef struct LiteRtOptionsT* LiteRtOptions;
typedef struct LiteRtCompiledModelT* LiteRtCompiledModel;
typedef struct LiteRtSignatureT* LiteRtSignature;
typedef struct LiteRtTensorT* LiteRtTensor;
typedef struct LiteRtTensorBufferT* LiteRtTensorBuffer;
typedef struct LiteRtTensorBufferRequirementsT* LiteRtTensorBufferRequirements;
typedef struct {
  int element_type;
  unsigned rank : 7;
  bool has_strides : 1;
  int32_t dimensions[8];
  uint32_t strides[8];
} LiteRtRankedTensorType;
enum { kLiteRtHwAcceleratorCpu = 1 };
typedef enum {
  kLiteRtTensorBufferLockModeRead = 0,
  kLiteRtTensorBufferLockModeWrite = 1
} LiteRtTensorBufferLockMode;
LiteRtStatus LiteRtCreateEnvironment(int, const void*, LiteRtEnvironment*);
LiteRtStatus LiteRtCreateModelFromFile(LiteRtEnvironment, const char*, LiteRtModel*);
LiteRtStatus LiteRtCreateOptions(LiteRtOptions*);
LiteRtStatus LiteRtSetOptionsHardwareAccelerators(LiteRtOptions, int);
LiteRtStatus LiteRtCreateCompiledModel(
    LiteRtEnvironment, LiteRtModel, LiteRtOptions, LiteRtCompiledModel*);
LiteRtStatus LiteRtGetModelSignature(LiteRtModel, size_t, LiteRtSignature*);
LiteRtStatus LiteRtGetSignatureInputTensorByIndex(LiteRtSignature, size_t, LiteRtTensor*);
LiteRtStatus LiteRtGetSignatureOutputTensorByIndex(LiteRtSignature, size_t, LiteRtTensor*);
LiteRtStatus LiteRtGetRankedTensorType(LiteRtTensor, LiteRtRankedTensorType*);
LiteRtStatus LiteRtGetCompiledModelInputBufferRequirements(
    LiteRtCompiledModel, size_t, size_t, LiteRtTensorBufferRequirements*);
LiteRtStatus LiteRtGetCompiledModelOutputBufferRequirements(
    LiteRtCompiledModel, size_t, size_t, LiteRtTensorBufferRequirements*);
LiteRtStatus LiteRtCreateManagedTensorBufferFromRequirements(
    LiteRtEnvironment, const LiteRtRankedTensorType*, LiteRtTensorBufferRequirements,
    LiteRtTensorBuffer*);
LiteRtStatus LiteRtGetTensorBufferPackedSize(LiteRtTensorBuffer, size_t*);
LiteRtStatus LiteRtLockTensorBuffer(LiteRtTensorBuffer, void**, LiteRtTensorBufferLockMode);
LiteRtStatus LiteRtUnlockTensorBuffer(LiteRtTensorBuffer);
LiteRtStatus LiteRtRunCompiledModel(
    LiteRtCompiledModel, size_t, size_t, LiteRtTensorBuffer*, size_t, LiteRtTensorBuffer*);
void LiteRtDestroyTensorBuffer(LiteRtTensorBuffer);
void LiteRtDestroyCompiledModel(LiteRtCompiledModel);
void LiteRtDestroyOptions(LiteRtOptions);
void LiteRtDestroyModel(LiteRtModel);
void LiteRtDestroyEnvironment(LiteRtEnvironment);
"""

# What TensorFlow Lite Micro declares of the names that the page uses.
MICRO = """
#pragma once
#include <cstddef>
#include <cstdint>
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
struct TfLiteIntArray { int size; int data[8]; };
struct TfLiteTensor {
  TfLiteIntArray* dims;
  union { int32_t* i32; float* f; } data;
};
namespace tflite {
struct Model;
const Model* GetModel(const void*);
template <unsigned int count>
struct MicroMutableOpResolver {
  TfLiteStatus AddFullyConnected();
};
struct MicroInterpreter {
  template <unsigned int count>
  MicroInterpreter(const Model*, const MicroMutableOpResolver<count>&, uint8_t*, size_t);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(size_t);
  TfLiteTensor* output(size_t);
};
}  // namespace tflite
"""
OPS = """
#include "tensorflow/lite/micro/micro_interpreter.h"
enum { sentiment_op_count = 1, sentiment_arena_bytes = 1024 };
inline bool sentiment_register_ops(tflite::MicroMutableOpResolver<sentiment_op_count>* resolver) {
  return resolver->AddFullyConnected() == kTfLiteOk;
}
"""


def blocks(language):
    """The page's code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def headers(source, text, folder):
    """Puts a file with this text wherever a source includes one that has a path."""
    for name in re.findall(r'#include "(.+/.+)"', source):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def compiled(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def linked(gcc, library, folder, more=()):
    """The page's program, linked with the library of a wheel."""
    if shutil.which(gcc) is None:
        pytest.skip(f"{gcc} is not installed")
    [source] = blocks("c")
    headers(source, LITERT, folder)
    (folder / "model.c").write_text(source)
    compiled([
        gcc, "-std=c99", "-Wall", "-Wextra", "-I", folder, folder / "model.c", "-L", library,
        "-lLiteRt", f"-Wl,-rpath,{library}", *more, "-o", folder / "model",
    ])  # fmt: skip
    return str(folder / "model")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The command that runs the page's program."""
    return [linked("gcc", LIBRARY, tmp_path_factory.mktemp("c"))]


@pytest.fixture(scope="module")
def arm64_program(tmp_path_factory):
    """The command that runs the page's program on an emulated A76."""
    machine = emulated()
    library = machine.folder / "site" / "ai_edge_litert"
    # The library's own libraries are found when it is run.
    path = linked(
        "aarch64-linux-gnu-gcc", library, tmp_path_factory.mktemp("c"),
        ["-Wl,--allow-shlib-undefined"],
    )  # fmt: skip
    return machine.command(CORES["cortex-a76"], [path])


def model_file(precision, folder):
    path = folder / "model.tflite"
    batches = calibration() if precision == "static_int8" else None
    path.write_bytes(bytes(convert(random_model(num_segments=1), precision, calibration=batches)))
    return path


def check_logits(command, path, rows):
    """Compares what the program prints with what `Runner` computes here."""
    runner = Runner(path)
    for ids in random_rows(rows).ids:
        done = subprocess.run(
            [*command, path, *(str(one) for one in ids)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found = np.array(done.stdout.split(), "float32")
        padded = np.zeros((1, LENGTH), np.int32)
        padded[0, : len(ids)] = ids
        # The same kernels in the same package; or others, which add floats in another order, see
        # test_arm64.py.
        atol = 1e-6 if len(command) == 1 else 1e-5
        np.testing.assert_allclose(found, runner.run({"ids": padded})[0], rtol=0, atol=atol)


@pytest.mark.parametrize(
    "precision", mostly_slow(["float32", "dynamic_int8", "static_int8"], ["static_int8"])
)
def test_the_program_prints_the_logits_of_python(program, precision, tmp_path):
    check_logits(program, model_file(precision, tmp_path), 4)


@pytest.mark.parametrize("precision", mostly_slow(["float32", "static_int8"], ["static_int8"]))
def test_the_program_prints_them_on_arm64(arm64_program, precision, tmp_path):
    check_logits(arm64_program, model_file(precision, tmp_path), 2)


def test_the_program_says_what_failed(program, tmp_path):
    done = subprocess.run([*program, tmp_path / "none.tflite"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "none.tflite: LiteRT's status" in done.stderr


def test_the_function_for_a_microcontroller_compiles(tmp_path):
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    [source] = [block for block in blocks("cpp") if "arena[" in block]
    headers(source, MICRO, tmp_path)
    (tmp_path / "sentiment.h").write_text("extern const unsigned char sentiment[];\n")
    (tmp_path / "sentiment_ops.h").write_text(OPS)
    tokenizer = tokenizer_code("sentiment", random_model().tokenizer, LENGTH)
    (tmp_path / "sentiment_tokenizer.h").write_text(tokenizer["sentiment_tokenizer.h"])
    (tmp_path / "classify.cc").write_text(source)
    [line] = [block.strip() for block in blocks("sh") if "TF_LITE_STATIC_MEMORY" in block]
    compiled([
        "g++", "-std=c++17", "-Wall", "-Wextra", *line.split(), "-I", tmp_path, "-fsyntax-only",
        tmp_path / "classify.cc",
    ])  # fmt: skip
