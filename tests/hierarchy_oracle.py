"""The hierarchy's posterior by SciPy on a plain uniform grid: slow, simple and independent."""

from functools import cached_property

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.optimize import brentq
from scipy.special import betainc, betaln, comb, expit, gammaln, logsumexp


def log_marginal(logit_mean, log_concentration, successes, trials):
    """Log-probability of all counts, by log-beta functions of each."""
    concentration = np.exp(log_concentration)
    alpha = (expit(logit_mean) * concentration)[..., None]
    beta = (expit(-logit_mean) * concentration)[..., None]
    y, n = np.asarray(successes, float), np.asarray(trials, float)
    coefficient = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    return np.sum(coefficient + betaln(alpha + y, beta + n - y) - betaln(alpha, beta), axis=-1)


def log_power_law(logit_mean, log_concentration):
    """(alpha + beta)^(-5/2) on the working coordinates: times alpha beta."""
    log_mean_variance = np.log(expit(logit_mean)) + np.log(expit(-logit_mean))
    return -0.5 * log_concentration + log_mean_variance


def _log_rising(start, most):
    """Logarithms of 1, a, a (a + 1), ... up to `most` factors."""
    table = np.zeros((most + 1, *start.shape))
    for k in range(most):
        table[k + 1] = table[k] + np.log(start + k)
    return table


class Grid:
    """A posterior on a uniform grid of (logit_mean, log_concentration).

    A trapezoidal sum of a smooth function that vanishes at the ends errs by
    exp(-2 pi^2 (sd/step)^2): with steps of at most a third of a standard deviation, below 1e-70.
    What is cut off at the right has a mass of exp(-w/2).

    Args:
        successes: Of every unit.
        trials: Likewise.
        logit_mean: First and last node, and the step.
        log_concentration: Likewise.
        log_hyperprior: Log-density on the working coordinates.
    """

    def __init__(
        self, successes, trials, logit_mean, log_concentration, log_hyperprior=log_power_law
    ):
        self.u, self.w = (
            np.arange(first, last + step / 2, step)
            for first, last, step in (logit_mean, log_concentration)
        )
        u, w = np.meshgrid(self.u, self.w, indexing="ij")
        self.alpha, self.beta = expit(u) * np.exp(w), expit(-u) * np.exp(w)
        log_density = log_hyperprior(u, w) + self._log_marginal(successes, trials)
        total = logsumexp(log_density)
        self.log_evidence = total + np.log(logit_mean[2] * log_concentration[2])
        self.weights = np.exp(log_density - total)

    def _log_marginal(self, successes, trials):
        """By rising factorials, because log-betas cancel where the concentration is large."""
        pairs, times = np.unique(np.stack([successes, trials]), axis=1, return_counts=True)
        alpha, beta, both = (
            _log_rising(shape, pairs[1].max())
            for shape in (self.alpha, self.beta, self.alpha + self.beta)
        )
        return sum(
            number * (np.log(comb(n, y)) + alpha[y] + beta[n - y] - both[n])
            for y, n, number in zip(*pairs, times, strict=True)
        )

    def mean(self, values):
        return float(np.sum(self.weights * values))

    @cached_property
    def marginals(self):
        return {
            "logit_mean": (self.u, self.weights.sum(axis=1)),
            "log_concentration": (self.w, self.weights.sum(axis=0)),
        }

    def distribution(self, name):
        """Cumulative distribution of a working coordinate, by a spline of its density."""
        nodes, mass = self.marginals[name]
        spline = make_interp_spline(nodes, mass / (nodes[1] - nodes[0]), k=7).antiderivative()
        return lambda value: spline(np.clip(value, nodes[0], nodes[-1])) - spline(nodes[0])

    def quantile(self, name, level):
        nodes, _ = self.marginals[name]
        cumulative = self.distribution(name)
        return brentq(lambda x: cumulative(x) - level, nodes[0], nodes[-1], xtol=1e-14)

    def shape_quantile(self, name, level):
        """Quantile of alpha or beta: along each column of the grid a monotone function of w."""
        step = self.w[1] - self.w[0]
        columns = [make_interp_spline(self.w, row / step, k=7) for row in self.weights]
        integrals = [column.antiderivative() for column in columns]
        sign = 1.0 if name == "alpha" else -1.0
        log_share = np.log(expit(sign * self.u))

        def below(log_value):
            ends = np.clip(log_value - log_share, self.w[0], self.w[-1])
            return sum(f(end) - f(self.w[0]) for f, end in zip(integrals, ends, strict=True))

        return np.exp(brentq(lambda x: below(x) - level, -5.0, 10.0, xtol=1e-13))

    def rate_mean(self, successes, trials):
        return self.mean((self.alpha + successes) / (self.alpha + self.beta + trials))

    def rate_sd(self, successes, trials):
        a, b = self.alpha + successes, self.beta + trials - successes
        second = self.mean(a * (a + 1) / ((a + b) * (a + b + 1)))
        return np.sqrt(second - self.rate_mean(successes, trials) ** 2)

    def rate_quantile(self, successes, trials, level):
        kept = self.weights > 1e-16
        weights = self.weights[kept]
        a, b = self.alpha[kept] + successes, self.beta[kept] + trials - successes
        return brentq(lambda x: weights @ betainc(a, b, x) - level, 1e-9, 1 - 1e-9, xtol=1e-13)


