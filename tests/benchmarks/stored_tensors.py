"""What each kind of stored tensor and rounded kernel costs the vectors of an encoder's tokens.

    python tests/benchmarks/stored_tensors.py MODEL texts.txt [--precision int8]

The model is simulated on the last lines of the text, calibrated on the first; an error is the
length of the difference from the float model's vector behind the last block, by that vector's
length, in the mean of all tokens. Layers are in float by the last part of their path.
"""

import collections
import dataclasses
from pathlib import Path

import click
import numpy as np

CALIBRATED, MEASURED, TOKENS = 64, 32, 2048


@click.command()
@click.argument("model")
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--precision", default="int8", show_default=True)
@click.option("--max-length", default=128, show_default=True)
def main(model: str, texts: Path, precision: str, max_length: int) -> None:
    """Prints the error of a precision, and of the same with one kind of layer in float."""
    import keras

    import keras_transformer as kt
    from keras_transformer.edge.precision import get_precision
    from keras_transformer.edge.quantize.qat import quantized_model
    from keras_transformer.zoo.data.batches import Batches
    from keras_transformer.zoo.models.build import build, get_weights, set_weights
    from keras_transformer.zoo.models.kept_layers import rounded_layers

    checkpoint = kt.load(model)
    modality = dataclasses.replace(checkpoint.modality, max_length=max_length)
    checkpoint = dataclasses.replace(checkpoint, modality=modality)
    lines = [line for line in texts.read_text(encoding="utf-8").splitlines() if line.strip()]
    known, asked = (
        modality.encode(part).of(checkpoint.inputs)
        for part in (lines[:CALIBRATED], lines[-MEASURED:])
    )
    batches = Batches(known, specs=checkpoint.inputs, batch_tokens=TOKENS)
    inputs = {spec.name: spec.pad(asked[spec.name]) for spec in checkpoint.inputs}
    real = inputs["ids"] != 0

    def vectors(built):
        encoder = keras.Model(built.inputs, built.get_layer("encoder").output)
        return np.asarray(encoder(inputs))[real]

    expected = vectors(checkpoint.model)

    def error(built):
        off = np.linalg.norm(vectors(built) - expected, axis=1)
        return float(np.mean(off / np.linalg.norm(expected, axis=1)))

    whole = quantized_model(checkpoint, batches, precision)
    click.echo(f"{precision}: {error(whole):.4f}")
    weights, kinds = get_weights(whole), collections.defaultdict(list)
    for layer in rounded_layers(whole):
        kinds[layer.path.rpartition("/")[2]].append(layer.path)
    bits = get_precision(precision).bits
    for kind, paths in kinds.items():
        built = build(checkpoint.config, checkpoint.task, bits=bits, keep=paths)
        own = {weight.path for weight in built.weights}
        set_weights(built, {path: value for path, value in weights.items() if path in own})
        click.echo(f"{kind} ({len(paths)}) in float: {error(built):.4f}")


if __name__ == "__main__":
    main()
