"""The demo in Chromium: its ids are Python's, its predictions and texts are `Runner`'s."""

import contextlib
import dataclasses
import functools
import http.server
import json
import threading

import numpy as np
import pytest

from keras_transformer.edge.demo import demo, litertjs
from keras_transformer.edge.runtime.packed import pack, unpack
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.tasks.translation import Translation
from keras_transformer.zoo.tokenizers.special import SpecialTokens
from keras_transformer.zoo.tokenizers.target_language import encode_sources
from keras_transformer.zoo.tokenizers.tokenizer import Tokenizer, TokenizerConfig
from keras_transformer.zoo.vocabularies.learn import learn_vocabulary
from tests.edge import generators, models
from tests.hard_strings import HARD
from tests.runtimes.chromium import EXECUTABLE

pytestmark = [
    pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed"),
    pytest.mark.skipif(
        not litertjs.cache_folder().exists(),
        reason="LiteRT.js is not in the cache; keras-transformer demo fetches it",
    ),
]
READABLE = [text for text in HARD if text.strip()]
# Loads the page's first model anew and gives it to `use`, which returns what JSON can hold.
WITH_MODEL = """(async () => {
    const load = (name) => import(new URL(name, document.baseURI));
    const [{ Model }, { UnicodeTable }] = [await load("model.js"), await load("text.js")];
    const table = new UnicodeTable(await (await fetch("unicode.json")).json());
    const model = await Model.load("%(file)s", table);
    const use = %(use)s;
    return use(model, %(texts)s, load);
})()"""
PREDICT = """async (model, texts, load) => {
    const { predict } = await load("predict.js");
    const results = [];
    for (const [text, pair] of texts) {
        const encoded = model.tokenizer.encode(text, pair, model.maxLength);
        const { labels, value } = await predict(model, encoded);
        results.push({ ids: encoded.ids, labels, value });
    }
    return results;
}"""
GENERATE = """async (model, texts, load) => {
    const { generate, readerIds } = await load("generate.js");
    const results = [];
    for (const [text, language] of texts) {
        const read = readerIds(model, text, language);
        let last;
        for await (last of generate(model, read));
        results.push({ ids: read.ids, text: last.text });
    }
    return results;
}"""


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    """Files of one model in float32 and int8, that read the vocabulary of the hard strings."""
    texts = [text for text in HARD if len(text) < 200]
    vocabulary = learn_vocabulary(texts, 600, TokenizerConfig())
    trained = dataclasses.replace(
        models.random_model(vocab_size=len(vocabulary)),
        modality=Text(tokenizer=Tokenizer(TokenizerConfig(), vocabulary), max_length=models.LENGTH),
    )
    folder = tmp_path_factory.mktemp("classifiers")
    paths = [folder / "float32.tflite", folder / "int8.tflite"]
    paths[0].write_bytes(bytes(convert(trained, "float32")))
    paths[1].write_bytes(bytes(convert(trained, "int8", calibration=models.calibration())))
    return paths


@pytest.fixture(scope="module")
def writers(tmp_path_factory):
    """Files of random models that write: translators of one and of two languages, and a GPT."""
    folder = tmp_path_factory.mktemp("writers")
    languages = ("de", "fr")
    two = dataclasses.replace(
        generators.generator("transformer", vocab_size=generators.VOCAB_SIZE + len(languages)),
        task=Translation(labels=languages),
    )
    paths = {name: folder / f"{name}.tflite" for name in ("two", "one", "gpt")}
    for name, trained in (("two", two), ("gpt", generators.generator("gpt"))):
        converted = convert(trained, "float32", lengths=generators.LENGTHS)
        paths[name].write_bytes(bytes(converted))
    # The same weights, with two more ids that are never written.
    flatbuffer, description, files = unpack(paths["two"])
    paths["one"].write_bytes(pack(flatbuffer, description, files | {"labels.txt": b""}))
    return paths


