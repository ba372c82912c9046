"""Steps with attention's own path and with a kernel's, on JAX; says what differs, as JSON."""

import json
import sys

import jax
import jax._src.cudnn.fused_attention_stablehlo as cudnn
import jax.numpy as jnp
import keras
import numpy as np

from keras_transformer.attention import MultiHeadAttention
from keras_transformer.zoo.models.build import all_layers, build
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.models.heads import Head
from keras_transformer.zoo.models.several_config import SeveralConfig
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling
from keras_transformer.zoo.training.memory import flash
from keras_transformer.zoo.training.memory.remat import rematerialize
from tests.zoo import tiny

ROWS, LENGTH, SOURCE = 4, 10, 7
PLAIN = {"attention_dropout": 0.0, "dropout": 0.0, "num_layers": 1}
HEAD_DIM_8 = PLAIN | {"hidden_dim": 32, "num_heads": 4, "intermediate_dim": 16, "pre_norm": True}
ROTARY = HEAD_DIM_8 | {"num_key_value_heads": 2, "positions": "rotary", "norm": "rms_norm"}


def decoder(**changes):
    return tiny.config("decoder", **{**ROTARY, **changes})


def vit():
    return get_config("vit_tiny").replace(
        hidden_dim=16, intermediate_dim=16, num_heads=2, num_layers=1, attention_dropout=0.0,
        height=16, width=16, patch=8,
    )  # fmt: skip


def text(**changes):
    return tiny.config(**{**PLAIN, **changes})


# What each is a model of, and its head.
CASES = {
    "encoder": (text(), Head(kind="tokens", units=3)),
    "shared blocks, pooled": (text(share_layers=True, num_layers=2), Head(units=3)),
    "decoder with dropout": (tiny.config("decoder", **PLAIN | {"dropout": 0.1}), None),
    "rotary, grouped, norms of queries": (decoder(qk_norm=True), None),
    "window": (decoder(window=3, layer_pattern="LG", num_layers=2), None),
    "translator": (tiny.config("encoder-decoder", **PLAIN), None),
    "image": (vit(), Head(units=3)),
    "text that attends to an image": (
        SeveralConfig(members={"image": vit(), "text": text()}, fusion="cross"), Head(units=3),
    ),
}  # fmt: skip


def rows(seed, length):
    """Ids of rows of several lengths, one of them full."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, 20, (ROWS, length)).astype("int32")
    for row, end in enumerate(rng.integers(1, length, ROWS - 1)):
        ids[row, end:] = 0
    return ids


def inputs_of(model):
    made = {}
    for number, tensor in enumerate(model.inputs):
        if tensor.dtype == "int32":
            length = SOURCE if tensor.name == "source_ids" else LENGTH
            made[tensor.name] = rows(number, length)
        else:
            rng = np.random.default_rng(number)
            made[tensor.name] = rng.integers(0, 256, (ROWS, *tensor.shape[1:])).astype(tensor.dtype)
    return made


def model_of(config, head, dtype="float32"):
    keras.utils.set_random_seed(0)
    return build(config, head, dtype=dtype)


def learned(config, head, *, is_flash, remat=False):
    """The outputs of the real positions, and the gradients of all weights."""
    model = model_of(config, head)
    flash.use_flash_attention(model, is_flash)
    rematerialize(model, remat)
    inputs = inputs_of(model)
    # Of padding neither a loss nor a metric reads the outputs.
    is_real = inputs["ids"] != 0 if "ids" in inputs else None

    def loss(weights, others):
        outputs, _ = model.stateless_call(weights, others, inputs, training=True)
        if len(outputs.shape) == 3:
            outputs = jnp.where(is_real[..., None], outputs, 0.0)
        slopes = np.random.default_rng(9).normal(size=outputs.shape)
        return jnp.sum(outputs * slopes), outputs

    weights = [one.value for one in model.trainable_variables]
    others = [one.value for one in model.non_trainable_variables]
    (_, outputs), slopes = jax.jit(jax.value_and_grad(loss, has_aux=True))(weights, others)
    return outputs, dict(zip([one.path for one in model.trainable_variables], slopes, strict=True))


def largest_difference(one, other):
    """The largest difference of outputs and gradients, each in parts of its largest value."""
    found = [(one[0], other[0]), *((one[1][path], other[1][path]) for path in other[1])]
    parts = [
        float(jnp.abs(value - expected).max() / jnp.maximum(1.0, jnp.abs(expected).max()))
        for value, expected in found
    ]
    # Python's own would leave out what is not a number.
    return float(np.max(parts))


def lowered(config, is_flash):
    """The program of a training step in bfloat16 for a GPU, which needs none to be written."""
    task = LanguageModeling()
    model = model_of(config, task, "mixed_bfloat16")
    flash.use_flash_attention(model, is_flash)
    model.compile(optimizer=keras.optimizers.Adam(), loss=task.loss(0.0))
    model.optimizer.build(model.trainable_variables)
    inputs = inputs_of(model)
    batch = inputs, np.where(inputs["ids"] == 0, -1, inputs["ids"])
    model._symbolic_build(data_batch=(*batch, None))
    state = [
        [one.value for one in group]
        for group in (model.trainable_variables, model.non_trainable_variables,
                      model.optimizer.variables, model.metrics_variables)
    ]  # fmt: skip
    step = jax.jit(lambda state, batch: model.train_step(tuple(state), (*batch, None)))
    text = step.trace(state, batch).lower(lowering_platforms=("cuda",)).as_text()
    attentions = [one for one in all_layers(model) if isinstance(one, MultiHeadAttention)]
    return {
        "attentions": len(attentions),
        "forward": text.count("@__cudnn$fmhaSoftmax("),
        "backward": text.count("@__cudnn$fmhaSoftmaxBackward("),
        "scores": text.count(f"tensor<{ROWS}x{config.num_heads}x{LENGTH}x{LENGTH}x"),
    }


def main():
    """Compares the cases that the arguments name."""
    said = {"differences": {}, "lowered": {}}
    for name in sys.argv[1:]:
        config, head = CASES[name]
        flash.IMPLEMENTATION = "xla"
        expected = learned(config, head, is_flash=False)
        for remat in (False, True) if name == "translator" else (False,):
            found = largest_difference(
                learned(config, head, is_flash=True, remat=remat), expected
            )
            said["differences"][f"{name}{', computed again' * remat}"] = found
        if head is None:
            flash.IMPLEMENTATION = "cudnn"
            said["lowered"][name] = [lowered(config, True), lowered(config, False)]
    print(json.dumps(said))


if __name__ == "__main__":
    # Of the library itself, which is not there, its version alone is read.
    cudnn.check_cudnn_version = lambda: 91100
    main()
