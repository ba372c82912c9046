"""The Kotlin of docs/targets, compiled by JetBrains' compiler; what needs no phone runs on the JVM.

The compiler is npm's package `kotlin-compiler`, which is fetched once into the cache in which the
demo's LiteRT.js is kept, too. Classes of Android, MediaPipe and LiteRT are declared here as far as
the pages call them, so that a compiled page has the right syntax, imports and types as far as these
declarations go. Of Unicode's rules, ICU for Java (Debian's libicu4j-java) has those of Android's.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from keras_transformer.edge.demo.litertjs import cache_folder
from keras_transformer.zoo.generation.prompt import Continuation, read_prompt
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from tests.edge.models import VOCABULARY
from tests.hard_strings import UTF8

PAGES = Path(__file__).parents[2] / "docs/targets"
VERSION = "2.4.20"
ICU = Path(os.environ.get("ICU4J_JAR", "/usr/share/java/icu4j.jar"))
COMPILER = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"

# Signatures as the vendors' references give them, in Java, so that Kotlin sees types of a platform.
DECLARED = {
    "android/content/Context": """
        public abstract class Context {
          public abstract android.content.res.AssetManager getAssets();
        }""",
    "android/content/res/AssetManager": """
        public final class AssetManager {
          public native AssetFileDescriptor openFd(String name) throws java.io.IOException;
        }""",
    "android/content/res/AssetFileDescriptor": """
        public class AssetFileDescriptor implements java.io.Closeable {
          public native java.io.FileDescriptor getFileDescriptor();
          public native long getStartOffset();
          public native long getDeclaredLength();
          public native void close() throws java.io.IOException;
        }""",
    "com/google/mediapipe/tasks/core/BaseOptions": """
        public abstract class BaseOptions {
          public static native Builder builder();
          public abstract static class Builder {
            public abstract Builder setModelAssetPath(String path);
            public abstract BaseOptions build();
          }
        }""",
    "com/google/mediapipe/tasks/text/textclassifier/TextClassifier": """
        public final class TextClassifier implements AutoCloseable {
          public static native TextClassifier createFromOptions(
              android.content.Context context, TextClassifierOptions options);
          public native TextClassifierResult classify(String text);
          public native void close();
          public abstract static class TextClassifierOptions {
            public static native Builder builder();
            public abstract static class Builder {
              public abstract Builder setBaseOptions(
                  com.google.mediapipe.tasks.core.BaseOptions options);
              public abstract TextClassifierOptions build();
            }
          }
        }""",
    "com/google/mediapipe/tasks/text/textclassifier/TextClassifierResult": """
        public abstract class TextClassifierResult {
          public abstract com.google.mediapipe.tasks.components.containers.ClassificationResult
              classificationResult();
        }""",
    "com/google/mediapipe/tasks/components/containers/ClassificationResult": """
        public abstract class ClassificationResult {
          public abstract java.util.List<Classifications> classifications();
        }""",
    "com/google/mediapipe/tasks/components/containers/Classifications": """
        public abstract class Classifications {
          public abstract java.util.List<Category> categories();
        }""",
    "com/google/mediapipe/tasks/components/containers/Category": """
        public abstract class Category {
          public abstract String categoryName();
          public abstract float score();
        }""",
    "org/tensorflow/lite/Interpreter": """
        public final class Interpreter implements AutoCloseable {
          public static class Options {}
          public Interpreter(java.nio.ByteBuffer model, Options options) {}
          public native void runSignature(
              java.util.Map<String, Object> inputs, java.util.Map<String, Object> outputs,
              String signature);
          public native String[] getSignatureOutputs(String signature);
          public native Tensor getOutputTensorFromSignature(String output, String signature);
          public native void close();
        }""",
    "org/tensorflow/lite/Tensor": """
        public interface Tensor {
          int numElements();
        }""",
}
ALIASES = {
    "lang": "package android.icu.lang\ntypealias UCharacter = com.ibm.icu.lang.UCharacter\n",
    "text": "package android.icu.text\ntypealias Normalizer2 = com.ibm.icu.text.Normalizer2\n",
}
# What the code around a snippet has, by a word of the snippet that no other has.
AROUND = {
    "TextClassifierOptions": "context: android.content.Context, text: String",
    "hiddenDim": "interpreter: org.tensorflow.lite.Interpreter, ids: IntArray, hiddenDim: Int",
    "loadModelFile": "context: android.content.Context",
}
# Reads texts, or prompts with what follows, as hexadecimal lines; a piece is a word such as w12.
MAIN = r"""
fun read(hex: String) = String(hex.chunked(2).map { it.toInt(16).toByte() }.toByteArray())
fun written(text: String) = text.toByteArray().joinToString("") { "%02x".format(it) }
fun pieces(text: String) =
    Regex("w(\\d+)").findAll(text).map { it.groupValues[1].toInt() + 5 }.toList()
fun decode(ids: List<Int>) = ids.joinToString(" ") { "w${it - 5}" }