@contextlib.contextmanager
def serving(server):
    """The address of a server that runs in a thread."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def our_demo(paths, folder):
    """The address of a demo as `keras-transformer demo` serves it."""
    demo.check_files(paths)
    demo.write_demo(paths, litertjs.cache_folder(), folder)
    with demo.server(folder, 0) as server, serving(server) as address:
        yield address


@contextlib.contextmanager
def plain_demo(paths, folder):
    """The address of an exported demo on a server that knows nothing of it."""
    demo.write_demo(paths, litertjs.cache_folder(), folder)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        with serving(server) as address:
            yield address


def wait_until_loaded(tab):
    tab.wait_for("document.querySelectorAll('#models .model').length > 0")


def with_model(tab, use, texts, file="model-1.tflite"):
    return tab.evaluate(WITH_MODEL % {"file": file, "use": use, "texts": json.dumps(texts)})


def test_a_classifier_predicts_as_runner_does(tab, classifiers, tmp_path):
    with our_demo(classifiers, tmp_path / "demo") as address:
        tab.open(address)
        wait_until_loaded(tab)
        for number, path in enumerate(classifiers, start=1):
            runner = Runner(path)
            texts = [(text, None) for text in HARD]
            found = with_model(tab, PREDICT, texts, f"model-{number}.tflite")
            encoded = runner.tokenizer.encode(HARD, max_length=runner.max_length)
            assert [one["ids"] for one in found] == [row.tolist() for row in encoded.ids]
            expected = runner.predict(HARD)
            scores = [{row["label"]: row["probability"] for row in one["labels"]} for one in found]
            # A sum that falls between two steps may round another way: no logit of the int8 file
            # is off by more than a step, and no probability then by more than half of one.
            tolerance = 1e-5 if number == 1 else runner.description["output_step"] / 2
            for one, prediction in zip(scores, expected, strict=True):
                ours = [prediction.scores[label] for label in runner.labels]
                page = [one[label] for label in runner.labels]
                np.testing.assert_allclose(page, ours, atol=tolerance)
        names = tab.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
        assert len(names) > 10
        assert [name for name in names if not name.startswith(address)] == []


def test_pairs_and_numbers(tab, tmp_path):
    path = tmp_path / "pairs.tflite"
    path.write_bytes(bytes(convert(models.random_model("regression", pair=True), "float32")))
    firsts, seconds = ["w1 w2 w3", "w4", "w5 " * 30], ["w6", "w7 w8", "w9 " * 30]
    with our_demo([path], tmp_path / "demo") as address:
        tab.open(address)
        wait_until_loaded(tab)
        found = with_model(tab, PREDICT, list(zip(firsts, seconds, strict=True)))
    expected = [one.score for one in Runner(path).predict(firsts, seconds)]
    np.testing.assert_allclose([one["value"] for one in found], expected, rtol=1e-4, atol=1e-5)


def test_pairs_of_a_model_without_segments(tab, tmp_path):
    trained = models.random_model("regression", pair=True, num_segments=0)
    special = SpecialTokens(segments=False, pair=("[CLS]", "$A", "[SEP]", "[SEP]", "$B", "[SEP]"))
    config = TokenizerConfig(special=special, normalization="bert")
    tokenizer = Tokenizer(config, trained.tokenizer.vocabulary)
    trained.modality = dataclasses.replace(trained.modality, tokenizer=tokenizer)
    path = tmp_path / "pairs.tflite"
    path.write_bytes(bytes(convert(trained, "float32")))
    with our_demo([path], tmp_path / "demo") as address:
        tab.open(address)
        wait_until_loaded(tab)
        [found] = with_model(tab, PREDICT, [("w1 w2", "w6")])
    [expected] = Runner(path).predict(["w1 w2"], ["w6"])
    np.testing.assert_allclose(found["value"], expected.score, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "language"), [("one", None), ("two", "fr")])
def test_a_translator_writes_what_runner_writes(tab, writers, tmp_path, name, language):
    path = writers[name]
    runner = Runner(path)
    sources = READABLE[:8]
    with plain_demo([path], tmp_path / "demo") as address:
        tab.open(address)
        wait_until_loaded(tab)
        choice = "document.getElementById('language').checkVisibility()"
        assert tab.evaluate(choice) == (language is not None)
        found = with_model(tab, GENERATE, [(source, language) for source in sources])
    encoded = encode_sources(
        runner.tokenizer, sources, runner.max_length, runner.labels, [language] * len(sources)
    )
    assert [one["ids"] for one in found] == [row.tolist() for row in encoded.ids]
    expected = runner.generate(sources, language=language)
    assert all(expected)
    assert [one["text"] for one in found] == expected


def test_a_language_model_goes_on_as_runner_does(tab, writers, tmp_path):
    path = writers["gpt"]
    prompts = ["a", "Straße", "İs 🙂", "a prompt of more bytes"]
    with plain_demo([path], tmp_path / "demo") as address:
        tab.open(address)
        wait_until_loaded(tab)
        found = with_model(tab, GENERATE, [(prompt, None) for prompt in prompts])
        with pytest.raises(RuntimeError, match="has 40 tokens, the model holds 32: shorten it"):
            with_model(tab, GENERATE, [("a" * 40, None)])
    assert [one["text"] for one in found] == Runner(path).generate(prompts)


def test_typing_on_a_phone_shows_labels_of_both_files(tab, classifiers, tmp_path):
    with our_demo(classifiers, tmp_path / "demo") as address:
        tab.open(address, width=360, height=740)
        wait_until_loaded(tab)
        tab.wait_for("document.activeElement.id === 'text'")
        tab.type(READABLE[3])
        tab.wait_for("document.querySelectorAll('.labels').length === 2")
        tab.wait_for("document.getElementById('spoken').textContent !== ''")
        names = "[...document.querySelectorAll('.labels .label')].map((one) => one.textContent)"
        best = tab.evaluate(names)
        expected = [Runner(path).predict([READABLE[3]])[0] for path in classifiers]
        ranked = [sorted(one.scores, key=one.scores.get, reverse=True) for one in expected]
        assert best == [*ranked[0], *ranked[1]]
        assert tab.evaluate("document.documentElement.scrollWidth") == 360
        spoken = tab.evaluate("document.getElementById('spoken').textContent")
        assert spoken.startswith(f"float32: {ranked[0][0]} ")
        # The only other thing to reach by keyboard: the tokens.
        tab.press("Tab", 9)
        tab.press("Enter", 13, "\r")
        tab.wait_for("document.getElementById('tokens').open")
        ids = tab.evaluate("[...document.querySelectorAll('#tokens small')].map(e => +e.innerText)")
        runner = Runner(classifiers[0])
        assert ids == runner.tokenizer.encode([READABLE[3]], max_length=12).ids[0].tolist()
        tab.screenshot(tmp_path / "phone.png")


def test_enter_translates(tab, writers, tmp_path):
    path = writers["one"]
    with our_demo([path], tmp_path / "demo") as address:
        tab.open(address)
        wait_until_loaded(tab)
        tab.wait_for("document.activeElement.id === 'text'")
        tab.type("one horse")
        tab.press("Enter", 13, "\r")
        tab.wait_for("document.getElementById('spoken').textContent !== ''")
        shown = tab.evaluate("document.querySelector('.written').textContent")
        assert [shown] == Runner(path).generate(["one horse"])
        assert "tokens/s" in tab.evaluate("document.querySelector('.speed').textContent")
        tab.screenshot(tmp_path / "desktop.png")
