import dataclasses
import gzip
import json

import pytest

from keras_transformer.edge.choose import candidates
from keras_transformer.edge.choose.bench import Bench
from keras_transformer.edge.choose.candidates import Candidate, Workshop, ladder
from keras_transformer.edge.choose.search import search
from keras_transformer.edge.compare import memory
from keras_transformer.edge.compare.parity import Parity
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.edge.targets.artifact import Artifact
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.recipe import Prune
from keras_transformer.zoo.storage.locks import only_run
from tests.edge.generators import generator

COLUMNS = {"text": "text", "text_pair": None, "label": "label"}
# All but the longest texts have more tokens than the short files read.
LADDER = [
    *ladder(precisions=["int8"], lengths=[4])[:1],
    Candidate(precision="int8"), Candidate(precision="int8", length=4),
]  # fmt: skip


def searched(runs, out, **arguments):
    given = {"columns": COLUMNS, "max_drop": 2.0, "candidates": LADDER, "runs": 3}
    return search(
        runs.trained, runs.folder / "validation.tsv", out, **{**given, **arguments}
    )


@pytest.fixture(scope="module")
def found(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("search") / "choice"
    return searched(runs, out), out


@pytest.fixture
def made(found, monkeypatch, tmp_path):
    """Candidates become the files of `found`; the names of those that were made."""
    names = []
    parity = Parity(
        rows=1, agreement=1.0, largest=0.0, relative=0.0, steps=0.0, most_steps=0.0
    )

    def make(_, candidate):
        names.append(candidate.name)
        data = (found[1] / f"{candidate.name}.tflite").read_bytes()
        return Artifact(
            target="plain", precision=candidate.precision, files={"model.tflite": data},
            parity=parity, description={}, origin=None, loading="",
        )  # fmt: skip

    monkeypatch.setattr(Workshop, "make", make)
    # Memory is measured in a process of its own, which takes a second.
    monkeypatch.setattr(memory, "STATUS", str(tmp_path / "none"))
    return names


@pytest.mark.slow
def test_each_file_is_made_measured_and_timed(runs, found):
    result, out = found
    assert [row.name for row in result.rows] == ["float32", "int8", "int8-4"]
    for row in result.rows:
        data = (out / row.file).read_bytes()
        assert (row.error, row.size) == (None, len(data))
        assert row.gzip_size == len(gzip.compress(data, mtime=0))
        assert row.value == runs.value_of(Runner(out / row.file))
        assert 0 < row.median_ms <= row.p90_ms
    float32, int8, short = result.rows
    assert result.drop(float32) == 0.0
    assert result.drop(short) == pytest.approx(100 * (float32.value - short.value))
    assert short.value < int8.value
    assert result.choice.name in ("float32", "int8")


@pytest.mark.slow
def test_bleu_splits_words_by_the_script_of_the_data(tmp_path):
    pairs = (["a", "bc"], ["我爱自然语言处理。", "今天的天气很好。"])
    [float32] = search(
        generator("transformer"), pairs, tmp_path, candidates=ladder(precisions=[]), runs=1,
        max_tokens=4,
    ).rows  # fmt: skip
    assert "tok:zh" in float32.metric_signature
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["candidates"][0]["metric_signature"] == float32.metric_signature


@pytest.mark.slow
def test_the_results_are_a_file(found):
    result, out = found
    value = json.loads((out / "results.json").read_text())
    assert value == json.loads(json.dumps(result.to_json()))
    assert value["recommended"] == result.choice.name
    assert [one["name"] for one in value["candidates"]] == ["float32", "int8", "int8-4"]
    assert value["candidates"][2]["candidate"] == dataclasses.asdict(LADDER[2])
    assert sorted(path.name for path in out.iterdir()) == [
        "float32.tflite", "int8-4.tflite", "int8.tflite", "results.json",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_killed_search_goes_on_with_what_is_missing(runs, found, made, tmp_path, monkeypatch):
    out, make = tmp_path / "choice", Workshop.make

    def killed(self, candidate):
        if candidate.name == "int8":
            raise KeyboardInterrupt
        return make(self, candidate)

    monkeypatch.setattr(Workshop, "make", killed)
    with pytest.raises(KeyboardInterrupt):
        searched(runs, out)
    with pytest.raises(FileExistsError) as caught:
        searched(runs, out)
    assert str(caught.value) == (
        f"{out} holds a search; go on with --resume, or discard it with --overwrite."
    )
    monkeypatch.setattr(Workshop, "make", make)
    result = searched(runs, out, resume=True)
    assert made == ["float32", "int8", "int8-4"]
    # All are there now: another budget is a new choice among the same files.
    again = searched(runs, out, resume=True, max_drop=100.0)
    assert made == ["float32", "int8", "int8-4"]
    assert [row.value for row in again.rows] == [row.value for row in result.rows]
    assert again.max_drop == 100.0
    # A file that somebody removed is made again, and a shorter ladder forgets the others.
    (out / "int8.tflite").unlink()
    searched(runs, out, resume=True, candidates=LADDER[:2])
    assert made == ["float32", "int8", "int8-4", "int8"]


@pytest.mark.slow
def test_trials_elsewhere_may_end_in_any_order(runs, found, made, tmp_path):
    def backwards(wanted):
        bench = Bench(
            runs.trained, runs.folder / "validation.tsv", tmp_path / "choice", columns=COLUMNS,
            decoding={},
        )  # fmt: skip
        return map(bench.measure, reversed(wanted))

    result = searched(runs, tmp_path / "choice", trials=backwards)
    assert made == ["int8-4", "int8", "float32"]
    expected = [(row.name, row.value, row.size) for row in found[0].rows]
    assert [(row.name, row.value, row.size) for row in result.rows] == expected


def test_a_checkpoint_is_trained_on_the_pruned_one():
    wanted = Candidate(precision="int8", qat=True, sparsity=0.5, length=8)
    pruned, trained = wanted.trainings
    assert pruned == Candidate(precision="float32", sparsity=0.5)
    assert trained == Candidate(precision="int8", qat=True, sparsity=0.5)
    assert [one.source for one in wanted.trainings] == ["sparse-0.5", "sparse-0.5-int8-qat"]
    assert Candidate(precision="int8", length=8).trainings == []


@pytest.mark.slow
def test_resuming_with_other_data_is_refused(runs, found, made, tmp_path):
    _, out = found
    data = tmp_path / "other.tsv"
    data.write_text((runs.folder / "validation.tsv").read_text() + "rain and wind\tweather\n")
    before = (out / "results.json").read_bytes()
    with pytest.raises(InputError) as caught:
        search(runs.trained, data, out, columns=COLUMNS, max_drop=1.0, resume=True)
    assert str(caught.value) == (
        f"{out} holds a search with other data; discard it with --overwrite, or choose another "
        "path."
    )
    assert made == []
    assert (out / "results.json").read_bytes() == before


@pytest.mark.slow
def test_resuming_in_another_folder_with_a_file_of_the_same_name_is_refused(
    runs, made, tmp_path, monkeypatch
):
    table = (runs.folder / "train.tsv").read_text()
    for name, rows in (("ours", table), ("theirs", table + "rain and wind\tweather\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.tsv").write_text(rows)
    monkeypatch.chdir(tmp_path / "ours")
    searched(runs, tmp_path / "out", train="train.tsv", candidates=LADDER[:1])
    searched(runs, tmp_path / "out", train="train.tsv", candidates=LADDER[:1], resume=True)
    monkeypatch.chdir(tmp_path / "theirs")
    with pytest.raises(InputError, match="holds a search with other train; discard it"):
        searched(runs, tmp_path / "out", train="train.tsv", candidates=LADDER[:1], resume=True)


@pytest.mark.slow
def test_overwriting_discards_the_files_of_the_search_before(runs, made, tmp_path):
    out = tmp_path / "choice"
    searched(runs, out)
    (out / "notes.txt").write_text("mine")
    searched(runs, out, overwrite=True, candidates=LADDER[:2])
    assert sorted(path.name for path in out.iterdir()) == [
        "float32.tflite", "int8.tflite", "notes.txt", "results.json",
    ]  # fmt: skip
    assert made == ["float32", "int8", "int8-4", "float32", "int8"]


@pytest.mark.slow
def test_what_cannot_be_made_says_why_and_the_others_go_on(runs, made, tmp_path, monkeypatch):
    make = Workshop.make

    def failing(self, candidate):
        if candidate.name == "int8":
            raise RunError("The file departs\nfrom the model.")
        return make(self, candidate)

    monkeypatch.setattr(Workshop, "make", failing)
    result = searched(runs, tmp_path / "choice")
    assert [row.error for row in result.rows] == [None, "The file departs from the model.", None]
    assert [point.name for point in result.points] == ["float32", "int8-4"]


def test_without_the_reference_there_is_no_search(runs, tmp_path, monkeypatch):
    def failing(self, candidate):
        raise RunError("No space.")

    monkeypatch.setattr(Workshop, "make", failing)
    with pytest.raises(RunError) as caught:
        searched(runs, tmp_path / "choice")
    assert str(caught.value) == (
        "The float32 file, which the others are held against, failed: No space."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"max_drop": -0.5}, "Expected max_drop to be 0 or more points, got max_drop=-0.5."),
        (
            {"max_drop": float("nan")},
            "Expected max_drop to be 0 or more points, got max_drop=nan.",
        ),
        (
            {"candidates": ladder(lengths=[900])},
            "Expected lengths from 1 to the model's 512, got length=900.",
        ),
    ],
)
def test_bad_values(runs, tmp_path, arguments, sentence):
    with pytest.raises(InputError) as caught:
        searched(runs, tmp_path / "choice", **arguments)
    assert str(caught.value) == sentence
    assert not (tmp_path / "choice").exists()


