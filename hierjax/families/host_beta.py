"""Beta distributions of rates on the host."""

import numpy as np
from jaxtyping import Float
from scipy.special import betainc, betaincc, betaincinv, betaln, expit, logit, xlog1py, xlogy

from hierjax.families.host_protocol import Shapes, Values

__all__ = ["HostBeta", "below_log_odds"]

# The exponential of more overflows.
_FAR = 600.0


def below_log_odds(alpha: Values, beta: Values, log_odds: Values) -> Values:
    """Distribution functions of Betas, also at rates that round to 0 or 1.

    Args:
        alpha: First shapes.
        beta: Second shapes.
        log_odds: Log-odds of rates.

    Returns:
        P(theta < rate).
    """
    below = np.where(
        log_odds < 0,
        betainc(alpha, beta, expit(log_odds)),
        betaincc(beta, alpha, expit(-log_odds)),
    )
    # So far out the tails are exponential to all digits.
    left = np.exp(alpha * np.minimum(log_odds, -_FAR) - np.log(alpha) - betaln(alpha, beta))
    right = np.exp(-beta * np.maximum(log_odds, _FAR) - np.log(beta) - betaln(alpha, beta))
    return np.where(log_odds < -_FAR, left, np.where(log_odds > _FAR, 1 - right, below))


