"""Contrasts of two units: which rate is higher, by how much, and what a wrong choice costs.

Units share the hyperparameters and are independent given them, so every probability is an average
over points of the mixture of an integral over one rate of the other's distribution function.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import betainc, expit, ndtri

from hierjax.units.mixture import Mixture
from hierjax.units.nodes import below_log_odds, beta_nodes

__all__ = ["Contrast", "contrast"]

# Logarithms of ratios that are looked at; accuracy of interval ends, and the first step towards
# them, in standard deviations.
_LOGS, _TOLERANCE, _FIRST_STEP = 700.0, 1e-9, 0.2


class Contrast(NamedTuple):
    """Unit a against unit b.

    Attributes:
        p_greater: P(theta_a > theta_b).
        difference_mean: E[theta_a - theta_b].
        difference_low: Lower end of the interval of theta_a - theta_b.
        difference_high: Upper end.
        ratio_low: Lower end of the interval of theta_a / theta_b.
        ratio_high: Upper end.
        expected_loss: E[max(theta_b - theta_a, 0)], what choosing a is expected to cost.
    """

    p_greater: float
    difference_mean: float
    difference_low: float
    difference_high: float
    ratio_low: float
    ratio_high: float
    expected_loss: float


class _Joint(NamedTuple):
    """Both units at every point: nodes of one's rate, and shapes of the other's Beta.

    Integration is over the narrower unit, over whose nodes the other's function is smooth.
    """

    weights: Float[np.ndarray, "points nodes"]
    rates: Float[np.ndarray, "points nodes"]
    alpha: Float[np.ndarray, "points 1"]
    beta: Float[np.ndarray, "points 1"]

    def below(self, rates: Float[np.ndarray, "points nodes"]) -> float:
        """P(other's rate < a function of this one's), given its values at the nodes."""
        inside = np.clip(rates, 0.0, 1.0)
        return float(np.sum(self.weights * betainc(self.alpha, self.beta, inside)))

    def mean_excess(self) -> float:
        """E[max(this rate - other rate, 0)]."""
        mean = self.alpha / (self.alpha + self.beta)
        below = betainc(self.alpha, self.beta, self.rates)
        partial = mean * betainc(self.alpha + 1, self.beta, self.rates)
        return float(np.sum(self.weights * (self.rates * below - partial)))


def contrast(
    mixture: Mixture, first: Sequence[float], second: Sequence[float], level: float
) -> Contrast:
    r"""Compares the rates of two units.

    .. math:: P(\theta_a - \theta_b < d) = \sum_s w_s \int P(\theta_a < t + d \mid s)\,
        p(\theta_b = t \mid s)\, dt

    Args:
        mixture: Points of the hyperparameters.
        first: Successes and trials of unit a.
        second: Of unit b.
        level: Probability of the equal-tailed intervals.

    Returns:
        The contrast.
    """
    kept = mixture.weights > 0
    weights, (u, w) = mixture.weights[kept], mixture.points[kept].T
    concentration = np.exp(w)
    alpha = [concentration / (1 + np.exp(-u)) + y for y, _ in (first, second)]
    beta = [concentration / (1 + np.exp(u)) + n - y for y, n in (first, second)]
    means = [weights @ (a / (a + b)) for a, b in zip(alpha, beta, strict=True)]
    spreads = [
        weights @ (a * b / ((a + b) ** 2 * (a + b + 1))) for a, b in zip(alpha, beta, strict=True)
    ]
    if spreads[0] < spreads[1]:
        # As unit b against unit a, turned around.
        found = contrast(mixture, second, first, level)
        return Contrast(
            1 - found.p_greater,
            -found.difference_mean,
            -found.difference_high,
            -found.difference_low,
            1 / found.ratio_high,
            1 / found.ratio_low if found.ratio_low else np.inf,
            found.expected_loss + found.difference_mean,
        )
    log_odds, shares = beta_nodes(alpha[1], beta[1])
    rates = expit(log_odds)
    joint = _Joint(weights[:, None] * shares, rates, alpha[0][:, None], beta[0][:, None])
    below = below_log_odds(joint.alpha, joint.beta, log_odds)
    tails = ((1 - level) / 2, (1 + level) / 2)
    spread = math.sqrt(spreads[0] + spreads[1])
    relative = math.sqrt(sum(s / m**2 for s, m in zip(spreads, means, strict=True)))
    difference, log_ratio = means[0] - means[1], math.log(means[0] / means[1])
    difference_low, difference_high = (
        _root(lambda d: joint.below(rates + d), tail, (difference, spread), 1.0) for tail in tails
    )
    ratio_low, ratio_high = (
        math.exp(
            _root(lambda r: joint.below(rates * math.exp(r)), tail, (log_ratio, relative), _LOGS)
        )
        for tail in tails
    )
    return Contrast(
        1 - float(np.sum(joint.weights * below)),
        float(difference),
        difference_low,
        difference_high,
        ratio_low,
        ratio_high,
        joint.mean_excess(),
    )


def _root(
    function: Callable[[float], float], level: float, guess: tuple[float, float], limit: float
) -> float:
    """Where a rising function reaches a level, from the normal distribution it would be close to.

    Beyond the limits the answer is the limit.
    """
    from scipy.optimize import brentq

    mean, sd = guess
    place = min(max(mean + sd * float(ndtri(level)), -limit), limit)
    value, step = function(place) - level, _FIRST_STEP * sd
    while True:
        other = min(max(place - math.copysign(step, value), -limit), limit)
        there = function(other) - level
        if value * there <= 0:
            break
        if abs(other) >= limit:
            return other
        place, value, step = other, there, 3 * step
    if value == there:
        return place
    return float(brentq(lambda x: function(x) - level, place, other, xtol=_TOLERANCE * sd))