def test_a_quantized_checkpoint_and_a_folder_of_something_else(runs, tmp_path):
    with pytest.raises(InputError) as caught:
        search(
            runs.quantized, runs.folder / "validation.tsv", tmp_path / "choice", columns=COLUMNS,
            max_drop=1.0,
        )  # fmt: skip
    assert str(caught.value) == (
        "Expected a float checkpoint to search from, got a quantized one."
    )
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError) as caught:
        searched(runs, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} exists and holds no search; choose another path."
    )


@pytest.mark.slow
def test_a_search_that_was_killed_in_its_first_write_begins_again(runs, made, tmp_path):
    out = tmp_path / "choice"
    out.mkdir()
    (out / ".results.json.0123456789abcdef.partial").write_text("{")
    (tmp_path / ".choice.lock").touch()
    result = searched(runs, out, resume=True)
    assert made == [row.name for row in result.rows]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["results.json", *(row.file for row in result.rows)]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["choice"]


@pytest.mark.slow
def test_a_search_goes_where_a_link_leads_and_alone(runs, made, tmp_path):
    (tmp_path / "link").symlink_to("choice")
    with only_run(tmp_path / "choice"), pytest.raises(FileExistsError, match="is under way in pr"):
        searched(runs, tmp_path / "link")
    searched(runs, tmp_path / "link")
    assert (tmp_path / "choice" / "results.json").is_file()
    assert (tmp_path / "link").is_symlink()


@pytest.mark.slow
def test_training_rungs_leave_checkpoints_that_a_resumed_search_takes(
    runs, tmp_path, monkeypatch
):
    """The real workshop, but for the conversion."""
    converted = []

    def convert(trained, precision, **arguments):
        converted.append((trained.recipe.prune, trained.is_quantized, precision, arguments))
        raise InputError("Not here.")

    monkeypatch.setattr(candidates, "convert", convert)
    recipe = runs.trained.recipe.replace(epochs=1)
    trained = dataclasses.replace(runs.trained, recipe=recipe)
    wanted = Candidate(precision="int8", qat=True, sparsity=0.5, length=8)
    for resume in (False, True):
        workshop = Workshop(trained, tmp_path, resume=resume)
        with pytest.raises(InputError, match="Not here."):
            workshop.make(wanted)
    arguments = {"calibration": None, "lengths": [8]}
    assert converted == [(Prune(sparsity=0.5), True, "int8", arguments)] * 2
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["sparse-0.5", "sparse-0.5-int8-qat"]
    assert Checkpoint.load(tmp_path / "sparse-0.5").recipe.prune.sparsity == 0.5