fun main(arguments: Array<String>) {
    generateSequence { readlnOrNull() }.forEach {
        val texts = it.split(",").map(::read)
        when (arguments[0]) {
            "normalized" -> println(written(normalized(texts[0])))
            "ids" -> println(promptIds(texts[0], 3, ::pieces).joinToString(" "))
            else -> println(written(added(texts[0], pieces(texts[1]), ::pieces, ::decode)))
        }
    }
}
"""


def snippets():
    """The pages' blocks, each with its page's name."""
    return [
        (page.stem, block)
        for page in sorted(PAGES.glob("*.md"))
        for block in re.findall(
            r"^```kotlin\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
    ]


def split(block):
    """A block's imports and the rest."""
    lines = block.splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    return "\n".join(imports), "\n".join(line for line in lines if line not in imports)


@pytest.fixture(scope="module")
def kotlin():
    """The folder of the compiler's jars."""
    if shutil.which("java") is None or shutil.which("npm") is None:
        pytest.skip("Java and npm are not both installed")
    folder = cache_folder().with_name(f"kotlin-compiler-{VERSION}")
    jars = folder / "node_modules/kotlin-compiler/lib"
    if not (jars / "kotlin-compiler.jar").is_file():
        partial = folder.with_name(f"{folder.name}-{os.getpid()}")
        partial.mkdir(parents=True)
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]
        done = subprocess.run(
            [*command, partial, f"kotlin-compiler@{VERSION}"], capture_output=True, text=True
        )
        if done.returncode:
            shutil.rmtree(partial)
            pytest.skip(f"npm could not fetch kotlin-compiler {VERSION}")
        if not jars.is_dir():  # of another process that was faster
            partial.rename(folder)
    return jars


@pytest.fixture(scope="module")
def compiled(kotlin, tmp_path_factory):
    """The classes of the pages' code."""
    if not ICU.is_file():
        pytest.skip(f"ICU for Java is not at {ICU} (libicu4j-java, or ICU4J_JAR)")
    folder = tmp_path_factory.mktemp("kotlin")
    sources = []

    def add(name, text):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        if name.endswith(".kt"):
            sources.append(folder / name)

    for name, text in DECLARED.items():
        package = name.rpartition("/")[0].replace("/", ".")
        add(f"java/{name}.java", f"package {package};\n{text}\n")
    for name, text in ALIASES.items():
        add(f"icu_{name}.kt", text)
    for number, (page, block) in enumerate(snippets()):
        imports, rest = split(block)
        [around] = [value for word, value in AROUND.items() if word in rest] or [None]
        code = rest if around is None else f"fun snippet{number}({around}) {{\n{rest}\n}}"
        add(f"{page}_{number}.kt", f"{imports}\n{code}\n")
    add("main.kt", MAIN)
    done = subprocess.run(
        [
            "java", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-cp", kotlin / "kotlin-compiler.jar",
            COMPILER, "-no-reflect", "-no-stdlib", "-Werror", "-nowarn", "-cp",
            f"{kotlin / 'kotlin-stdlib.jar'}:{ICU}", "-d", folder / "classes", folder / "java",
            *sources,
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return f"{folder / 'classes'}:{kotlin / 'kotlin-stdlib.jar'}:{ICU}"


def run(classes, what, rows):
    """The lines that the program prints for rows of texts."""
    sent = "\n".join(",".join(text.encode().hex() for text in row) for row in rows)
    command = ["java", "-Dfile.encoding=UTF-8", "-cp", classes, "MainKt", what]
    done = subprocess.run(command, input=sent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(rows)
    return lines


def test_all_snippets_compile(compiled):
    assert [page for page, _ in snippets()] == ["android"] * 4 + ["normalization"]


def test_normalization_is_pythons(compiled):
    [_, code] = (PAGES / "normalization.md").read_text(encoding="utf-8").split("```python\n")
    told = {}
    exec(code.partition("```")[0], told)
    texts = [text for text in UTF8 if text]
    lines = run(compiled, "normalized", [[text] for text in texts])
    for text, line in zip(texts, lines, strict=True):
        assert bytes.fromhex(line).decode() == told["normalized"](text), ascii(text)


def test_prompts_are_pythons(compiled):
    tokenizer = Tokenizer(TokenizerConfig(), VOCABULARY)
    prompts = ["", "w1", "w1 w2 ", "w1\nw2 w3", "w1 w2\n\n  \nw3 w4 ", "w7\n", "w7\n \nw8"]
    read = [read_prompt(prompt, tokenizer) for prompt in prompts]
    found = run(compiled, "ids", [[prompt] for prompt in prompts])
    assert [line.split() for line in found] == [[str(i) for i in one.ids] for one in read]
    more = "w9 w10"
    [ids] = tokenizer.pieces([more])
    found = run(compiled, "added", [[prompt, more] for prompt in prompts])
    expected = [Continuation(tokenizer, one).text(ids) for one in read]
    assert [bytes.fromhex(line).decode() for line in found] == expected
