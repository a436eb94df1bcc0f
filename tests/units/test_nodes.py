"""Integrals over Beta distributions, also of shapes far below one, against adaptive quadrature."""

import itertools

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.families.host_beta import below_log_odds
from hierjax.units.contrasts import contrast
from hierjax.units.mixture import Mixture
from hierjax.units.nodes import unit_nodes

FAMILY = BetaBinomial()

SHAPES = [(0.0014, 18.0), (1e-3, 1e3), (0.05, 0.05), (0.5, 20.0), (30.0, 0.02), (5.0, 50.0)]


def nodes(alpha, beta):
    log_odds, shares = unit_nodes(FAMILY.on_host, (np.array([alpha]), np.array([beta])))
    return log_odds[0], shares[0]


# Tails are cut where they hold exp(-20) = 2e-9 of a distribution.
@pytest.mark.parametrize("shapes", SHAPES)
def test_moments(shapes):
    log_odds, shares = nodes(*shapes)
    unit = stats.beta(*shapes)
    assert shares @ expit(log_odds) == pytest.approx(unit.mean(), rel=2e-7)
    assert shares @ expit(-log_odds) == pytest.approx(1 - unit.mean(), rel=2e-7)
    assert shares @ expit(log_odds) ** 2 == pytest.approx(unit.var() + unit.mean() ** 2, rel=1e-6)


@pytest.mark.parametrize("shapes", SHAPES)
def test_equal_units_are_the_higher_half_the_time(shapes):
    log_odds, shares = nodes(*shapes)
    below = below_log_odds(*(np.array([[shape]]) for shape in shapes), log_odds[None])[0]
    assert shares @ below == pytest.approx(0.5, abs=5e-9)


@pytest.mark.parametrize("shapes", [(0.01, 20.0), (20.0, 0.01), (3.0, 4.0)])
@pytest.mark.parametrize("log_odds", [-2000.0, -650.0, -30.0, -1.0, 0.5, 40.0, 650.0])
def test_distribution_functions_beyond_the_floating_type(shapes, log_odds):
    found = below_log_odds(*(np.array([[x]]) for x in (*shapes, log_odds)))[0, 0]
    with mpmath.workdps(400):
        rate = 1 / (1 + mpmath.exp(-mpmath.mpf(log_odds)))
        small = mpmath.betainc(*shapes, 0, rate, regularized=True) if log_odds < 0 else 1 - (
            mpmath.betainc(*shapes[::-1], 0, 1 / (1 + mpmath.exp(log_odds)), regularized=True)
        )  # fmt: skip
    assert found == pytest.approx(float(small), rel=1e-12, abs=1e-300)


# The last number is the error in probability of the ends of intervals of differences: where both
# shapes are 0.01, the probability of a difference rises like a step, which no rule can follow.
CONTRASTS = [
    ((0.0, 10.0), (1.0, 30.0), 1e-5),
    ((2.0, 10.0), (0.0, 400.0), 1e-5),
    ((0.0, 10.0), (0.0, 5.0), 3e-3),
]


@pytest.mark.parametrize(("first_pair", "second_pair", "atol"), CONTRASTS)
def test_contrasts_of_rare_rates(first_pair, second_pair, atol):
    """At one point, by integrating over the other of the two units than the contrast does."""
    alpha, beta = 0.01, 20.0
    point = np.array([[np.log(alpha / beta), np.log(alpha + beta)]])
    mixture = Mixture(point, np.ones(1), np.zeros((1, 2)))
    found = contrast(FAMILY, mixture, first_pair, second_pair, 0.8)
    first, second = (stats.beta(alpha + y, beta + n - y) for y, n in (first_pair, second_pair))

    def over_first(function):
        """Of log-odds; nearly all of the rates may be too small for the floating type."""

        def integrand(z):
            a, b = first.args
            return function(z) * np.exp(a * z - (a + b) * np.logaddexp(0, z) - norm)

        norm = float(mpmath.log(mpmath.beta(*first.args)))
        parts = [-4000.0, -1000.0, -100.0, -20.0, -8.0, -6.0, -5.0, -4.0, -3.0, -2.0, 0.0, 20.0]
        return sum(
            integrate.quad(integrand, *ends, epsabs=1e-12, limit=200)[0]
            for ends in itertools.pairwise(parts)
        )

    def p_greater(z):
        return below_log_odds(*(np.array([[x]]) for x in (*second.args, z)))[0, 0]

    def loss(z):
        """E[max(second - t, 0)]."""
        t = expit(z)
        raised = stats.beta(second.args[0] + 1, second.args[1])
        return second.mean() * raised.sf(t) - t * second.sf(t)

    assert found.p_greater == pytest.approx(over_first(p_greater), abs=1e-8)
    assert found.expected_loss == pytest.approx(over_first(loss), rel=1e-6)
    assert found.difference_mean == pytest.approx(first.mean() - second.mean(), rel=1e-12)
    for end, level in ((found.difference_low, 0.1), (found.difference_high, 0.9)):
        if abs(end) > 1e-9:
            share = over_first(lambda z, end=end: second.sf(expit(z) - end))
            assert share == pytest.approx(level, abs=atol)
