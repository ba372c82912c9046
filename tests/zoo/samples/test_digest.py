"""The embedded data are the same rows on every machine, as the figures measured on them need."""

import hashlib

import babel
import pytest

from keras_transformer.zoo.samples.dates import date_examples
from keras_transformer.zoo.samples.languages import language_examples

# The release whose CLDR tables (version 49) made the rows that the digests are of.
RELEASE = "2.19"
DIGESTS = {
    date_examples: {
        "train": "c3098ce24db4cd76fb57ac73eba1fc7885ce175c1caa6de02c564c62055c5923",
        "validation": "c01f3e0554c366a1f97e5e7093477acc670ad71d4b19561b776c3f42900ae248",
        "test": "d9143ec49f6b75644c9fc6939eb957d97976d7fc8cd41ac0dcfb7c8cc8a5e5fe",
    },
    language_examples: {
        "train": "ec5f895803411df2cc8ecc38a0236ea0133d5ebcd7055c0a5782191f46c7b23d",
        "validation": "c75ebac0a3581d7f6c92e77cf8a28c6dcea95dec07718ba04a4ea8771ea2ac3e",
        "test": "8bd211729f2fc475ef0ca9b2170296c1c29a3bb21ac35979e8dcf572b6b2de26",
    },
}


@pytest.mark.parametrize("examples", DIGESTS)
def test_the_rows_are_those_that_the_figures_were_measured_on(examples):
    found = {
        split: hashlib.sha256("".join("\t".join(row) + "\n" for row in rows).encode()).hexdigest()
        for split, rows in examples().items()
    }
    assert found == DIGESTS[examples], (
        f"Babel {babel.__version__} makes other rows than the {RELEASE} that setup.cfg allows: "
        "where its CLDR tables changed, measure the quickstart's figures anew and record these "
        "digests; where they did not, our code changed the data."
    )
