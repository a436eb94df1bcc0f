"""Gradients of incomplete beta functions against mpmath."""

import mpmath
import numpy as np
import pytest
from scipy.special import logit

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.units.effects import _above_gradients


@pytest.mark.parametrize(
    ("eta", "pair", "rate"),
    [
        ((-1.8, 2.7), (4, 14), 0.21),
        ((-1.8, 2.7), (4, 14), 0.7),
        ((0.3, 6.0), (30, 100), 0.55),
        ((-6.0, -1.0), (0, 20), 1e-5),
    ],
)
def test_gradients_of_a_tail_are_those_of_mpmath(eta, pair, rate):
    y, n = pair

    def above(u, w):
        m = 1 / (1 + mpmath.exp(-u))
        alpha, beta = mpmath.exp(w) * m + y, mpmath.exp(w) * (1 - m) + n - y
        return mpmath.betainc(alpha, beta, rate, 1, regularized=True)

    with mpmath.workdps(30):
        point = tuple(map(mpmath.mpf, eta))
        expected = [float(mpmath.diff(above, point, order)) for order in ((1, 0), (0, 1))]
    found = _above_gradients(BetaBinomial.on_host, np.array([eta]), pair, logit(np.array([rate])))[
        0, 0
    ]
    # Steps of a fiftieth of the width leave 1e-11 in the bulk; 0.7 is six widths out in the tail,
    # where a probability falls within a sixth of one: 6^6 times as much at most.
    np.testing.assert_allclose(found, expected, rtol=1e-7)
