import json
import re

import keras
import numpy as np
import pytest

from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.models.build import get_weights
from keras_transformer.zoo.storage.files import read_folder, weights_from_bytes
from tests.slow import mostly_slow
from tests.zoo import tiny

ADVICE = "Lower the learning rate or raise the warm-up."


def refused(kind, message):
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def recipe(**changes):
    # All rows in one batch, so that one step is traced.
    return tiny.recipe(tiny.Path("."), **{"batch_tokens": 1000, **changes})


class Weights(tiny.Heard):
    """Remembers the trainable weights after each step."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def step(self, step, loss):
        super().step(step, loss)
        variables = self.run.model.trainable_variables
        self.weights.append([keras.ops.convert_to_numpy(v.value) for v in variables])


def watched(the_recipe, **kwargs):
    report = Weights()
    report.run = tiny.fit(the_recipe, report=report, **kwargs)
    return report.run, report


def test_early_stopping_leaves_the_best_weights(tmp_path):
    seen = []
    run = tiny.fit(
        recipe(epochs=9, patience=2), scores=(0.5, 0.9, 0.6, 0.9), seen=seen, folder=tmp_path,
        report=(report := tiny.Heard()),
    )  # fmt: skip
    tiny.without_gradients(run)
    assert run.run() == {"accuracy": 0.9}
    assert [(epoch, is_best) for epoch, _, _, is_best in report.epochs] == [
        (1, True), (2, True), (3, False), (4, False),
    ]  # fmt: skip
    tiny.assert_same_weights(get_weights(run.model), seen[1])
    kept = weights_from_bytes(read_folder(tmp_path / "best")["weights.safetensors"])
    tiny.assert_same_weights(kept, seen[1])


def test_a_run_that_ended_is_resumed_at_its_end(tmp_path):
    the_recipe = recipe(epochs=3)
    first = tiny.fit_by_hand(the_recipe, scores=(0.5, 0.9, 0.6), folder=tmp_path)
    first.run()
    again = tiny.fit(the_recipe, folder=tmp_path, report=(report := tiny.Heard()))
    again.resume()
    assert again.run() == {"accuracy": 0.9}
    assert (report.steps, report.epochs) == ([], [])
    assert report.notes == ["Resuming after step 3 of 3."]
    tiny.assert_same_weights(get_weights(again.model), get_weights(first.model))


def test_resuming_without_a_state_starts_anew(tmp_path):
    run = tiny.fit(recipe(), folder=tmp_path, report=(report := tiny.Heard()))
    run.resume()
    assert report.notes == ["No state was kept yet: starting from the first step."]


def test_a_state_of_another_run_is_refused(tmp_path):
    state = tmp_path / "state"
    first = tiny.fit_by_hand(recipe(), folder=tmp_path)
    first.run()
    with refused(
        InputError,
        f"{state} is of a run with another recipe; resume with its own options, "
        "or remove the folder to start anew.",
    ):
        tiny.fit(recipe(learning_rate=0.02), folder=tmp_path).resume()
    other = (
        f"{state} is of a run on other training data, or from another checkpoint; bring that back, "
        "or remove the folder to start anew."
    )
    with refused(InputError, other):
        tiny.fit(recipe(), folder=tmp_path, data_seed=1).resume()
    with refused(InputError, other):
        tiny.fit(recipe(digest="0123"), folder=tmp_path).resume()
    with refused(InputError, other):
        tiny.fit(recipe(), folder=tmp_path, model_changes={"vocab_size": 21}).resume()


def test_a_damaged_state_is_refused(tmp_path):
    first = tiny.fit_by_hand(recipe(), folder=tmp_path)
    first.run()
    (tmp_path / "state" / "variables.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match="was changed after it was written: variables.safetensors"):
        tiny.fit(recipe(), folder=tmp_path).resume()


def test_a_weight_that_is_not_finite_stops_before_it_is_kept(tmp_path):
    run = tiny.fit(recipe(), folder=tmp_path)
    tiny.without_gradients(run, np.nan)
    message = "A weight became infinite or not a number at step 1; no good state was kept before it"
    with refused(RunError, f"{message}. {ADVICE}"):
        run.run()
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_is_not_finite_stops(tmp_path):
    run = tiny.fit_by_hand(recipe(), scores=(0.5, float("nan")), folder=tmp_path)
    with refused(
        RunError,
        "The validation accuracy became nan at step 2; "
        f"the last good state is {tmp_path / 'state'}, after step 1. {ADVICE}",
    ):
        run.run()


def test_an_epoch_whose_metric_is_not_defined_is_kept_until_there_is_another(tmp_path):
    heard = tiny.Heard()
    run = tiny.fit_by_hand(recipe(epochs=4), scores=(None, -0.2, None, -0.3), report=heard)
    assert run.run() == {"accuracy": -0.2}
    assert [is_best for *_, is_best in heard.epochs] == [True, True, False, False]


def test_a_start_that_stays_the_best_is_said(tmp_path):
    heard = tiny.Heard()
    run = tiny.fit_by_hand(recipe(epochs=2), scores=(0.9, 0.5, 0.6), report=heard)
    run.consider_start()
    assert run.run() == {"accuracy": 0.9}
    assert heard.notes == [
        "No epoch was better than the start, whose weights are kept: accuracy 0.9000."
    ]
    # An epoch that is as good replaces it.
    heard = tiny.Heard()
    run = tiny.fit_by_hand(recipe(epochs=2), scores=(0.9, 0.9, 0.6), report=heard)
    run.consider_start()
    run.run()
    assert heard.notes == []


def test_an_epoch_is_shown_once_its_state_is_kept(tmp_path):
    class Reader(tiny.Heard):
        def epoch(self, epoch, *_):
            saved = json.loads(read_folder(tmp_path / "state")["progress.json"])
            assert (saved["epoch"], saved["batch"]) == (epoch, 0)
            super().epoch(epoch, *_)

    run = tiny.fit_by_hand(recipe(epochs=2), folder=tmp_path, report=(report := Reader()))
    run.run()
    assert [epoch for epoch, *_ in report.epochs] == [1, 2]


def test_token_dropout_is_drawn_by_seed_and_step():
    def ids(**changes):
        run = tiny.fit(recipe(**{"epochs": 3, "token_dropout": 0.4, **changes}))
        columns, targets = tiny.encoded(400)
        # [UNK], [CLS], [SEP] and [MASK] in each row, which stay.
        columns = {"ids": [np.concatenate([[1, 2, 3, 4], row]) for row in columns["ids"]]}
        run.batches = tiny.Batches(columns, targets, batch_tokens=10**6, bucket=16)
        seen = tiny.without_gradients(run)
        run.run()
        return seen

    first = ids()
    for ours, again, plain in zip(first, ids(), ids(token_dropout=0.0), strict=True):
        np.testing.assert_array_equal(ours, again)
        special, dropped = plain < 5, ours != plain
        assert not dropped[special].any()
        assert (ours[dropped] == 4).all()
        # Five standard deviations of some 2,600 draws.
        assert dropped[~special].mean() == pytest.approx(0.4, abs=0.05)
    assert (first[0] != ids(seed=1)[0]).any()


OPTIONS = {"epochs": 5, "optimizer": "momentum", "learning_rate": 0.5}


@pytest.fixture(scope="module")
def plain():
    """What a run of `OPTIONS` remembers of its steps."""
    run, report = watched(recipe(**OPTIONS))
    run.run()
    return report


def test_moving_average_is_validated_and_the_weights_go_on_unaveraged(plain):
    seen = []
    run, averaged = watched(recipe(ema=0.9, **OPTIONS), seen=seen)
    run.run()
    average = plain.weights[0]
    paths = [variable.path for variable in run.model.trainable_variables]
    for i, weights in enumerate(plain.weights):
        if i > 0:
            average = [0.9 * a + 0.1 * w for a, w in zip(average, weights, strict=True)]
        for path, a, w, ours in zip(paths, average, weights, averaged.weights[i], strict=True):
            np.testing.assert_array_equal(ours, w, err_msg=path)
            np.testing.assert_allclose(seen[i][path], a, rtol=1e-5, atol=1e-6, err_msg=path)
    tiny.assert_same_weights(get_weights(run.model), seen[4])


@pytest.mark.parametrize("average", mostly_slow([1, 3, 9], [3]))
def test_the_mean_of_the_last_epochs_is_validated_and_the_weights_go_on(average, plain):
    seen = []
    run, averaged = watched(recipe(average=average, **OPTIONS), seen=seen)
    run.run()
    paths = [variable.path for variable in run.model.trainable_variables]
    for epoch in range(5):
        last = plain.weights[: epoch + 1][-average:]
        for place, path in enumerate(paths):
            np.testing.assert_array_equal(
                averaged.weights[epoch][place], plain.weights[epoch][place], err_msg=path
            )
            mean = np.mean([weights[place].astype("float64") for weights in last], axis=0)
            np.testing.assert_allclose(seen[epoch][path], mean, rtol=1e-5, atol=1e-6)
    assert any((a != b).any() for a, b in zip(plain.weights[3], plain.weights[4], strict=True))
    tiny.assert_same_weights(get_weights(run.model), seen[4])


@pytest.mark.parametrize(("steps", "epochs"), [(1, [1]), (3, [3]), (5, [3, 5]), (7, [3, 6, 7])])
def test_a_run_ends_after_its_steps(tmp_path, steps, epochs):
    """An epoch has three steps; the last one ends with the run and is validated."""
    the_recipe = recipe(batch_tokens=200, bucket=16, epochs=1, steps=steps)
    rates, report = [], tiny.Heard()
    run = tiny.fit(
        the_recipe, scores=[0.1 * (i + 1) for i in range(4)], folder=tmp_path, report=report,
        scalars=lambda name, value, step: rates.append((name, value, step)),
    )  # fmt: skip
    assert len(run.batches) == 3
    tiny.without_gradients(run)
    assert run.total_steps == steps
    run.run()
    assert [step for step, _ in report.steps] == list(range(1, steps + 1))
    assert [step for name, _, step in rates if name == "validation/accuracy"] == epochs
    again = tiny.fit(the_recipe, folder=tmp_path, report=(heard := tiny.Heard()))
    again.resume()
    again.run()
    assert (heard.steps, heard.notes) == ([], [f"Resuming after step {steps} of {steps}."])


def test_the_schedule_ends_with_the_steps():
    rates = []
    run = tiny.fit(
        recipe(batch_tokens=200, steps=4, epochs=50, warmup=0.0, schedule="linear"),
        scores=[0.1, 0.2],
        scalars=lambda name, value, step: rates.append(value) if "rate" in name else None,
    )
    run.run()
    # After three of four steps a quarter is left, and after the last one nothing.
    assert rates == pytest.approx([0.01 / 4, 0.0], abs=1e-8)


SCHEDULED = {"adam": "cosine", "adamw": "inverse_sqrt", "sgd": "linear", "momentum": "constant"}


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    mostly_slow(SCHEDULED.items(), [("adamw", "inverse_sqrt")]),
)
def test_every_optimizer_and_schedule_lowers_the_loss(optimizer, schedule):
    rate = {"adam": 0.01, "adamw": 0.01, "sgd": 0.3, "momentum": 0.05}[optimizer]
    still = {"dropout": 0.0, "attention_dropout": 0.0}
    changes = {"weight_decay": 0.01} if optimizer == "adamw" else {}
    run, report = watched(
        recipe(optimizer=optimizer, schedule=schedule, learning_rate=rate, epochs=8, **changes),
        model_changes=still,
    )
    run.run()
    assert report.steps[-1][1] < report.steps[0][1]  # losses


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"dtype": "mixed_bfloat16", "ema": 0.5}, {"dtype": "mixed_float16", "ema": 0.5},
     {"xla": True}],
    ids=str,
)  # fmt: skip
def test_switches_train_float32_weights(changes):
    run, report = watched(recipe(**changes))
    run.run()
    assert {value.dtype for value in get_weights(run.model).values()} == {np.dtype("float32")}
    assert all(np.isfinite(loss) for _, loss in report.steps)
    assert any((a != b).any() for a, b in zip(report.weights[0], report.weights[1], strict=True))


def test_the_loss_is_the_mean_over_the_rows_of_the_epoch():
    run = tiny.fit(recipe(batch_tokens=110, bucket=2), report=(report := tiny.Heard()))
    losses = {}
    run.train_step = lambda inputs, targets: losses.setdefault(
        inputs["ids"].tobytes(), float(len(losses))
    )
    run.run()
    total = rows = 0
    for (step, mean), batch in zip(report.steps, run.batches.epoch(0), strict=False):
        total += losses[batch.inputs["ids"].tobytes()] * len(batch.index)
        rows += len(batch.index)
        assert mean == pytest.approx(total / rows), step
    assert report.epochs[0][1] == pytest.approx(total / rows)
    assert len({len(batch.index) for batch in run.batches.epoch(0)}) > 1


def test_curves_are_reported():
    curves = []
    run = tiny.fit_by_hand(recipe(), scalars=lambda *curve: curves.append(curve))
    run.run()
    names = ["train/loss", "train/learning_rate", "train/examples_per_second",
             "train/tokens_per_second", "validation/accuracy"]  # fmt: skip
    expected = [(name, step) for step in (1, 2) for name in names]
    assert [(name, step) for name, _, step in curves] == expected
    assert [value for name, value, _ in curves if name == "validation/accuracy"] == [0.1, 1.0]
