import pytest

from tests.fuzz.seeds import make_seeds


@pytest.fixture(scope="session")
def seeds(tmp_path_factory):
    """Whole inputs of each kind."""
    folder = tmp_path_factory.mktemp("seeds")
    make_seeds(folder)
    return folder
