"""Many contrasts at once, against adaptive quadrature and against single points."""

import itertools

import numpy as np
import pytest
from compilation import compilations
from monte_carlo import exact
from scipy import integrate, stats
from scipy.special import betainc, betaincc, expit

from hierjax import decisions
from hierjax.errors import ConfigError
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.units.contrasts import Contrast, contrast, contrasts
from hierjax.units.mixture import Mixture
from hierjax.units.nodes import unit_nodes

FAMILY = BetaBinomial()

PAIRS = np.array(
    [[0, 20, 0, 20], [0, 19, 0, 20], [1, 20, 9, 24], [7, 42, 77, 1611], [40, 60, 900, 1000]], float
)


def mixture(points, weights):
    points = np.array(points)
    return Mixture(points, np.array(weights), np.zeros_like(points))


def shapes(points, pair):
    u, w = np.array(points).T
    return np.exp(w) * expit(u) + pair[0], np.exp(w) * expit(-u) + pair[1] - pair[0]


POINTS, WEIGHTS = [[-1.8, 2.2], [-1.6, 3.0], [-2.0, 3.4]], [0.5, 0.3, 0.2]


@pytest.fixture(scope="module")
def found():
    return contrasts(FAMILY, mixture(POINTS, WEIGHTS), PAIRS[:, :2].T, PAIRS[:, 2:].T, 0.9)


@pytest.mark.parametrize("row", range(len(PAIRS)))
def test_probabilities_and_losses(found, row):
    sides = [
        list(zip(*shapes(POINTS, pair), strict=True)) for pair in (PAIRS[row, :2], PAIRS[row, 2:])
    ]
    greater = loss = 0.0
    for weight, first, second in zip(WEIGHTS, *sides, strict=True):
        a, b = stats.beta(*first), stats.beta(*second)
        raised = stats.beta(first[0] + 1, first[1])
        ends = b.ppf([1e-15, 0.01, 0.5, 0.99, 1 - 1e-15])

        def mass(t, a=a, b=b):
            return b.pdf(t) * a.sf(t)

        def cost(t, a=a, b=b, raised=raised):
            return b.pdf(t) * (t * a.cdf(t) - a.mean() * raised.cdf(t))

        for part in itertools.pairwise(ends):
            greater += weight * integrate.quad(mass, *part, epsabs=1e-13)[0]
            loss += weight * integrate.quad(cost, *part, epsabs=1e-13)[0]
    # Nodes are 0.27 of the narrower unit's widths apart, for errors of 1e-10.
    assert found.p_greater[row] == pytest.approx(greater, abs=1e-9)
    assert found.expected_loss[row] == pytest.approx(loss, rel=1e-6, abs=1e-11)


@pytest.mark.parametrize("row", range(len(PAIRS)))
def test_ends_of_intervals_have_their_probabilities(found, row):
    """Also where the difference has an edge, at a rate that is minus the difference."""
    first, second = (shapes(POINTS, pair) for pair in (PAIRS[row, :2], PAIRS[row, 2:]))
    high = PAIRS[row, 0] > 0.5 * PAIRS[row, 1]
    # Of the unit on the far side of the edge.
    ends = {0.05: found.difference_low[row], 0.95: found.difference_high[row]}
    for level, d in ends.items():
        over_first = (d < 0) != high
        own, other = (first, second) if over_first else (second, first)
        log_odds, shares = unit_nodes(FAMILY.on_host, own)
        rates = np.clip(expit(log_odds) + (-d if over_first else d), 0.0, 1.0)
        function = betaincc if over_first else betainc
        below = function(other[0][:, None], other[1][:, None], rates)
        share = np.sum(np.array(WEIGHTS)[:, None] * shares * below)
        assert share == pytest.approx(level, abs=1e-8)
    for level, ratio in ((0.05, found.ratio_low[row]), (0.95, found.ratio_high[row])):
        log_odds, shares = unit_nodes(FAMILY.on_host, second)
        rates = np.clip(expit(log_odds) * ratio, 0.0, 1.0)
        below = betainc(first[0][:, None], first[1][:, None], rates)
        share = np.sum(np.array(WEIGHTS)[:, None] * shares * below)
        # This sum is over nodes of either unit, where the answer's is over the narrower's.
        assert share == pytest.approx(level, abs=1e-5)


def test_points_of_all_concentrations_at_once():
    """Components of units may be spikes at one point and the whole interval at another."""
    points, weights = [[-1.5, -1.0], [-1.4, 3.0], [-1.6, 9.0], [-1.55, 21.0]], [0.1, 0.4, 0.3, 0.2]
    first, second = np.array([[3.0, 12.0], [20.0, 20.0]]), np.array([[5.0, 2.0], [30.0, 20.0]])
    together = contrasts(FAMILY, mixture(points, weights), first, second, 0.9)
    alone = [contrasts(FAMILY, mixture([point], [1.0]), first, second, 0.9) for point in points]
    for name in ("p_greater", "difference_mean", "expected_loss"):
        average = np.tensordot(weights, [getattr(each, name) for each in alone], 1)
        np.testing.assert_allclose(getattr(together, name), average, atol=1e-9)


def test_one_of_many_is_that_alone(found):
    alone = contrast(FAMILY, mixture(POINTS, WEIGHTS), (7.0, 42.0), (77.0, 1611.0), 0.9)
    for name in Contrast._fields:
        # Lattices depend on which units share a batch; roots are to 1e-9 in normal scores.
        assert getattr(alone, name) == pytest.approx(getattr(found, name)[3], rel=1e-7, abs=1e-9)


def test_many_contrasts_compile_nothing_and_report_progress():
    exact().contrasts(control="1")
    told = []
    with compilations() as compiled:
        exact().contrasts(control="70", progress=lambda *steps: told.append(steps))
    assert compiled == []
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_too_many_pairs_are_refused(monkeypatch):
    monkeypatch.setattr(decisions, "_MOST_PAIRS", 2414)
    with pytest.raises(ConfigError, match=r"at most 2,414 pairs, found 2,415 of 70 units"):
        exact().contrasts()
