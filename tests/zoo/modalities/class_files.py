"""Folders of toy files by class, a model of them, and what its `.tflite` file predicts."""

import numpy as np

import keras_transformer as kt
from keras_transformer.edge.precision import PRECISIONS
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.tasks.classification import Classification


def write_classes(folder, rows, labels, suffixes, save):
    """Writes each row as `save(path, row)` into the folder of its label; suffixes take turns."""
    for place, (row, label) in enumerate(zip(rows, labels, strict=True)):
        path = folder / label / f"{place}.{suffixes[place % len(suffixes)]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, row)
    return folder


def write_splits(root, write_folder):
    """Folders for training, validation and testing, by name."""
    return {
        name: write_folder(root / name, count, seed)
        for seed, (name, count) in enumerate((("train", 160), ("dev", 48), ("test", 40)))
    }


def trained_on(folders, config, out):
    """A classifier as it is loaded from its checkpoint."""
    kt.train(
        config, Classification(), train=str(folders["train"]), validation=str(folders["dev"]),
        out=out, epochs=4, learning_rate=3e-3, batch_tokens=16 * config.max_length,
    )  # fmt: skip
    return kt.load(out)


def check_same_labels(runner, checkpoint, folders):
    """A file and its checkpoint predict the same labels of the test rows, which are returned."""
    rows = sorted(folders["test"].rglob("*.*"))
    ours, theirs = runner.predict(rows), checkpoint.predict(rows)
    assert [one.label for one in ours] == [one.label for one in theirs]
    return rows


def check_file(trained, folders, precision, *, reads, tolerance):
    """Converts a classifier, and returns a file that predicts what it does.

    `reads` is the modality and the lengths of the file, `tolerance` that of its logits.
    """
    static = PRECISIONS[precision].is_static
    file = kt.convert(
        trained, precision, calibration=str(folders["train"]) if static else None
    )
    runner = Runner(file)
    assert (runner.modality.name, runner.lengths) == reads
    rows = check_same_labels(runner, trained, folders)
    np.testing.assert_allclose(runner.scores(rows), trained.scores(rows), atol=tolerance)
    return file


def check_quantized(trained, folders):
    """After an epoch of quantization-aware training the file predicts what the checkpoint does."""
    small = kt.quantize(trained, "int8", epochs=1)
    check_same_labels(Runner(kt.convert(small, "int8")), small, folders)
