"""Made rows."""

import numpy as np
import pytest

from tests.zoo.prepared.shards import WORDS


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(0, 6))) + f" {i}" for i in range(300)]
    return [(text, texts[-i], str(i % 3)) for i, text in enumerate(texts)]
