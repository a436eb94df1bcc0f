"""Published tables of every family but the first, under priors with known answers."""

from functools import cache

import numpy as np
import numpyro.distributions as dist
from scipy.special import gammaln, logsumexp
from scipy.stats import cauchy, gamma, norm

import hierjax as hj
from hierjax.families import FAMILIES
from hierjax.hyperpriors import MeanScale, ShapeRate
from hierjax.measurements import Measurements
from hierjax.poisson_events import Events

# Gaver & O'Muircheartaigh (1987), "Robust empirical Bayes analyses of event rates": the pumps of
# BUGS' examples, failures and thousands of hours.
PUMPS = Events(
    [5, 1, 5, 14, 3, 19, 1, 1, 4, 22], [94.3, 15.7, 62.9, 126, 5.24, 31.4, 1.05, 1.05, 2.1, 10.5]
)
# Rubin (1981), "Estimation in parallel randomized experiments", table 1.
SCHOOLS = Measurements(
    [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0], [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]
)
# Whose effects differ by more than their standard errors.
APART = Measurements(SCHOOLS.values * 4, SCHOOLS.sizes)

PUMPS_MODEL = hj.Model(
    FAMILIES["gamma_poisson"], ShapeRate(dist.Exponential(1.0), dist.Gamma(0.1, 1.0))
)
SCHOOLS_MODEL = hj.Model(
    FAMILIES["normal_normal"], MeanScale(dist.Normal(0.0, 5.0), dist.HalfCauchy(5.0))
)
CASES = {
    "gamma_poisson": (PUMPS, PUMPS_MODEL),
    "normal_normal": (SCHOOLS, SCHOOLS_MODEL),
}


class Brute:
    """Sums over a uniform grid of SciPy's densities."""

    def __init__(self, log_density, first, second):
        grids = [np.arange(*each) for each in (first, second)]
        self.first, self.second = np.meshgrid(*grids, indexing="ij")
        values = log_density(self.first, self.second)
        total = logsumexp(values)
        self.log_evidence = total + np.log(first[2] * second[2])
        self.weights = np.exp(values - total)

    def mean(self, values):
        return float(np.sum(self.weights * values))

    def sd(self, values):
        return np.sqrt(self.mean(values**2) - self.mean(values) ** 2)


def negative_binomial(shape, rate, data=PUMPS):
    """Log-marginal of all units, by SciPy's log-gammas."""
    total = np.zeros(np.broadcast_shapes(np.shape(shape), np.shape(rate)))
    for y, e in zip(data.values, data.sizes, strict=True):
        each = gammaln(shape + y) - gammaln(shape) - gammaln(y + 1)
        total += each + shape * np.log(rate / (rate + e)) + y * np.log(e / (rate + e))
    return total


@cache
def brute_pumps():
    """By log shape and log rate, with the Jacobian of both."""

    def log_density(log_shape, log_rate):
        shape, rate = np.exp(log_shape), np.exp(log_rate)
        prior = -shape + gamma(0.1).logpdf(rate)
        return negative_binomial(shape, rate) + prior + log_shape + log_rate

    return Brute(log_density, (-9.0, 4.0, 0.04), (-20.0, 4.5, 0.04))


@cache
def brute_schools():
    """By mu and log tau, with the Jacobian of the latter."""

    def log_density(mu, log_tau):
        tau = np.exp(log_tau)
        prior = norm(0, 5).logpdf(mu) + np.log(2) + cauchy(0, 5).logpdf(tau)
        units = zip(SCHOOLS.values, SCHOOLS.sizes, strict=True)
        marginal = sum(norm(mu, np.hypot(s, tau)).logpdf(y) for y, s in units)
        return marginal + prior + log_tau

    return Brute(log_density, (-35.0, 45.0, 0.4), (-24.0, 9.0, 0.05))