RATS_LOGIT_MEAN, RATS_LOG_CONCENTRATION = (-3.2, -0.6, 0.02), (0.0, 60.0, 0.05)


def rats_grid(counts):
    return Grid(counts.successes, counts.trials, RATS_LOGIT_MEAN, RATS_LOG_CONCENTRATION)


class StepwiseGrid:
    """P(rate < c) where a unit's posterior is a step in the hyperparameters.

    Every row of log-concentrations is integrated by Gauss and Legendre's rule in pieces, finest
    around the logit-mean at which the unit's posterior crosses c.

    Args:
        successes: Of every unit.
        trials: Likewise.
        logit_mean: Ends of the range, which is cut into twelve pieces.
        log_concentration: First and last row, and their distance.
    """

    def __init__(self, successes, trials, logit_mean, log_concentration):
        self.nodes, self.shares = np.polynomial.legendre.leggauss(32)
        first, last, step = log_concentration
        self.ends, self.w = np.linspace(*logit_mean, 13), np.arange(first, last, step)
        pairs = np.unique(np.stack([successes, trials]), axis=1, return_counts=True)
        self.pairs, self.times = pairs
        middle = logit_mean[0] + np.ptp(logit_mean) / 2
        self.peak = max(self._log_density(np.array([middle]), w)[0] for w in self.w)
        self.total = sum(self._integral(w, self.ends, np.ones_like) for w in self.w)

    def _log_density(self, u, w):
        alpha, beta = expit(u) * np.exp(w), expit(-u) * np.exp(w)
        most = self.pairs[1].max()
        rising = [_log_rising(shape, most) for shape in (alpha, beta, np.exp(np.array([w])))]
        total = log_power_law(u, w)
        for y, n, number in zip(*self.pairs, self.times, strict=True):
            total = total + number * (rising[0][y] + rising[1][n - y] - rising[2][n])
        return total

    def _integral(self, w, ends, values):
        ends = np.unique(np.clip(ends, self.ends[0], self.ends[-1]))
        middle, half = (ends[1:] + ends[:-1]) / 2, (ends[1:] - ends[:-1]) / 2
        u = (middle[:, None] + half[:, None] * self.nodes).ravel()
        mass = (half[:, None] * self.shares).ravel() * np.exp(self._log_density(u, w) - self.peak)
        return np.sum(mass * values(u))

    def below(self, rate, y, n):
        total = 0.0
        for w in self.w:
            concentration, ends = np.exp(w), self.ends
            crossing = (rate * (concentration + n) - y) / concentration
            if 0 < crossing < 1:
                spread = np.sqrt(rate * (1 - rate) * (concentration + n)) / concentration
                around = np.array([-12, -6, -3, 0, 3, 6, 12]) * spread / crossing / (1 - crossing)
                ends = np.concatenate([ends, np.log(crossing / (1 - crossing)) + around])

            def unit_below(u, w=w, concentration=concentration):
                # Beyond, the incomplete beta function of SciPy is no longer right.
                if w > 32:
                    return (expit(u) < rate).astype(float)
                alpha, beta = concentration * expit(u), concentration * expit(-u)
                return betainc(alpha + y, beta + n - y, rate)

            total += self._integral(w, ends, unit_below)
        return total / self.total
