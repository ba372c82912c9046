"""The demo in Chromium marks the entities and answers that `Runner` finds."""

import numpy as np
import pytest

from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.convert import convert
from tests import answering, tagging
from tests.runtimes.test_browser import our_demo, pytestmark, wait_until_loaded, with_model

__all__ = ["pytestmark"]
SPANS = """async (model, texts, load) => {
    const { predictSpans, readWindows } = await load("predict.js");
    const results = [];
    for (const [text, context] of texts) {
        const read = readWindows(model, text, context);
        results.push({ ...(await predictSpans(model, read)), windows: read.windows.length });
    }
    return results;
}"""


def test_entities_are_marked_where_runner_finds_them(tab, tmp_path):
    path = tmp_path / "tagger.tflite"
    path.write_bytes(bytes(convert(tagging.trained())))
    texts = ["Anna Stone saw  Paris Hill.", "\U0001f642 Lima, and nothing", "the old Oslo " * 20]
    expected = Runner(path).predict(texts)
    assert expected[0].spans
    with our_demo([path], tmp_path / "demo") as address:
        tab.open(address)
        wait_until_loaded(tab)
        found = with_model(tab, SPANS, [(text, None) for text in texts])
        tab.wait_for("document.activeElement.id === 'text'")
        tab.type(texts[0])
        tab.wait_for("document.querySelectorAll('mark').length > 0")
        marked = tab.evaluate(
            "[...document.querySelectorAll('mark')].map((one) => one.firstChild.textContent)"
        )
    for one, tagged in zip(found, expected, strict=True):
        spans = [(span["label"], span["start"], span["end"]) for span in one["spans"]]
        assert spans == [(span.label, span.start, span.end) for span in tagged.spans]
        np.testing.assert_allclose(
            [span["score"] for span in one["spans"]], [span.score for span in tagged.spans],
            atol=1e-4,
        )  # fmt: skip
    assert found[2]["windows"] > 1
    assert marked == [span.text for span in expected[0].spans]


def test_an_answer_is_marked_in_its_context(tab, tmp_path):
    path = tmp_path / "reader.tflite"
    path.write_bytes(bytes(convert(answering.trained())))
    contexts = ["Anna saw Bob in Oslo, Carla", "Anna Bob Carla", "Anna Bob " * 14 + "Lima Emil"]
    expected = Runner(path).predict(["where ?"] * 3, contexts)
    with our_demo([path], tmp_path / "demo") as address:
        tab.open(address)
        wait_until_loaded(tab)
        assert tab.evaluate("document.getElementById('pair-label').textContent") == "Context"
        found = with_model(tab, SPANS, [("where ?", context) for context in contexts])
    for one, best in zip(found, expected, strict=True):
        spans = [(span["start"], span["end"]) for span in one["spans"]]
        assert spans == ([] if best.start is None else [(best.start, best.end)])
        assert one["score"] == pytest.approx(best.score, abs=1e-4)
