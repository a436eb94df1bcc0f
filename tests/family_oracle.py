"""Every family's answers by SciPy: mixtures over all points, without the package's densities."""

from typing import NamedTuple

import numpy as np
from scipy import optimize, stats
from scipy.special import expit

from hierjax.posterior import HyperPosterior


class Example(NamedTuple):
    """Data of a few units, units to ask about, and where the posterior of them is."""

    values: np.ndarray
    sizes: np.ndarray
    asked: tuple  # Pairs: of the data, new, without data, and of a huge and a tiny size.
    center: tuple  # About the posterior's mean in both coordinates.
    spread: tuple  # And its standard deviations.
    thresholds: tuple
    new_size: float


EXAMPLES = {
    "beta_binomial": Example(
        np.array([0, 1, 3, 2, 9, 5, 0, 4]),
        np.array([20, 20, 22, 9, 24, 30, 14, 17]),
        ((0, 20), (9, 24), (4, 14), (0, 0), (40_000, 200_000), (1, 1)),
        (-1.7, 2.0),
        (0.3, 1.0),
        (0.05, 0.2, 0.5),
        25,
    ),
    "gamma_poisson": Example(
        np.array([5, 1, 5, 14, 3, 19, 1, 1, 4, 22]),
        np.array([94.3, 15.7, 62.9, 126.0, 5.24, 31.4, 1.05, 1.05, 2.1, 10.5]),
        ((5, 94.3), (22, 10.5), (4, 2.5), (0, 0.0), (300_000, 1e6), (0, 1e-4), (2, 1e-3)),
        (-0.4, 0.2),
        (0.35, 0.6),
        (0.05, 0.5, 3.0),
        6.5,
    ),
    "normal_normal": Example(
        np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]),
        np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]),
        ((28.0, 15.0), (-3.0, 16.0), (40.0, 5.0), (0.0, np.inf), (9.0, 0.01), (100.0, 1e4)),
        (7.5, -3.8),
        (5.0, 1.3),
        (-5.0, 0.0, 12.0),
        10.0,
    ),
}
_ROWS, _COLUMNS = 121, 41


def log_marginal(name, value, size, u, w):
    """SciPy's log-marginals of one unit at many points.

    Beyond a log-concentration of 18 SciPy's functions of large shapes lose their digits; complete
    pooling is as good there as 1e-6 for the counts of these examples.
    """
    near = np.minimum(w, 18.0)
    if name == "beta_binomial":
        apart = stats.betabinom.logpmf(
            value, size, np.exp(near) * expit(u), np.exp(near) * expit(-u)
        )
        return np.where(w > near, stats.binom.logpmf(value, size, expit(u)), apart)
    if name == "gamma_poisson":
        share = np.exp(near) / (np.exp(near) + size)
        apart = stats.nbinom.logpmf(value, np.exp(u + near), share)
        return np.where(w > near, stats.poisson.logpmf(value, size * np.exp(u)), apart)
    return stats.norm.logpdf(value, u, np.sqrt(size**2 + np.exp(-w)))


def lattice(name, reach=6.0):
    """A posterior on a lattice such as quadrature's, under normal hyperpriors of u and w."""
    example = EXAMPLES[name]
    (center, level), (sd, spread) = example.center, example.spread
    w = level + spread * np.linspace(-4.5, 4.5, _ROWS)[:, None]
    hidden = np.linspace(-1, 1, _COLUMNS)
    # The farther from complete pooling, the less is known of the mean.
    width = sd * np.sqrt(1 + np.exp(level - w)) / np.sqrt(2)
    u = center + width * np.sinh(2 * hidden) / np.sinh(2) * reach
    slope = width * np.cosh(2 * hidden)
    logs = np.sum(
        [
            log_marginal(name, y, n, u, w)
            for y, n in zip(example.values, example.sizes, strict=True)
        ],
        axis=0,
    )
    logs += stats.norm.logpdf(u, center, 3 * sd) + stats.norm.logpdf(w, level, spread)
    weights = np.exp(logs - logs.max()) * slope
    points = np.stack(np.broadcast_arrays(u, w), axis=-1)
    return HyperPosterior(points, weights / weights.sum())


