"""`python -m tests.fuzz --count 10000`: damaged inputs of each kind, and the counts of faults."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.fuzz import fuzz, table
from tests.fuzz.kinds import KINDS


def main() -> int:
    """Prints a table of the counts, and the faults; returns 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="inputs of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=Path, help="a folder of whole inputs that is there already")
    given = parser.parse_args()
    all_counts = []
    with tempfile.TemporaryDirectory() as temporary:
        seeds = given.seeds
        if seeds is None:
            # Keras and TensorFlow are loaded only where whole inputs have to be made.
            from tests.fuzz.seeds import make_seeds

            seeds = Path(temporary) / "seeds"
            seeds.mkdir()
            make_seeds(seeds)
        for kind in given.kinds:
            folder = Path(temporary) / kind
            folder.mkdir()
            all_counts.append(fuzz(kind, seeds, folder, given.count, seed=given.seed))
            print(list(table([all_counts[-1]]))[-1], flush=True)
            for text in all_counts[-1].texts:
                print(text, flush=True)
    print("\n".join(table(all_counts)))
    return int(any(one.texts for one in all_counts))


if __name__ == "__main__":
    sys.exit(main())
