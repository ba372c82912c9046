"""The list of published models."""

from keras_transformer.zoo.models.catalog import PUBLISHED
from keras_transformer.zoo.models.families.known import KNOWN_MODELS
from keras_transformer.zoo.pretrained.source import HUB


def test_known_models_are_of_families_that_are_read():
    names = [known.name for known in KNOWN_MODELS]
    assert len(set(names)) == len(names)
    for known in KNOWN_MODELS:
        assert known.name.startswith(HUB) and known.name.count("/") == 1
        assert known.family in PUBLISHED
        assert known.parameters > 1e6 and known.licence and known.use
