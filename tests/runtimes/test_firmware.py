"""The firmware of docs/targets/firmware.md, compiled, and run with a stand-in for the interpreter.

No package has TensorFlow Lite Micro for microcontrollers, or its headers, so that what the program
names of it is declared here. The stand-in's logits are sums of the ids by which Python knows the
label, as the tokenizer, the labels and the program are the page's and the bundle's own.
"""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from keras_transformer.edge.integers.kernels import Grid
from keras_transformer.edge.runtime.packed import pack
from keras_transformer.edge.targets.micro.sources import c_sources
from keras_transformer.edge.targets.micro.tokenizing import tokenizer_code
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.edge.integers.single_op import single_op
from tests.edge.models import VOCABULARY
from tests.edge.targets.test_micro_tokenizer import CONFIGS, MAIN, of_utf8, vocabulary
from tests.hard_strings import HARD

PAGE = (Path(__file__).parents[2] / "docs/targets/firmware.md").read_text(encoding="utf-8")
LENGTH = 32
LABELS = ("a", "b \u00e9", "c\\d")
ARM = "arm-none-eabi-g++"
CORES = {"cortex-m3": "mps2-an385", "cortex-m7": "mps2-an500"}
needs_arm = pytest.mark.skipif(shutil.which(ARM) is None, reason=f"{ARM} is not installed")
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is not installed"
)

# What TensorFlow Lite Micro declares of the names that the page uses, and logits of its own.
MICRO = """
#pragma once
#include <cstddef>
#include <cstdint>
#ifndef TF_LITE_STATIC_MEMORY
#error "structures have another size"
#endif
#define TFLITE_SCHEMA_VERSION (3)
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
struct TfLiteTensor {
  union { int32_t* i32; float* f; } data;
};
namespace tflite {
void InitializeTarget();
struct Model {
  uint32_t version() const;
};
const Model* GetModel(const void*);
class MicroOpResolver {};
template <unsigned int count>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  TfLiteStatus AddMul() { return kTfLiteOk; }
};
class MicroInterpreter {
 public:
  MicroInterpreter(const Model*, const MicroOpResolver&, uint8_t*, size_t);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(size_t);
  TfLiteTensor* output(size_t);
 private:
  TfLiteTensor ids_, logits_;
  const MicroOpResolver& resolver_;
  uint8_t* arena_;
  size_t size_;
};
}  // namespace tflite
"""
STAND_IN = f"""
#include "tensorflow/lite/micro/micro_interpreter.h"
namespace tflite {{
void InitializeTarget() {{}}
uint32_t Model::version() const {{ return TFLITE_SCHEMA_VERSION; }}
// The identifier of a model's format, at an aligned address.
const Model* GetModel(const void* model) {{
  const char* bytes = static_cast<const char*>(model);
  const bool is_model = bytes[4] == 'T' && bytes[5] == 'F' && bytes[6] == 'L';
  if (reinterpret_cast<uintptr_t>(model) % 16 != 0 || !is_model) return nullptr;
  return static_cast<const Model*>(model);
}}
MicroInterpreter::MicroInterpreter(
    const Model*, const MicroOpResolver& resolver, uint8_t* arena, size_t size)
    : resolver_(resolver), arena_(arena), size_(size) {{}}
TfLiteStatus MicroInterpreter::AllocateTensors() {{
  if (size_ < {4 * LENGTH + 4 * len(LABELS)}) return kTfLiteError;
  ids_.data.i32 = reinterpret_cast<int32_t*>(arena_);
  logits_.data.f = reinterpret_cast<float*>(arena_ + {4 * LENGTH});
  return kTfLiteOk;
}}
TfLiteStatus MicroInterpreter::Invoke() {{
  for (int i = 0; i < {len(LABELS)}; ++i) {{
    int32_t sum = 0;
    for (int j = 0; j < {LENGTH}; ++j) sum += ids_.data.i32[j] * ((i + 1) * (j + 3) % 11);
    logits_.data.f[i] = static_cast<float>(sum % 101);
  }}
  for (int j = 0; j < {LENGTH}; ++j) ids_.data.i32[j] = -1;
  return kTfLiteOk;
}}
TfLiteTensor* MicroInterpreter::input(size_t) {{ return &ids_; }}
TfLiteTensor* MicroInterpreter::output(size_t) {{ return &logits_; }}
}}  // namespace tflite
"""


def expected(tokenizer, texts):
    """The labels of the stand-in."""
    ids, _ = tokenizer.encode(texts, max_length=LENGTH).pad(LENGTH)
    i, j = np.ogrid[: len(LABELS), :LENGTH]
    sums = ids.astype(np.int64) @ ((i + 1) * (j + 3) % 11).T
    return [LABELS[row] for row in (sums % 101).argmax(1)]


