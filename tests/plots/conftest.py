"""The rats and their fits, made once for all tests of figures."""

import matplotlib
import pytest
from figure_fits import five_fits

import hierjax as hj


@pytest.fixture(scope="session")
def rats():
    return hj.datasets.rat_tumors()


@pytest.fixture(scope="session")
def exact(rats):
    return hj.fit(rats)


@pytest.fixture(scope="session")
def fits(rats, exact):
    return five_fits(rats, exact)


@pytest.fixture(autouse=True)
def _settings_stay():
    """No figure may change matplotlib's own settings."""
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
