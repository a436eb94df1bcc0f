"""Normal distributions of effects on the host."""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from hierjax.families.host_protocol import Shapes, Values

__all__ = ["HostNormal"]

_SQRT_2PI = np.sqrt(2 * np.pi)


class HostNormal:
    """As `hierjax.families.host_protocol.OnHost` says, of means and variances."""

    widest = np.inf
    edges = (False, False)
    has_ratios = False
    nothing: tuple[float, float] = (0.0, np.inf)
    parameter_words = "effect of {value:.10g} with error {size:.10g}"

    @staticmethod
    def shapes(points: Float[np.ndarray, "*points 2"], value: Values, size: Values) -> Shapes:
        """Mean and variance; an infinite error is no data."""
        mean, w = np.moveaxis(points, -1, 0)
        phi, noise = np.exp(-w), np.square(size)
        share, rest = phi / (noise + phi), 1 / (1 + phi / noise)
        away = value - mean
        # From whichever of the two is closer, so that neither is lost in the other.
        return np.where(share < 0.5, mean + share * away, value - rest * away), phi * rest

    @staticmethod
    def statistic(value: Values, size: Values) -> tuple[Values, Values]:
        """y / s^2 and 1 / s^2."""
        weight = 1 / np.square(size)
        return value * weight, weight

    @staticmethod
    def raw(value: Values, size: Values) -> Values:
        """y, NaN where the error is infinite."""
        return np.where(np.isfinite(size), value, np.nan)

    @staticmethod
    def outcomes_within(size: float) -> tuple[float, float]:
        """Anywhere."""
        return -np.inf, np.inf

    @staticmethod
    def combined(
        value: Values, size: Values, place: np.ndarray, first: np.ndarray
    ) -> tuple[Values, Values]:
        """Their mean, weighted by 1 / error^2, and its error."""
        units = len(first)
        # Relative to a unit's first measurement, which stays as it is if it is the only one.
        weight = np.square(size[first][place] / size)
        total = np.bincount(place, weight, units)
        away = np.bincount(place, weight * (value - value[first][place]), units)
        return value[first] + away / total, size[first] / np.sqrt(total)

    @staticmethod
    def informs(value: Values, size: Values) -> Values:
        """Every measurement."""
        return np.ones(np.shape(value), bool)

    @staticmethod
    def baselines(value: Values, size: Values, weights: Values) -> tuple[Shapes, Shapes]:
        """As wide as the other units are, and what they leave of a flat prior."""
        away = value - np.median(value)

        def others(of: Values, share: Values) -> Values:
            return (share @ of - share * of) / (share.sum() - share)

        mean = others(away, weights)
        variance = others(away**2 + np.square(size), weights) - mean**2
        precision = weights / np.square(size)
        pooled = others(away, precision), 1 / (precision.sum() - precision)
        center = np.median(value)
        return (center + mean, variance), (center + pooled[0], pooled[1])

    @staticmethod
    def quantile(shapes: Shapes, level: Values) -> Values:
        """Effects below which the parameter falls with given probabilities."""
        return shapes[0] + np.sqrt(shapes[1]) * ndtri(level)

    @staticmethod
    def alone(value: Values, size: Values) -> Shapes:
        """Of a unit by itself, under a flat density."""
        return value, np.square(size)

    @staticmethod
    def flat(value: Values, size: Values) -> Shapes:
        """Likelihood as a density: of the value's own error."""
        return value, np.square(size)

    @staticmethod
    def density(shapes: Shapes, effect: Values) -> Values:
        """Of the effect."""
        mean, variance = shapes
        return np.exp(-0.5 * np.square(effect - mean) / variance) / (_SQRT_2PI * np.sqrt(variance))

    @staticmethod
    def mean(shapes: Shapes) -> Values:
        """Mean effect."""
        return shapes[0]

    @staticmethod
    def variance(shapes: Shapes) -> Values:
        """Its variance."""
        return shapes[1]

    @staticmethod
    def precision(shapes: Shapes) -> Values:
        """One over the variance."""
        return 1 / shapes[1]

    @staticmethod
    def widened(shapes: Shapes, factor: Values) -> Shapes:
        """The variance multiplied."""
        return shapes[0], shapes[1] * factor

    @staticmethod
    def place(shapes: Shapes) -> Values:
        """The mean."""
        return shapes[0]

    @staticmethod
    def middle(shapes: Shapes) -> Values:
        """The mean."""
        return shapes[0]

    @staticmethod
    def width(shapes: Shapes) -> Values:
        """Standard deviation."""
        return np.sqrt(shapes[1])

    @staticmethod
    def narrowest(concentration: float, first: Values, value: Values, size: Values) -> float:
        """Of the smallest error, relative to how far from zero effects are."""
        width = 1 / np.sqrt(concentration + 1 / np.square(size.min()))
        return float(width / max(np.abs(first).max(), np.abs(value).max(), width))

    @staticmethod
    def tails(shapes: Shapes) -> tuple[Values, Values]:
        """None."""
        infinite = np.full_like(shapes[1], np.inf)
        return infinite, infinite

    @staticmethod
    def lean(shapes: Shapes, center: Values) -> Values:
        """Distance from the center by the variance."""
        return (shapes[0] - center) / shapes[1]

    @staticmethod
    def bend(center: Values, place: Values) -> Values:
        """Half the squared distance."""
        return 0.5 * np.square(place - center)

    @staticmethod
    def below(shapes: Shapes, place: Values) -> Values:
        """P(effect < z)."""
        return ndtr((place - shapes[0]) / np.sqrt(shapes[1]))

    @staticmethod
    def above(shapes: Shapes, place: Values) -> Values:
        """P(effect > z)."""
        return ndtr((shapes[0] - place) / np.sqrt(shapes[1]))

    @staticmethod
    def excess(shapes: Shapes, place: Values) -> Values:
        """sd (phi(x) + x Phi(x)) at the standardised place x."""
        sd = np.sqrt(shapes[1])
        x = (place - shapes[0]) / sd
        return sd * (np.exp(-0.5 * x * x) / _SQRT_2PI + x * ndtr(x))

    @staticmethod
    def parameter_at(place: Values) -> Values:
        """The place itself."""
        return place

    @staticmethod
    def place_of(effect: Values) -> Values:
        """The effect itself."""
        return effect

    @staticmethod
    def slopes(place: Values) -> tuple[Values, Values, Values, Values]:
        """A straight line."""
        one, zero = np.ones_like(place), np.zeros_like(place)
        return place, one, zero, zero

    @staticmethod
    def log_slope(place: Values) -> Values:
        """Zero."""
        return np.zeros_like(place)

    @staticmethod
    def held(place: Values) -> tuple[Values, ...]:
        """The effect."""
        return (place,)

    @staticmethod
    def shifted(held: tuple[Values, ...], difference: Values) -> Values:
        """An effect plus a difference."""
        return held[0] + difference

    @staticmethod
    def scaled(held: tuple[Values, ...], log_ratio: Values) -> Values:
        """Effects of either sign have no ratios."""
        raise NotImplementedError("effects of either sign have no ratios")

    @staticmethod
    def moved(
        points: Float[np.ndarray, "*points 2"], value: Values, size: Values
    ) -> tuple[Values, Values]:
        """Derivatives of a posterior's mean."""
        mean, w = np.moveaxis(points, -1, 0)
        ratio = np.exp(-w) / np.square(size)
        rest = 1 / (1 + ratio)
        return rest, -(value - mean) * ratio * rest**2

    @staticmethod
    def draw(generator: np.random.Generator, shapes: Shapes) -> Values:
        """Effects."""
        return generator.normal(shapes[0], np.sqrt(shapes[1]))

    @staticmethod
    def observe(generator: np.random.Generator, effect: Values, error: Values) -> Values:
        """Measurements."""
        return generator.normal(effect, error)

    @staticmethod
    def log_scale(place: Values) -> Values:
        """A variance of effects has their own unit: none is small for all data."""
        return np.full_like(place, -np.inf)

    @staticmethod
    def outcomes(shapes: Shapes, size: int) -> Values:
        """Measurements are not counted."""
        raise NotImplementedError("measurements are not counted")

    @staticmethod
    def shown(count: int, error: Values) -> Shapes:
        """Measurements are not counted."""
        raise NotImplementedError("measurements are not counted")

    @staticmethod
    def at_most(count: int, error: Values, place: Values) -> Values:
        """Measurements are not counted."""
        raise NotImplementedError("measurements are not counted")

    @staticmethod
    def noise(mean: Values, variance: Values, error: Values) -> tuple[Values, Values]:
        """E[theta], and s^2 + Var[theta]."""
        return mean, np.square(error) + variance