class Unit:
    """A unit's posterior: a mixture of SciPy's distributions over every point."""

    def __init__(self, name, posterior, pair):
        self.name, (y, n) = name, pair
        u, w = posterior.points.reshape(-1, 2).T
        self.weights = posterior.weights.ravel()
        if name == "beta_binomial":
            self.each = stats.beta(np.exp(w) * expit(u) + y, np.exp(w) * expit(-u) + n - y)
        elif name == "gamma_poisson":
            self.each = stats.gamma(np.exp(u + w) + y, scale=1 / (np.exp(w) + n))
        else:
            phi = np.exp(-w)
            share = phi / (n**2 + phi)
            self.each = stats.norm(u + share * (y - u), np.sqrt(phi * (1 - share)))
        if name == "normal_normal":
            self.shrinkage = self.weights @ (1 / (1 + np.exp(-w) / n**2))
        else:
            self.shrinkage = self.weights @ (np.exp(w) / (np.exp(w) + n))

    @property
    def mean(self):
        return self.weights @ self.each.mean()

    @property
    def sd(self):
        return np.sqrt(self.weights @ (self.each.var() + (self.each.mean() - self.mean) ** 2))

    def cdf(self, c):
        return self.weights @ self.each.cdf(c)

    def sf(self, c):
        return self.weights @ self.each.sf(c)

    def pdf(self, c):
        return self.weights @ self.each.pdf(c)

    def quantile(self, level):
        ends = self.each.ppf(level)[self.weights > 0]
        return optimize.brentq(
            lambda c: self.cdf(c) - level, ends.min(), ends.max(), xtol=1e-300, rtol=1e-14
        )

    def next_pmf(self, k, size):
        """Probability, or density, of a next value."""
        if self.name == "beta_binomial":
            return self.weights @ self._next_successes("pmf", k, size)
        if self.name == "gamma_poisson":
            (a,), rate = self.each.args, 1 / self.each.kwds["scale"]
            return self.weights @ stats.nbinom.pmf(k, a, rate / (rate + size))
        mean, sd = self.each.args
        return self.weights @ stats.norm.pdf(k, mean, np.hypot(sd, size))

    def _next_successes(self, of, k, size):
        """SciPy's functions of the number of successes, as in `log_marginal`."""
        a, b = self.each.args
        kept = np.minimum(1.0, np.exp(18.0) / (a + b))
        apart = getattr(stats.betabinom, of)(k, size, kept * a, kept * b)
        return np.where(kept < 1, getattr(stats.binom, of)(k, size, a / (a + b)), apart)

    def next_cdf(self, k, size):
        if self.name == "beta_binomial":
            return self.weights @ self._next_successes("cdf", k, size)
        if self.name == "gamma_poisson":
            (a,), rate = self.each.args, 1 / self.each.kwds["scale"]
            return self.weights @ stats.nbinom.cdf(k, a, rate / (rate + size))
        mean, sd = self.each.args
        return self.weights @ stats.norm.cdf(k, mean, np.hypot(sd, size))


class Pair:
    """Two units' joint posterior: nodes of the second at every point, in normal scores.

    Args:
        first: Unit a.
        second: Unit b.
        nodes: Number of nodes.
    """

    def __init__(self, first, second, nodes=160):
        x, share = np.polynomial.legendre.leggauss(nodes)
        self.first, self.kept = first, np.flatnonzero(first.weights > 1e-12)
        self.shares = 8 * share * stats.norm.pdf(8 * x)
        self.values = [second.each.ppf(p)[self.kept] for p in stats.norm.cdf(8 * x)]

    def expectation(self, of):
        """E[of(a's distributions, b)], of given values of b, one a point."""
        frozen = self.first.each
        each = frozen.dist(
            *(np.broadcast_to(x, self.first.weights.size)[self.kept] for x in frozen.args),
            **{name: x[self.kept] for name, x in frozen.kwds.items()},
        )
        weights = self.first.weights[self.kept]
        parts = [s * (weights @ of(each, v)) for s, v in zip(self.shares, self.values, strict=True)]
        return sum(parts)
