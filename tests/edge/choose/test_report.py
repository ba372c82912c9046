import dataclasses
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from keras_transformer.edge.choose import figures as drawing
from keras_transformer.edge.choose import report
from keras_transformer.edge.choose.candidates import Candidate
from keras_transformer.edge.choose.search_result import Measured, Search
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks.registry import TASKS


def measured(precision, value, median_ms, size, **candidate):
    return Measured(
        candidate=Candidate(precision=precision, **candidate), value=value, agreement=0.995,
        size=size, gzip_size=size // 2, median_ms=median_ms, p90_ms=1.25 * median_ms, peak_memory=9,
    )  # fmt: skip


def found(*rows, task="classification", max_drop=0.5, data="dev.tsv"):
    return Search(
        run={}, data=data, metric=TASKS[task].metric, max_drop=max_drop, rows=rows,
        device="a <chip>", threads=1, runs=100, signature="predict",
    )  # fmt: skip


FLOAT32 = measured("float32", 0.9, 2.0, 4_000_000)
INT8 = measured("int8", 0.896, 1.0, 1_000_000)
FAILED = Measured(candidate=Candidate(precision="int4"), error="The op <X> & no other.")


def test_the_recommendation_in_a_sentence():
    assert found(FLOAT32, INT8).recommendation() == (
        "Recommended: int8.tflite, as fast as any within 0.5 points of float32's accuracy and the "
        "smallest of those: 0.40 points below it, at 0.50 of its latency and 0.25 of its size."
    )
    assert found(FLOAT32, INT8, max_drop=0.25).recommendation() == (
        "Recommended: float32.tflite, because no other file is within 0.25 points of float32's "
        "accuracy; the nearest, int8.tflite, is 0.40 points below."
    )
    slow = measured("int8", 0.91, 3.0, 1_000_000)
    assert found(FLOAT32, slow).recommendation() == (
        "Recommended: float32.tflite; no file within 0.5 points of float32's accuracy is faster."
    )


def test_latencies_of_a_busy_machine_are_not_trusted():
    assert found(FLOAT32, INT8, FAILED).noise is None
    busy = dataclasses.replace(INT8, p90_ms=45.0)
    assert found(FLOAT32, busy).noise == (
        "The latencies vary much, the p90 of int8.tflite is 45.0 times its median: the machine "
        "was busy; --resume measures them again, and nothing else."
    )
    assert "the p90 of int8.tflite" in report.page(found(FLOAT32, busy))


def test_a_perplexity_is_worse_where_it_is_higher():
    rows = (measured("float32", 12.0, 2.0, 4), measured("int8", 12.25, 1.0, 1))
    result = found(*rows, task="language-modeling")
    assert result.drop(rows[1]) == 0.25
    assert result.choice.name == "int8"


def test_the_settings_of_a_metric_are_in_the_title():
    row = dataclasses.replace(FLOAT32, metric_signature="nrefs:1|tok:zh")
    [table] = found(row, INT8, task="translation").grids()
    assert table.title.startswith("bleu (nrefs:1|tok:zh) on dev.tsv; latency of ")
    assert Measured.from_json(row.to_json()) == row
    [table] = found(FLOAT32, INT8).grids()
    assert table.title.startswith("accuracy on dev.tsv; latency of ")


def test_cells_stand_under_their_heads():
    [table] = found(FLOAT32, INT8, FAILED).grids()
    assert table.columns[:3] == ("candidate", "accuracy", "drop, points")
    float32, int8, failed = table.rows
    assert int8 == (
        "int8", "0.8960", "0.40", "99.5%", "1.000", "0.50", "1.250", "1.000", "0.500",
        "recommended",
    )  # fmt: skip
    assert float32[-1] == "on the front"
    assert failed == ("int4", *8 * [None], "The op <X> & no other.")
    assert "int4       -" in repr(found(FLOAT32, INT8, FAILED))


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.words = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.addresses += [
            value for name, value in attributes
            if name in ("src", "href", "xlink:href", "data", "action", "srcset")
        ]  # fmt: skip

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_opens_without_a_network_and_escapes_what_it_shows():
    text = report.page(found(FLOAT32, INT8, FAILED, data="<img src=x>&.tsv"))
    page = Page(text)
    assert {"svg", "table", "h1"} <= page.tags
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "image"})
    assert all(address.startswith("#") for address in page.addresses)
    # The names of XML's vocabularies are no addresses that a browser opens.
    assert set(re.findall(r'([\w:]+)="https?:', text)) <= {"xmlns", "xmlns:xlink"}
    assert "url(http" not in text
    assert "@import" not in text
    words = " ".join(page.words)
    for shown in ("<img src=x>&.tsv", "The op <X> & no other.", "a <chip>", "0.8960"):
        assert shown in words


def test_the_files_of_a_report(tmp_path):
    result = found(FLOAT32, INT8)
    report.write(result, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "pareto.png", "pareto.svg", "report.html",
    ]  # fmt: skip
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")
    # The same measurements give the same bytes.
    assert report.pareto_figure(result, "svg") == (tmp_path / "pareto.svg").read_bytes()


@pytest.mark.parametrize("crowd", [1.0, 0.02])
def test_labels_cover_neither_dots_nor_each_other(crowd):
    figure = drawing.new_figure(9.0, 6.0)
    axes = figure.add_subplot()
    rng = np.random.default_rng(0)
    x, y = 0.5 + crowd * (rng.random((2, 24)) - 0.5)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    labels = [(f"sparse-0.8-int8-{i}", *xy, 5.0) for i, xy in enumerate(zip(x, y, strict=True))]
    boxes = drawing.place_labels(axes, labels, fontsize=9)
    assert len(boxes) >= 20
    assert all(not a.overlaps(b) for a, b in itertools.combinations(boxes.values(), 2))
    for center in axes.transData.transform(np.stack([x, y], 1)):
        assert not any(box.contains(*center) for box in boxes.values())
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes.values())
    # The boxes are where matplotlib writes the texts.
    renderer = figure.canvas.get_renderer()
    written = {t.get_text(): t.get_window_extent(renderer) for t in axes.texts if t.get_text()}
    assert set(written) == set(boxes)
    for name, box in boxes.items():
        np.testing.assert_allclose(written[name].extents, box.extents, atol=1.5)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setattr(drawing, "matplotlib", None)
    with pytest.raises(InputError) as caught:
        drawing.check_matplotlib()
    assert str(caught.value) == (
        'Figures need matplotlib; install it with pip install "keras-transformer-zoo[report]".'
    )


def test_a_measurement_goes_through_json():
    for row in (INT8, FAILED):
        assert Measured.from_json(json.loads(json.dumps(row.to_json()))) == row
