"""Attention by a kernel learns what attention's own path does, and is refused where it cannot."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_transformer import Encoder, MultiHeadAttention
from keras_transformer.flash import lengths_of, use_kernel
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.training.fine_tune import Retraining
from keras_transformer.zoo.training.train_recipe import train_recipe
from tests.slow import mostly_slow
from tests.zoo import tiny

STEPS = "tests.zoo.training.memory.flash_steps"
REFUSALS = """
import json, sys
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.tasks.registry import TASKS
from keras_transformer.zoo.training.memory import flash
from keras_transformer.zoo.training.train_recipe import train_recipe

def said(capability, model="bert_tiny", task="classification", dtype="mixed_bfloat16", settings={},
         columns={}, **options):
    flash.compute_capability = lambda: capability
    columns = columns or {"text": "text", "label": "label"}
    if task in ("masked-language-modeling", "language-modeling"):
        columns = {}
    recipe = Recipe.of_task(
        TASKS[task], model=model, train="nowhere.tsv", validation="nowhere.tsv", dtype=dtype,
        flash_attention=True, settings={"attention_dropout": 0.0} | settings, **columns, **options)
    try:
        train_recipe(recipe)
    except (InputError, FileNotFoundError) as error:
        return f"{type(error).__name__}: {error}"

found = {"cpu": said(flash.compute_capability())}
ampere, hopper = (8, 0), (9, 0)
found["old"] = said((7, 5))
found["float32"] = said(ampere, dtype="float32")
found["dropout"] = said(ampere, settings={"attention_dropout": 0.1})
found["alibi"] = said(ampere, settings={"positions": "alibi"})
found["t5"] = said(ampere, settings={"position_bias": "t5"})
found["window"] = said(ampere, settings={"window": 4})
found["width"] = said(ampere, settings={"num_heads": 32})
wide = {"num_heads": 1, "head_dim": 192}
found["wide"] = said(ampere, settings=wide)
found["wide on Hopper"] = said(hopper, settings=wide)
found["replaced"] = said(ampere, task="masked-language-modeling", objective="replaced")
images = {"image": "image", "text": "text", "label": "label"}
found["joint"] = said(ampere, "cct_2+bert_tiny", settings={"fusion": "joint"}, columns=images)
found["decoder with a window"] = said(
    ampere, "gpt_nano", "language-modeling", settings={"window": 4})
print(json.dumps(found))
"""
# A run whose kernel is what computes the same on any device.
RUN = """
import json, sys
import keras
from keras_transformer.zoo.models.build import all_layers
from keras_transformer.zoo.recipe import Recipe
from keras_transformer.zoo.training.memory import flash
from keras_transformer.zoo.training.train_recipe import train_recipe

flash.IMPLEMENTATION, flash.compute_capability = "xla", lambda: (8, 0)
calls, attend = [], flash._attend

def counted(*args, **limits):
    calls.append(limits)
    return attend(*args, **limits)

flash._attend = counted
recipe = Recipe.from_file(sys.argv[1])
said = []
for number, is_on in enumerate((True, False)):
    trained = train_recipe(recipe.replace(flash_attention=is_on), f"{sys.argv[2]}{number}")
    said.append([len(calls), trained.scores(["an old plum", "the iron"]).tolist()])
    kernels = [getattr(one, "flash", None) for one in all_layers(trained.model)]
    assert not any(kernels)
