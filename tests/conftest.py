"""What the tests of all folders share."""

import gc


def pytest_collection_finish():
    """Exempts what is alive now from the garbage collections that the tests cause.

    These are millions of objects of TensorFlow and of the tests, which end with the process.
    """
    gc.collect()
    gc.freeze()
