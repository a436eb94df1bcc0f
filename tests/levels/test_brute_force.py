"""Nested quadrature against brute-force integration that shares no code with it."""

import numpy as np
import pytest
from brute_force import solve, unit_below

import hierjax as hj

pytestmark = pytest.mark.slow

PRIOR = {
    "beta_binomial": ((-1.0, 1.0, 0.7), (3.0, 1.0, 0.7)),
    "gamma_poisson": ((-1.0, 1.0, 0.7), (2.0, 1.0, 0.7)),
    "normal_normal": ((5.0, 3.0, 2.0), (-1.5, 1.0, 0.7)),
}
REACH = {
    "beta_binomial": (((-4.0, 2.0), 3.5), ((-2.0, 8.0), 3.5), (-9.0, 6.0), (-8.0, 14.0)),
    "gamma_poisson": (((-4.0, 2.0), 3.5), ((-3.0, 7.0), 3.5), (-9.0, 5.0), (-8.0, 13.0)),
    "normal_normal": (((-6.0, 17.0), 11.0), ((-6.5, 3.5), 3.5), (-25.0, 35.0), (-11.0, 9.0)),
}


def data_of(family):
    labs = np.repeat(["a", "b", "c"], [5, 3, 2])
    if family == "beta_binomial":
        y, n = [2, 5, 4, 9, 3, 0, 1, 2, 7, 12], [20, 22, 18, 30, 12, 9, 14, 20, 15, 30]
        return hj.Counts(y, n, groups=labs)
    if family == "gamma_poisson":
        y, e = [3, 5, 2, 9, 4, 0, 1, 2, 7, 12], [9.0, 12.0, 10.0, 15.0, 8.0, 5.0, 6.0, 7.0, 9.0, 14]
        return hj.Events(y, e, groups=labs)
    y = [4.1, 6.0, 5.2, 7.9, 3.3, 2.0, 1.1, 3.7, 8.8, 9.9]
    return hj.Measurements(y, [1.0, 1.5, 0.8, 1.2, 2.0, 1.0, 0.9, 1.4, 1.1, 1.6], groups=labs)


# Without data, usual, unlike the others, and of so much data that the group hardly counts.
NEW = {
    "beta_binomial": [(0, 0), (4, 14), (0, 20), (15, 30), (300, 1000)],
    "gamma_poisson": [(0, 0.0), (4, 14.0), (0, 20.0), (15, 3.0), (900, 1000.0)],
    "normal_normal": [(0.0, np.inf), (4.0, 1.0), (12.0, 2.0), (8.0, 0.05)],
}


@pytest.fixture(scope="module", params=sorted(PRIOR))
def both(request):
    family = request.param
    data, prior = data_of(family), PRIOR[family]
    found = hj.fit_groups(
        data,
        hj.GroupModel(
            hyperprior=hj.GroupHyperprior(
                prior[0][:2], prior[0][2], prior[1][:2], log_concentration_spread=prior[1][2]
            )
        ),
    )
    return found, solve(data, np.asarray(data.groups), prior, *REACH[family])


def test_evidence_moments_and_labs_agree_with_brute_force(both):
    found, truth = both
    family = found.data.family
    mean, sd = found.result.top.moments()
    assert found.status == "converged"
    assert abs(found.result.info["log_evidence"] - truth.log_evidence) < 1e-5
    np.testing.assert_allclose((mean - truth.mean) / truth.sd, 0, atol=1e-4)
    np.testing.assert_allclose(sd / truth.sd, 1, atol=2e-4)
    name = {"normal_normal": "location"}.get(family, found.model.family.coordinates[0])
    locations = found.groups()[f"{name}_mean"]
    np.testing.assert_allclose((locations - truth.lab_location) / truth.sd[0], 0, atol=5e-3)


@pytest.mark.parametrize("group", [None, "b"])
def test_new_units_agree_with_brute_force(both, group):
    """Quantiles to 2e-3 in probability, means to 1e-3 of their standard deviation."""
    found, truth = both
    family = found.data.family
    weights = truth.new if group is None else truth.labs[1]
    y, n = zip(*NEW[family], strict=True)
    table = found.predict(y, n, group=group)
    for i, unit in enumerate(NEW[family]):
        ends = [table[column][i] for column in ("low", "median", "high")]
        mean, below = unit_below(family, truth, weights, *unit, ends)
        np.testing.assert_allclose(below, [0.05, 0.5, 0.95], atol=2e-3)
        # An infinite tail of rates leans on locations beyond the oracle's grid.
        if (family, group, i) != ("gamma_poisson", None, 0):
            assert abs(table["mean"][i] - mean) < 1e-3 * table["sd"][i]


def test_units_agree_with_brute_force(both):
    """Units that were seen: their data are in the weights of their lab, and not to count twice."""
    found, truth = both
    family, table = found.data.family, found.units()
    for i, (y, n) in enumerate(zip(*found.data.pair, strict=True)):
        weights = truth.labs["abc".index(table["group"][i])]
        ends = [table[column][i] for column in ("low", "median", "high")]
        mean, below = unit_below(family, truth, weights, y, n, ends, seen=True)
        np.testing.assert_allclose(below, [0.05, 0.5, 0.95], atol=1e-3)
        assert abs(table["mean"][i] - mean) < 1e-3 * table["sd"][i]