class HostBeta:
    """As `hierjax.families.host_protocol.OnHost` says, of shapes alpha and beta."""

    widest = 1.0
    edges = (True, True)
    has_ratios = True
    parameter_words = "rate of {value} in {size}"
    nothing: tuple[float, float] = (0, 0)

    @staticmethod
    def shapes(points: Float[np.ndarray, "*points 2"], value: Values, size: Values) -> Shapes:
        """Beta(alpha + y, beta + n - y)."""
        u, w = np.moveaxis(points, -1, 0)
        return np.exp(w) * expit(u) + value, np.exp(w) * expit(-u) + (size - value)

    @staticmethod
    def statistic(value: Values, size: Values) -> tuple[Values, Values]:
        """Successes and trials as they are."""
        return value, size

    @staticmethod
    def raw(value: Values, size: Values) -> Values:
        """y / n, NaN without trials."""
        return np.divide(value, size, out=np.full(len(size), np.nan), where=size > 0)

    @staticmethod
    def outcomes_within(size: float) -> tuple[float, float]:
        """0 and n."""
        return 0.0, size

    @staticmethod
    def combined(
        value: Values, size: Values, place: np.ndarray, first: np.ndarray
    ) -> tuple[Values, Values]:
        """Both added up."""
        totals = []
        for column in (value, size):
            totals.append(np.zeros(len(first), column.dtype))
            np.add.at(totals[-1], place, column)
        return totals[0], totals[1]

    @staticmethod
    def informs(value: Values, size: Values) -> Values:
        """0 < y < n."""
        return (value > 0) & (value < size)

    @staticmethod
    def baselines(value: Values, size: Values, weights: Values) -> tuple[Shapes, Shapes]:
        """Both uniform on (0, 1), before the other units are seen."""
        others, rest = ((weights @ x) - weights * x for x in (value, size - value))
        zero = np.zeros(len(value))
        return (zero, zero + 0.5), (np.log1p(others) - np.log1p(rest), 1 / (2 + others + rest))

    @staticmethod
    def quantile(shapes: Shapes, level: Values) -> Values:
        """Rates below which the parameter falls with given probabilities."""
        return betaincinv(*shapes, level)

    @staticmethod
    def alone(value: Values, size: Values) -> Shapes:
        """Of a unit by itself, under Jeffreys's Beta(1/2, 1/2)."""
        return value + 0.5, size - value + 0.5

    @staticmethod
    def flat(value: Values, size: Values) -> Shapes:
        """Likelihood as a density: Beta(y + 1, n - y + 1)."""
        return value + 1, size - value + 1

    @staticmethod
    def density(shapes: Shapes, rate: Values) -> Values:
        """Of the rate."""
        alpha, beta = shapes
        logs = xlogy(alpha - 1, rate) + xlog1py(beta - 1, -rate)
        return np.exp(logs - betaln(alpha, beta))

    @staticmethod
    def mean(shapes: Shapes) -> Values:
        """Mean rate."""
        return shapes[0] / (shapes[0] + shapes[1])

    @staticmethod
    def variance(shapes: Shapes) -> Values:
        """Variance of the rate."""
        alpha, beta = shapes
        total = alpha + beta
        return alpha * beta / (total**2 * (total + 1))

    @staticmethod
    def precision(shapes: Shapes) -> Values:
        """The sum of both shapes."""
        return shapes[0] + shapes[1]

    @staticmethod
    def widened(shapes: Shapes, factor: Values) -> Shapes:
        """Both shapes divided."""
        return shapes[0] / factor, shapes[1] / factor

    @staticmethod
    def place(shapes: Shapes) -> Values:
        """Log-odds of the mean."""
        return np.log(shapes[0]) - np.log(shapes[1])

    @staticmethod
    def middle(shapes: Shapes) -> Values:
        """Where the tail of a small shape begins, not at the mode, which is far out in it."""
        return np.log((shapes[0] + 0.5) / (shapes[1] + 0.5))

    @staticmethod
    def width(shapes: Shapes) -> Values:
        """Of the log-odds."""
        return np.sqrt(1 / shapes[0] + 1 / shapes[1])

    @staticmethod
    def narrowest(concentration: float, first: Values, value: Values, size: Values) -> float:
        """2 / sqrt(alpha + beta + n) of the largest."""
        return float(2 / np.sqrt(concentration + size.max()))

    @staticmethod
    def tails(shapes: Shapes) -> tuple[Values, Values]:
        """exp(alpha z) to the left, exp(-beta z) to the right."""
        return shapes

    @staticmethod
    def lean(shapes: Shapes, center: Values) -> Values:
        """What the shapes are more, and less, than in proportion."""
        return shapes[0] * expit(-center) - shapes[1] * expit(center)

    @staticmethod
    def bend(center: Values, place: Values) -> Values:
        """log(1 + r (exp(z - z0) - 1)) - r (z - z0), with r the rate at z0."""
        distance, rate = place - center, expit(center)
        found = np.where(
            distance < _FAR,
            np.log1p(rate * np.expm1(np.minimum(distance, _FAR))),
            distance - np.logaddexp(0.0, -center),
        )
        found -= rate * distance
        return found

    @staticmethod
    def below(shapes: Shapes, place: Values) -> Values:
        """As `below_log_odds`."""
        return below_log_odds(*shapes, place)

    @staticmethod
    def above(shapes: Shapes, place: Values) -> Values:
        """The complement's own function keeps the digits of small probabilities."""
        return betainc(shapes[1], shapes[0], expit(-place))

    @staticmethod
    def excess(shapes: Shapes, place: Values) -> Values:
        """c F(c) - E[theta; theta < c]."""
        (alpha, beta), rate = shapes, expit(place)
        partial = alpha / (alpha + beta) * betainc(alpha + 1, beta, rate)
        return rate * betainc(alpha, beta, rate) - partial

    @staticmethod
    def parameter_at(place: Values) -> Values:
        """The rate."""
        return expit(place)

    @staticmethod
    def place_of(rate: Values) -> Values:
        """Log-odds."""
        return logit(rate)

    @staticmethod
    def slopes(place: Values) -> tuple[Values, Values, Values, Values]:
        """Derivatives of the logistic function."""
        rate, rest = expit(place), expit(-place)
        first, lean = rate * rest, rest - rate
        return rate, first, first * lean, first * (lean**2 - 2 * first)

    @staticmethod
    def log_slope(place: Values) -> Values:
        """log of theta (1 - theta)."""
        return -np.logaddexp(0, place) - np.logaddexp(0, -place)

    @staticmethod
    def held(place: Values) -> tuple[Values, ...]:
        """Rate, complement, and the rate's logarithm."""
        return expit(place), expit(-place), -np.logaddexp(0.0, -place)

    @staticmethod
    def shifted(held: tuple[Values, ...], difference: Values) -> Values:
        """Log-odds of a rate plus a difference."""
        return _log(held[0] + difference) - _log(held[1] - difference)

    @staticmethod
    def scaled(held: tuple[Values, ...], log_ratio: Values) -> Values:
        """Log-odds of a rate times a factor."""
        logs = held[2] + log_ratio
        return logs - _log(-np.expm1(logs))

    @staticmethod
    def moved(
        points: Float[np.ndarray, "*points 2"], value: Values, size: Values
    ) -> tuple[Values, Values]:
        """Derivatives of the log-odds of a posterior's mean."""
        u, w = np.moveaxis(points, -1, 0)
        m, c, phi = expit(u), expit(-u), np.exp(-w)
        failures = size - value
        product = (m + value * phi) * (c + failures * phi)
        along = phi * (value * c - failures * m)
        return m * c * (1 + size * phi) / product, -along / product

    @staticmethod
    def draw(generator: np.random.Generator, shapes: Shapes) -> Values:
        """Rates."""
        least = np.finfo(float).tiny
        return generator.beta(*(np.maximum(shape, least) for shape in shapes))

    @staticmethod
    def observe(generator: np.random.Generator, rate: Values, trials: Values) -> Values:
        """Successes."""
        return generator.binomial(trials, rate)

    @staticmethod
    def log_scale(place: Values) -> Values:
        """A dispersion is a pure number."""
        return np.zeros_like(place)

    @staticmethod
    def outcomes(shapes: Shapes, size: int) -> Values:
        """Beta-binomial probabilities of 0 to n, by the ratios of neighbours."""
        (alpha, beta), k = shapes, np.arange(size)
        ratios = np.log((size - k) / (k + 1.0)) + np.log(
            (alpha[:, None] + k) / (beta[:, None] + (size - 1 - k))
        )
        logs = np.pad(np.cumsum(ratios, axis=1), ((0, 0), (1, 0)))
        values = np.exp(logs - logs.max(axis=1, keepdims=True))
        return values / values.sum(axis=1, keepdims=True)

    @staticmethod
    def shown(successes: int, trials: Values) -> Shapes:
        """Beta(k + 1, n - k)."""
        return np.array([successes + 1.0]), np.array([float(trials - successes)])

    @staticmethod
    def at_most(successes: int, trials: Values, place: Values) -> Values:
        """Binomial distribution function."""
        return betainc(trials - successes, successes + 1, expit(-place))

    @staticmethod
    def noise(mean: Values, variance: Values, trials: Values) -> tuple[Values, Values]:
        """n E[theta], and n E[theta (1 - theta)] + n^2 Var[theta]."""
        spread = mean * (1 - mean) - variance
        return trials * mean, trials * spread + trials**2 * variance


def _log(values: Values) -> Values:
    """Logarithm; of nothing, or less, minus infinity."""
    return np.log(values, out=np.full_like(values, -np.inf), where=values > 0)
