"""An encoder file of several static lengths against one of the longest, on a table's own texts.

    python tests/benchmarks/lengths.py several.tflite one.tflite --data validation.tsv

Both are made of one checkpoint, such as by `convert --lengths 16,32,64` and `--lengths 64`. Text
by text, in turns; prints the ratio of the total times and whether all predictions agree.
"""

import time
from pathlib import Path

import click
import numpy as np

from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.data.tables import read_table


@click.command(help=__doc__)
@click.argument("several", type=click.Path(path_type=Path))
@click.argument("one", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--rounds", default=3, show_default=True)
def main(several: Path, one: Path, data: Path, rounds: int) -> None:
    runners = [Runner(several), Runner(one)]
    texts = read_table(data).columns[runners[0].columns["text"]]
    seconds = np.zeros((rounds + 1, 2))
    scores = [[], []]
    for measured in range(rounds + 1):
        for text in texts:
            for i, runner in enumerate(runners):
                start = time.perf_counter()
                result = runner.scores([text])
                seconds[measured, i] += time.perf_counter() - start
                if measured == 0:
                    scores[i].append(result[0])
    a, b = np.array(scores)
    ratios = seconds[1:, 1] / seconds[1:, 0]
    click.echo(f"{len(texts)} texts, lengths {runners[0].lengths} against {runners[1].lengths}")
    click.echo(f"times as fast: {np.median(ratios):.2f} (rounds: {np.round(ratios, 2).tolist()})")
    click.echo(
        f"same label: {np.mean(a.argmax(1) == b.argmax(1)):.2%}, "
        f"largest difference of outputs {np.abs(a - b).max():.2g}"
    )


if __name__ == "__main__":
    main()
