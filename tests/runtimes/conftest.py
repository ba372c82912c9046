"""Chromium's tab, which the tests of a file share."""

import pytest

from tests.runtimes.chromium import chromium


@pytest.fixture(scope="module")
def tab():
    with chromium() as tab:
        yield tab