def block(language, word):
    """The page's block of a language that has a word."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    [code] = [one for one in found if word in one]
    return code


def call(command, folder, **options):
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(TokenizerConfig(), VOCABULARY)


@pytest.fixture(scope="module")
def project(tokenizer, tmp_path_factory):
    """A folder with the page's files, a bundle of the page's name and the stand-in."""
    folder = tmp_path_factory.mktemp("firmware")
    grid, shape = Grid.of(-1.0, 1.0), (1, 8)
    model = single_op("MUL", [(shape, grid)] * 2, grid, shape, options=("MulOptions", {}))
    description = {
        "arena_bytes": 1024, "modality": "text", "output_kind": "label", "max_length": LENGTH,
        "task": {"pair": False},
    }  # fmt: skip
    files = {
        **Text(tokenizer=tokenizer, max_length=LENGTH).files(),
        "labels.txt": "\n".join(LABELS).encode() + b"\n",
    }
    data = pack(model, description, files)
    for name, text in c_sources(Path("intents.tflite"), data).items():
        (folder / name).write_bytes(text)
    source = block("cpp", "int main()")
    for name in re.findall(r'#include "(tensorflow/.+)"', source):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(MICRO)
    (folder / "tensorflow/lite/micro/micro_mutable_op_resolver.h").write_text(MICRO)
    (folder / "main.cpp").write_text(source)
    (folder / "stand_in.cpp").write_text(STAND_IN)
    (folder / "board.c").write_text(block("c", "vectors"))
    (folder / "board.ld").write_text(block("text", "MEMORY"))
    return folder


def commands(core):
    """The page's three commands for a core, with our library's sources in the place of its own."""
    lines = block("sh", "rdimon.specs").strip().replace("cortex-m7", core).splitlines()
    lines = [line.replace('"$TFLM"', ".").replace("$LIBRARY", "stand_in.o") for line in lines]
    [cc, cpp, link] = [line.split() for line in lines]
    strict = ["-Wall", "-Wextra", "-Werror"]
    return [[*cc, *strict, "-pedantic"], [*cpp, *strict, "stand_in.cpp"], link]


TEXTS = ["w1 w2", "W30\u0301 \u2014 w35, w0", " ".join(["w7"] * 40), "", "w3\tw4 w9", "nothing"]


def test_the_firmware_on_the_host(project, tokenizer, tmp_path):
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    flags = [word for word in commands("cortex-m3")[1] if word.startswith(("-f", "-D", "-std"))]
    assert "-DTF_LITE_STATIC_MEMORY" in flags
    for name in ("intents.c", "intents_tokenizer.c"):
        call(
            ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", project, "-c",
             project / name], tmp_path,
        )  # fmt: skip
    call(
        ["g++", *flags, "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-I", project,
         project / "main.cpp", project / "stand_in.cpp", "intents.o", "intents_tokenizer.o", "-o",
         "main"], tmp_path,
    )  # fmt: skip
    printed = call([tmp_path / "main"], tmp_path, input="\n".join(TEXTS) + "\n")
    found = expected(tokenizer, TEXTS)
    assert printed.splitlines() == found
    assert set(found) == set(LABELS)


@needs_arm
@pytest.mark.parametrize("core", CORES)
def test_the_firmware_in_qemu(core, project, tokenizer):
    for command in commands(core):
        call(command, project)
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed; the firmware was compiled")
    [line] = [one for one in block("sh", "qemu-system-arm").splitlines() if "-kernel" in one]
    command = line.partition("|")[2].replace("mps2-an500", CORES[core]).split()
    printed = call(command, project, input="\n".join(TEXTS) + "\n", timeout=60)
    assert printed.splitlines() == expected(tokenizer, TEXTS)


@pytest.mark.slow
@needs_arm
@needs_qemu
@pytest.mark.parametrize("name", CONFIGS)
def test_hard_strings_in_qemu(name, project, tmp_path):
    settings, characters = CONFIGS[name]
    config = TokenizerConfig(**settings)
    tokenizer = Tokenizer(config, vocabulary(characters, config))
    for file, text in tokenizer_code("my_model", tokenizer, 48).items():
        (tmp_path / file).write_text(text)
    for file in ("board.c", "board.ld"):
        shutil.copyfile(project / file, tmp_path / file)
    (tmp_path / "main.c").write_text(MAIN)
    core = ["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb", "-Os", "-std=c99"]
    sources = ["board.c", "main.c", "my_model_tokenizer.c"]
    call([*core, "-Wall", "-Wextra", "-Werror", "-c", *sources], tmp_path)
    objects = [file.replace(".c", ".o") for file in sources]
    link = ["--specs=rdimon.specs", "-Wl,-T,board.ld", "-Wl,--gc-sections"]
    call([*core, *link, *objects, "-o", "firmware.elf"], tmp_path)
    texts = of_utf8(HARD)
    # Its size_t has 32 bits.
    sent = b"".join(np.uint32(len(one.encode())).tobytes() + one.encode() for one in texts)
    child = subprocess.run(
        ["qemu-system-arm", "-M", "mps2-an385", "-display", "none", "-serial", "none", "-monitor",
         "none", "-semihosting-config", "enable=on,target=native,arg=main,arg=48", "-kernel",
         "firmware.elf"], cwd=tmp_path, input=sent, capture_output=True, check=True, timeout=300,
    )  # fmt: skip
    found = np.frombuffer(child.stdout, np.int32).reshape(-1, 49)
    rows = tokenizer.encode(texts, max_length=48)
    np.testing.assert_array_equal(found[:, 1:], rows.pad(48)[0])
    assert found[:, 0].tolist() == [len(row) for row in rows.ids]
