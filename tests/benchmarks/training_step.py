"""Times a training step: our layers against keras-hub's, and for classifiers the matmuls alone.

All of them take turns in one process, a step each, for a number of rounds. A ratio is the median
over the rounds of two times of the same round, so that load which comes and goes on the machine
falls on both; the ratio of CPU times, which waiting does not lengthen, stands beside it. Needs
keras-hub, which the project itself does not: `pip install keras-hub`.

    python tests/benchmarks/training_step.py --help
"""

import os
import statistics
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import keras_transformer as kt

VOCAB_SIZE, NUM_CLASSES = 8000, 2
LENGTH, BATCH = 128, 32
NUM_LAYERS, HIDDEN_DIM, NUM_HEADS, INTERMEDIATE_DIM = 4, 256, 4, 1024
DROPOUT, EPSILON = 0.1, 1e-6
# Of the translator: blocks of the encoder and of the decoder, tokens of source and target, rows.
NUM_BLOCKS, SIDE_LENGTH, SIDE_BATCH = 3, 48, 64
BASELINE = ("keras-hub", "float32")


def our_model():
    ids = keras.Input((LENGTH,), dtype="int32")
    x = kt.TokenEmbedding(VOCAB_SIZE, HIDDEN_DIM)(ids)
    x = kt.LearnedPositionalEncoding(LENGTH)(x)
    x = kt.LayerNorm(epsilon=EPSILON)(x)
    x = kt.Dropout(DROPOUT)(x)
    x = kt.Encoder(
        NUM_LAYERS, NUM_HEADS, INTERMEDIATE_DIM, dropout=DROPOUT, attention_dropout=DROPOUT,
        activation="gelu", epsilon=EPSILON,
    )(x, mask=keras.ops.not_equal(ids, 0))  # fmt: skip
    return keras.Model(ids, keras.layers.Dense(NUM_CLASSES, dtype="float32")(x[:, 0]))


def keras_hub_model():
    import keras_hub

    ids = keras.Input((LENGTH,), dtype="int32")
    x = keras_hub.layers.TokenAndPositionEmbedding(VOCAB_SIZE, LENGTH, HIDDEN_DIM)(ids)
    x = keras.layers.LayerNormalization(epsilon=EPSILON)(x)
    x = keras.layers.Dropout(DROPOUT)(x)
    for _ in range(NUM_LAYERS):
        x = keras_hub.layers.TransformerEncoder(
            INTERMEDIATE_DIM, NUM_HEADS, dropout=DROPOUT, activation="gelu",
            layer_norm_epsilon=EPSILON,
        )(x, padding_mask=keras.ops.not_equal(ids, 0))  # fmt: skip
    return keras.Model(ids, keras.layers.Dense(NUM_CLASSES, dtype="float32")(x[:, 0]))


def our_translator():
    source = keras.Input((SIDE_LENGTH,), dtype="int32")
    target = keras.Input((SIDE_LENGTH,), dtype="int32")
    mask = keras.ops.not_equal(source, 0)
    arguments = {
        "dropout": DROPOUT, "attention_dropout": DROPOUT, "activation": "relu", "epsilon": EPSILON
    }  # fmt: skip
    x = kt.TokenEmbedding(VOCAB_SIZE, HIDDEN_DIM)(source)
    x = kt.LearnedPositionalEncoding(SIDE_LENGTH)(x)
    memory = kt.Encoder(NUM_BLOCKS, NUM_HEADS, INTERMEDIATE_DIM, **arguments)(x, mask=mask)
    y = kt.TokenEmbedding(VOCAB_SIZE, HIDDEN_DIM)(target)
    y = kt.LearnedPositionalEncoding(SIDE_LENGTH)(y)
    y = kt.Decoder(
        NUM_BLOCKS, NUM_HEADS, INTERMEDIATE_DIM, cross_attention=True, **arguments
    )(y, memory=memory, mask=keras.ops.not_equal(target, 0), memory_mask=mask)  # fmt: skip
    return keras.Model([source, target], keras.layers.Dense(VOCAB_SIZE, dtype="float32")(y))


def keras_hub_translator():
    import keras_hub

    source = keras.Input((SIDE_LENGTH,), dtype="int32")
    target = keras.Input((SIDE_LENGTH,), dtype="int32")
    mask = keras.ops.not_equal(source, 0)
    arguments = {"dropout": DROPOUT, "activation": "relu", "layer_norm_epsilon": EPSILON}
    embedding = keras_hub.layers.TokenAndPositionEmbedding
    x = embedding(VOCAB_SIZE, SIDE_LENGTH, HIDDEN_DIM)(source)
    for _ in range(NUM_BLOCKS):
        layer = keras_hub.layers.TransformerEncoder(INTERMEDIATE_DIM, NUM_HEADS, **arguments)
        x = layer(x, padding_mask=mask)
    y = embedding(VOCAB_SIZE, SIDE_LENGTH, HIDDEN_DIM)(target)
    for _ in range(NUM_BLOCKS):
        layer = keras_hub.layers.TransformerDecoder(INTERMEDIATE_DIM, NUM_HEADS, **arguments)
        y = layer(
            y, x, decoder_padding_mask=keras.ops.not_equal(target, 0), encoder_padding_mask=mask
        )
    return keras.Model([source, target], keras.layers.Dense(VOCAB_SIZE, dtype="float32")(y))