print(json.dumps(said))
"""


def on_jax(*arguments):
    result = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
             # What is compared was computed in the same way, fast or not.
             "XLA_FLAGS": "--xla_backend_optimization_level=0"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


WITHOUT_LOGITS = [
    "encoder", "shared blocks, pooled", "image", "text that attends to an image"
]  # fmt: skip
WITH_LOGITS = [
    "decoder with dropout", "rotary, grouped, norms of queries", "window", "translator"
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    mostly_slow([[name] for name in (*WITHOUT_LOGITS, *WITH_LOGITS)], [["window"]]),
)
def test_a_kernel_learns_what_the_own_path_does(names):
    said = on_jax("-m", STEPS, *names)
    assert all(found < 1e-5 for found in said["differences"].values()), said
    assert len(said["differences"]) == (2 if names == ["translator"] else 1)
    for kernel, own in said["lowered"].values():
        # Every attention of the step that a GPU would run is a call of the kernel, forwards and
        # for the gradients, which the own path writes scores for.
        count = kernel["attentions"]
        assert count > 0 and own["scores"] > 0
        assert kernel == {"attentions": count, "forward": count, "backward": count, "scores": 0}
        assert own["forward"] == own["backward"] == 0


@pytest.mark.slow
def test_a_checkpoint_does_not_keep_the_kernel(tables, tmp_path):
    path = tmp_path / "recipe.json"
    recipe = tiny.recipe(
        tables, dtype="mixed_bfloat16", settings=tiny.SETTINGS | {"attention_dropout": 0.0}
    )
    path.write_text(recipe.to_json(), encoding="utf-8")
    (calls, scores), (as_many, plain) = on_jax("-c", RUN, str(path), str(tmp_path / "out"))
    assert calls > 0 and as_many == calls
    # Probabilities after steps in bfloat16, of whose rounding to 8 bits the paths have other sums.
    np.testing.assert_allclose(scores, plain, atol=0.05)
    kept, own = (
        json.loads((tmp_path / f"out{number}" / "config.json").read_text())["model"]
        for number in range(2)
    )
    assert kept == own
    loaded = Checkpoint.load(tmp_path / "out0")
    assert loaded.recipe.training.flash_attention
    found = loaded.scores(["an old plum", "the iron"])
    np.testing.assert_allclose(found, scores, atol=0.02)


def test_what_cannot_have_the_kernel_is_refused_before_data_are_read():
    said = on_jax("-c", REFUSALS)
    for name, part in {
        "cpu": "a CUDA GPU for flash_attention, got a machine on which JAX computes on cpu",
        "old": "compute capability 8.0 or higher for flash_attention, got 7.5",
        "float32": "got dtype='float32'; add --mixed-precision bfloat16.",
        "dropout": "got attention_dropout=0.1; add --set attention_dropout=0.",
        "alibi": "without a bias of the scores for flash_attention, got alibi",
        "t5": "without a bias of the scores for flash_attention, got t5",
        "window": "no window of attention to both sides for flash_attention",
        "width": "a multiple of 8 and at most 128 for flash_attention on this GPU, got 4",
        "wide": "at most 128 for flash_attention on this GPU, got 192",
        "replaced": "got objective='replaced'",
        "joint": "got fusion='joint'",
    }.items():
        assert said[name].startswith("InputError") and part in said[name], (name, said[name])
    # What may have it is looked for.
    for name in ("wide on Hopper", "decoder with a window"):
        assert said[name].startswith("FileNotFoundError"), (name, said[name])


@pytest.mark.skipif(keras.config.backend() == "jax", reason="refused on the other backends")
def test_another_backend_is_refused(tmp_path):
    recipe = tiny.recipe(tmp_path, flash_attention=True, dtype="mixed_bfloat16")
    with pytest.raises(InputError, match="jax for flash_attention, got tensorflow; set KERAS_BACK"):
        train_recipe(recipe)


def test_models_that_are_trained_on_have_no_kernel(learned):
    _, trained = learned
    recipe = trained.recipe.replace(flash_attention=True)
    with pytest.raises(InputError, match="trained on, got flash_attention=True"):
        Retraining(checkpoint=trained, recipe=recipe, out=None)


def test_a_kernel_reads_lengths_alone():
    mask = np.array([[True, True, False], [True, True, True], [False, False, False]])
    assert lengths_of(None) is None
    # Of no position the probabilities would be 0 / 0.
    assert np.array(keras.ops.convert_to_numpy(lengths_of(mask))).tolist() == [2, 3, 1]
    with pytest.raises(ValueError, match=r"\(B, S\) where a kernel.*\(1, 3, 3\)"):
        lengths_of(mask[None])
    seen = []

    def kernel(q, keys, values, lengths, **limits):
        seen.append((q.shape, values.shape, lengths, limits))
        return q

    stack = Encoder(1, 2, 4)
    x = np.ones((3, 3, 8), np.float32)
    own = stack(x)
    use_kernel(stack, kernel)
    stack(x, mask=mask, training=True)
    (queries, values, lengths, limits), = seen
    assert (tuple(queries), tuple(values)) == ((3, 3, 2, 4), (3, 3, 2, 4))
    assert keras.ops.convert_to_numpy(lengths).tolist() == [2, 3, 1]
    assert limits == {"causal": False, "window": 0}
    # What does not train has the own path.
    np.testing.assert_array_equal(stack(x), own)
    assert len(seen) == 1
    use_kernel(stack, None)
    stack(x, mask=mask, training=True)
    assert len(seen) == 1
    layer = MultiHeadAttention(2)
    layer.build((None, None, 8))
    layer.flash = kernel
    with pytest.raises(ValueError, match="Expected no return_scores where a kernel"):
        layer(x, return_scores=True, training=True)
    with pytest.raises(ValueError, match="Expected no mask where a kernel"):
        layer(x, mask=mask, training=True)
