"""Adam over one vector of all weights against Keras' Adam over each, on JAX.

    KERAS_BACKEND=jax python tests/benchmarks/flat_optimizer.py --model bert_base

Both update the same weights by the same gradients, which a model gives and takes one by one: the
vector is joined of them before the update and cut again behind it. Its moments stay one vector
from step to step. `vector` is the update alone, of a model that had one vector for its weights and
gradients. Calls alternate, so that all share the noise of the machine; the differences of the
weights are printed, too.
"""

import statistics
import time

import click
import jax
import jax.numpy as jnp
import keras
import numpy as np

from keras_transformer.zoo.models.build import build
from keras_transformer.zoo.models.catalog import get_config
from keras_transformer.zoo.models.heads import Head

RATE, BETA_1, BETA_2, EPSILON = 5e-4, 0.9, 0.999, 1e-7


@click.command(help=__doc__)
@click.option("--model", default="bert_base", show_default=True)
@click.option("--width", default=0, help="Another width of the model; 0 for its own.")
@click.option("--rounds", default=20, show_default=True)
def main(model: str, width: int, rounds: int) -> None:
    config = get_config(model).replace(vocab_size=8000)
    if width:
        config = config.replace(hidden_dim=width, intermediate_dim=4 * width)
    made = build(config, Head(units=2))
    weights = [jnp.array(one.value) for one in made.trainable_variables]
    rng = np.random.default_rng(0)
    slopes = [jnp.asarray(rng.normal(size=one.shape).astype("float32")) for one in weights]
    optimizer = keras.optimizers.Adam(RATE, BETA_1, BETA_2, EPSILON)
    optimizer.build(made.trainable_variables)
    ends = np.cumsum([one.size for one in weights])

    def each(state, slopes):
        return optimizer.stateless_apply(state[1], slopes, state[0])

    def vector(state, slope):
        whole, (step, mean, square) = state
        step = step + 1
        rate = RATE * jnp.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
        mean = mean + (slope - mean) * (1 - BETA_1)
        square = square + (slope * slope - square) * (1 - BETA_2)
        return whole - mean * rate / (jnp.sqrt(square) + EPSILON), (step, mean, square)

    def joined(group):
        return jnp.concatenate([one.ravel() for one in group])

    def together(state, slopes):
        weights, moments = state
        # Or XLA computes the update anew for each part; its compiler for processors does.
        whole, moments = jax.lax.optimization_barrier(
            vector((joined(weights), moments), joined(slopes))
        )
        parts = jnp.split(whole, ends[:-1])
        cut = [part.reshape(one.shape) for part, one in zip(parts, weights, strict=True)]
        return cut, moments

    own = [jnp.array(one.value) for one in optimizer.variables]

    def moments():
        return jnp.float32(0), jnp.zeros(int(ends[-1])), jnp.zeros(int(ends[-1]))

    # Each has its own arrays: a step takes what it was given.
    states = {
        "each": (weights, own), "vector": (joined(weights), moments()),
        "together": ([jnp.array(one) for one in weights], moments()),
    }  # fmt: skip
    given = {"each": slopes, "vector": joined(slopes), "together": slopes}
    runs, seconds = {}, {name: [] for name in states}
    for name, function in (("each", each), ("together", together), ("vector", vector)):
        jitted = jax.jit(function, donate_argnums=0)
        runs[name] = jitted.lower(states[name], given[name]).compile()
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            states[name] = jax.block_until_ready(run(states[name], given[name]))
            seconds[name].append(time.perf_counter() - start)
    before = [np.asarray(one.value) for one in made.trainable_variables]
    moved, off = (
        max(float(np.abs(one - other).max()) for one, other in zip(found, others, strict=True))
        for found, others in ((states["each"][0], before), (states["each"][0],
                              states["together"][0]))
    )  # fmt: skip
    print(
        f"{len(weights)} weights, {ends[-1] / 1e6:.1f} million values, moved by {moved:.1e} at "
        f"most; the two differ by {off:.1e}"
    )
    for name, run in runs.items():
        cost, memory = run.cost_analysis(), run.memory_analysis()
        print(
            f"{name}: {cost['flops'] / 1e9:.2f} GFLOP, {cost['bytes accessed'] / 1e9:.2f} GB read "
            f"and written, {memory.temp_size_in_bytes / 1e6:.0f} MB beside the state, "
            f"{1e3 * statistics.median(seconds[name]):.1f} ms (least "
            f"{1e3 * min(seconds[name]):.1f})"
        )


if __name__ == "__main__":
    main()