def random_rows(generator, batch, length):
    """Ids (B, T), the second half of them padding in part."""
    ids = generator.integers(1, VOCAB_SIZE, (batch, length)).astype("int32")
    lengths = generator.integers(length // 2, length + 1, (batch, 1))
    ids[np.arange(length) >= lengths] = 0
    return ids


def make_step(build, policy, jit_compile=False):
    """Returns a function that trains one step on a fixed batch."""
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    model = build()
    model.compile(
        optimizer=keras.optimizers.Adam(1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    generator = np.random.default_rng(0)
    if len(model.inputs) == 2:
        rows = [random_rows(generator, SIDE_BATCH, SIDE_LENGTH) for _ in range(2)]
        targets = generator.integers(1, VOCAB_SIZE, rows[1].shape)
    else:
        rows = random_rows(generator, BATCH, LENGTH)
        targets = generator.integers(0, NUM_CLASSES, BATCH)
    return lambda: model.train_on_batch(rows, targets)


def make_ceiling(policy):
    """Returns a function that runs a step's matmuls, forward and backward, and little else."""
    dtype = tf.bfloat16 if policy == "mixed_bfloat16" else tf.float32
    width = HIDDEN_DIM // NUM_HEADS
    shapes = 4 * [(HIDDEN_DIM, HIDDEN_DIM)]
    shapes += [(HIDDEN_DIM, INTERMEDIATE_DIM), (INTERMEDIATE_DIM, HIDDEN_DIM)]

    def random(shape):
        return tf.cast(tf.random.normal(shape, stddev=shape[-2] ** -0.5), dtype)

    kernels = [[random(shape) for shape in shapes] for _ in range(NUM_LAYERS)]
    inputs = random((BATCH, LENGTH, HIDDEN_DIM))

    def dense(x, kernel):
        rows = tf.reshape(x, (-1, x.shape[-1]))
        return tf.reshape(tf.matmul(rows, kernel), (BATCH, LENGTH, kernel.shape[-1]))

    @tf.function
    def step():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([inputs, kernels])
            x = inputs
            for query, key, value, output, up, down in kernels:
                # Heads are cut out without the transpose, which moves data and multiplies nothing.
                heads = (BATCH, NUM_HEADS, LENGTH, width)
                q, k, v = (tf.reshape(dense(x, w), heads) for w in (query, key, value))
                context = tf.matmul(tf.matmul(q, k, transpose_b=True), v)
                x = dense(tf.reshape(context, x.shape), output)
                x = dense(dense(x, up), down)
        return [g[0, 0] for g in tf.nest.flatten(tape.gradient(x, [inputs, kernels]))]

    return lambda: step()[0].numpy()


BUILDERS = {
    "classifier": (our_model, keras_hub_model),
    "translator": (our_translator, keras_hub_translator),
}


@click.command()
@click.option("--model", type=click.Choice(tuple(BUILDERS)), default="classifier")
@click.option("--rounds", default=20, show_default=True, help="Timed rounds.")
@click.option("--warm-up", default=3, show_default=True, help="Rounds before them.")
@click.option("--policy", "policies", multiple=True, default=("float32", "mixed_bfloat16"),
              show_default=True, help="Dtype policy; can be given again.")  # fmt: skip
@click.option("--xla", is_flag=True, help="Adds keras-hub with jit_compile='auto', its default.")
def main(model, rounds, warm_up, policies, xla):
    """Times the training step of a 4-layer, d=256, length-128, batch-32 classifier.

    Or of a 3+3-layer, d=256 translator of 64 pairs of 48 and 48 tokens.
    """
    ours, theirs = BUILDERS[model]
    steps = {BASELINE: make_step(theirs, "float32")}
    for policy in policies:
        steps["keras-hub", policy] = make_step(theirs, policy)
        if xla:
            steps["keras-hub, XLA", policy] = make_step(theirs, policy, "auto")
        steps["keras-transformer", policy] = make_step(ours, policy)
        if model == "classifier":
            steps["matmuls alone", policy] = make_ceiling(policy)
    seconds, cpu_seconds = {row: [] for row in steps}, {row: [] for row in steps}
    for i in range(warm_up + rounds):
        for row, step in steps.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            step()
            if i >= warm_up:
                seconds[row].append(time.perf_counter() - start)
                cpu_seconds[row].append(time.process_time() - cpu_start)

    def ratio(row, other, times=seconds):
        return statistics.median(b / a for a, b in zip(times[row], times[other], strict=True))

    table = Table(
        "policy", "layers", "ms a step", "speed: keras-hub float32 = 1",
        "keras-hub in this policy = 1", "the same, CPU time", "share of ceiling",
        title=f"Training step, TensorFlow {tf.__version__}, keras {keras.__version__}, "
        f"{os.cpu_count()} CPU cores, {rounds} rounds",
    )  # fmt: skip
    for policy in dict.fromkeys(policy for _, policy in steps):
        for row in (row for row in steps if row[1] == policy):
            same = ("keras-hub", policy)
            ceiling = ("matmuls alone", policy)
            table.add_row(
                policy, row[0], f"{1000 * statistics.median(seconds[row]):.0f}",
                f"{ratio(row, BASELINE):.2f}", f"{ratio(row, same):.2f}",
                f"{ratio(row, same, cpu_seconds):.2f}",
                f"{ratio(row, ceiling):.0%}" if ceiling in steps else "",
            )  # fmt: skip
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
