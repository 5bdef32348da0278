"""Fixtures of the behaviour tests.

`tests/conftest.py` sets the mode (soft, or every switch forced hard) and
leaves no tasklet behind; what else these tests touch is put back here.
"""

import gc
import os
import sys

import pytest


@pytest.fixture(autouse=True)
def hooks_put_back():
    """Tracers and the collector are as they were before the test."""
    traced, profiled = sys.gettrace(), sys.getprofile()
    collecting, thresholds = gc.isenabled(), gc.get_threshold()
    yield
    if sys.gettrace() is not traced:
        sys.settrace(traced)
    if sys.getprofile() is not profiled:
        sys.setprofile(profiled)
    if gc.isenabled() != collecting:
        gc.enable() if collecting else gc.disable()
    if gc.get_threshold() != thresholds:
        gc.set_threshold(*thresholds)


@pytest.fixture
def log():
    return []


@pytest.fixture
def hard():
    """Whether every switch is forced hard."""
    return os.environ.get("STACKLESS_TEST_HARD") == "1"
