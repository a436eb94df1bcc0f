"""Gamma distributions of rates on the host."""

import numpy as np
from jaxtyping import Float
from scipy.special import gammainc, gammaincc, gammaincinv, gammaln, xlogy

from hierjax.families.host_protocol import Shapes, Values

__all__ = ["HostGamma"]

# The exponential of more overflows; below this logarithm a lower tail is its first term.
_FAR, _LEADING = 600.0, -40.0


class HostGamma:
    """As `hierjax.families.host_protocol.OnHost` says, of shapes and rates."""

    widest = 1.0
    edges = (True, False)
    has_ratios = True
    nothing: tuple[float, float] = (0, 0.0)
    parameter_words = "rate of {value} in {size:.10g}"

    @staticmethod
    def shapes(points: Float[np.ndarray, "*points 2"], value: Values, size: Values) -> Shapes:
        """Gamma(shape + y, rate + e)."""
        u, w = np.moveaxis(points, -1, 0)
        return np.exp(u + w) + value, np.exp(w) + size

    @staticmethod
    def statistic(value: Values, size: Values) -> tuple[Values, Values]:
        """Events and exposure as they are."""
        return value, size

    @staticmethod
    def raw(value: Values, size: Values) -> Values:
        """y / e, NaN without exposure."""
        return np.divide(value, size, out=np.full(len(size), np.nan), where=size > 0)

    @staticmethod
    def outcomes_within(size: float) -> tuple[float, float]:
        """From 0."""
        return 0.0, np.inf

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
        """Any events."""
        return value > 0

    @staticmethod
    def baselines(value: Values, size: Values, weights: Values) -> tuple[Shapes, Shapes]:
        """Exponential, and what the other units leave of a flat prior."""
        events, exposure = ((weights @ x) - weights * x for x in (value, size))
        log_mean = np.log1p(events) - np.log(exposure)
        return (log_mean, np.exp(log_mean)), (log_mean, 1 / exposure)

    @staticmethod
    def quantile(shapes: Shapes, level: Values) -> Values:
        """Rates below which the parameter falls with given probabilities."""
        return gammaincinv(shapes[0], level) / shapes[1]

    @staticmethod
    def alone(value: Values, size: Values) -> Shapes:
        """Of a unit by itself, under Jeffreys's density lambda^(-1/2)."""
        return value + 0.5, size

    @staticmethod
    def flat(value: Values, size: Values) -> Shapes:
        """Likelihood as a density: Gamma(y + 1, e)."""
        return value + 1, size

    @staticmethod
    def density(shapes: Shapes, rate: Values) -> Values:
        """Of the rate."""
        shape, per = shapes
        return np.exp(xlogy(shape, per) + xlogy(shape - 1, rate) - per * rate - gammaln(shape))

    @staticmethod
    def mean(shapes: Shapes) -> Values:
        """Mean rate."""
        return shapes[0] / shapes[1]

    @staticmethod
    def variance(shapes: Shapes) -> Values:
        """Variance of the rate."""
        return shapes[0] / shapes[1] ** 2

    @staticmethod
    def precision(shapes: Shapes) -> Values:
        """The Gamma's own rate."""
        return shapes[1]

    @staticmethod
    def widened(shapes: Shapes, factor: Values) -> Shapes:
        """Both divided."""
        return shapes[0] / factor, shapes[1] / factor

    @staticmethod
    def place(shapes: Shapes) -> Values:
        """Logarithm of the mean."""
        return np.log(shapes[0]) - np.log(shapes[1])

    @staticmethod
    def middle(shapes: Shapes) -> Values:
        """Where the tail of a small shape begins."""
        return np.log(shapes[0] + 0.5) - np.log(shapes[1])

    @staticmethod
    def width(shapes: Shapes) -> Values:
        """Of the logarithm."""
        return 1 / np.sqrt(shapes[0])

    @staticmethod
    def narrowest(concentration: float, first: Values, value: Values, size: Values) -> float:
        """1 / sqrt(shape + y) of the largest."""
        return float(1 / np.sqrt(np.exp(first.max()) * concentration + value.max()))

    @staticmethod
    def tails(shapes: Shapes) -> tuple[Values, Values]:
        """exp(shape z) to the left; to the right there is none."""
        return shapes[0], np.full_like(shapes[0], np.inf)

    @staticmethod
    def lean(shapes: Shapes, center: Values) -> Values:
        """The shape, less what the rate at the center makes of it."""
        return shapes[0] - shapes[1] * np.exp(center)

    @staticmethod
    def bend(center: Values, place: Values) -> Values:
        """exp(z) - exp(z0) - exp(z0) (z - z0)."""
        distance = place - center
        return np.exp(center) * (np.expm1(np.minimum(distance, _FAR)) - distance)

    @staticmethod
    def below(shapes: Shapes, place: Values) -> Values:
        """P(rate < exp(z)), also where the exponential is not a number."""
        log_scaled = np.log(shapes[1]) + place
        inside = gammainc(shapes[0], np.exp(np.clip(log_scaled, _LEADING, _FAR)))
        leading = shapes[0] * np.minimum(log_scaled, _LEADING) - gammaln(shapes[0] + 1)
        return np.where(log_scaled < _LEADING, np.exp(leading), inside)

    @staticmethod
    def above(shapes: Shapes, place: Values) -> Values:
        """P(rate > exp(z)), with the digits of small probabilities."""
        log_scaled = np.log(shapes[1]) + place
        inside = gammaincc(shapes[0], np.exp(np.clip(log_scaled, _LEADING, _FAR)))
        leading = shapes[0] * np.minimum(log_scaled, _LEADING) - gammaln(shapes[0] + 1)
        return np.where(log_scaled < _LEADING, -np.expm1(leading), inside)

    @staticmethod
    def excess(shapes: Shapes, place: Values) -> Values:
        """c F(c) - E[lambda; lambda < c]."""
        (shape, rate), threshold = shapes, np.exp(place)
        scaled = rate * threshold
        return threshold * gammainc(shape, scaled) - shape / rate * gammainc(shape + 1, scaled)

    @staticmethod
    def parameter_at(place: Values) -> Values:
        """The rate."""
        return np.exp(place)

    @staticmethod
    def place_of(rate: Values) -> Values:
        """Its logarithm."""
        return np.log(rate)

    @staticmethod
    def slopes(place: Values) -> tuple[Values, Values, Values, Values]:
        """The exponential is its own derivative."""
        rate = np.exp(place)
        return rate, rate, rate, rate

    @staticmethod
    def log_slope(place: Values) -> Values:
        """The place itself."""
        return place

    @staticmethod
    def held(place: Values) -> tuple[Values, ...]:
        """Rate and logarithm."""
        return np.exp(place), place

    @staticmethod
    def shifted(held: tuple[Values, ...], difference: Values) -> Values:
        """Logarithm of a rate plus a difference."""
        moved = held[0] + difference
        return np.log(moved, out=np.full_like(moved, -np.inf), where=moved > 0)

    @staticmethod
    def scaled(held: tuple[Values, ...], log_ratio: Values) -> Values:
        """Logarithm of a rate times a factor."""
        return held[1] + log_ratio

    @staticmethod
    def moved(
        points: Float[np.ndarray, "*points 2"], value: Values, size: Values
    ) -> tuple[Values, Values]:
        """Derivatives of the logarithm of a posterior's mean."""
        u, w = np.moveaxis(points, -1, 0)
        m, phi = np.exp(u), np.exp(-w)
        mean = m + value * phi
        return m / mean, -phi * (value - size * m) / (mean * (1 + size * phi))

    @staticmethod
    def draw(generator: np.random.Generator, shapes: Shapes) -> Values:
        """Rates."""
        return generator.standard_gamma(shapes[0]) / shapes[1]

    @staticmethod
    def observe(generator: np.random.Generator, rate: Values, exposure: Values) -> Values:
        """Events."""
        return generator.poisson(exposure * rate)

    @staticmethod
    def log_scale(place: Values) -> Values:
        """A dispersion is relative to the mean rate: 1 / shape is a pure number."""
        return place

    @staticmethod
    def outcomes(shapes: Shapes, size: int) -> Values:
        """There is no largest count."""
        raise NotImplementedError("events have no largest number")

    @staticmethod
    def shown(events: int, exposure: Values) -> Shapes:
        """Gamma(k + 1, e)."""
        return np.array([events + 1.0]), np.array([float(exposure)])

    @staticmethod
    def at_most(events: int, exposure: Values, place: Values) -> Values:
        """Poisson distribution function."""
        return gammaincc(events + 1.0, exposure * np.exp(np.minimum(place, _FAR)))

    @staticmethod
    def noise(mean: Values, variance: Values, exposure: Values) -> tuple[Values, Values]:
        """e E[lambda], and e E[lambda] + e^2 Var[lambda]."""
        return exposure * mean, exposure * mean + exposure**2 * variance
