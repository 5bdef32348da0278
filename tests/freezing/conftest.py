"""What holds for every test of freezing: nothing is left of another one's."""

import pytest
from freezing_support import LOG


@pytest.fixture(autouse=True)
def empty_log():
    LOG.clear()
    yield
    LOG.clear()
