"""What answers on the host ask of a family: its conjugate distribution, in NumPy and SciPy."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

__all__ = ["OnHost", "Shapes", "Values"]

# Numbers, or NumPy's arrays of any shape and of any type of numbers.
Values = Any
# Both numbers that the family's conjugate distribution is made from, broadcast to one shape.
Shapes = tuple[Values, Values]


@runtime_checkable
class OnHost(Protocol):
    """The distribution of a unit's parameter, on the host, over its place without bounds.

    With mean m, dispersion phi, and place z, its density is

        log p(z) = const + (m - m0) (z - z0) / phi - KL(z0, z) / phi

    whatever the place z0, where m0 is the parameter there: `lean`, `bend` and `precision`.

    Attributes:
        widest: Width beyond which nothing of a density of z but its tails is longer.
        edges: Whether parameters have a lower and an upper bound.
        has_ratios: Whether parameters are positive, so that their ratios mean something.
        parameter_words: What a unit's parameter is called, by its value and size.
        nothing: Value and size of a unit without data.
    """

    widest: float
    edges: tuple[bool, bool]
    has_ratios: bool
    parameter_words: str
    nothing: tuple[float, float]

    def shapes(
        self, points: Float[np.ndarray, "*points 2"], value: Values, size: Values, /
    ) -> Shapes:
        """A unit's posterior under working coordinates, everything broadcast."""
        ...

    def statistic(self, value: Values, size: Values, /) -> tuple[Values, Values]:
        """What a unit tells, t, and its weight v: the mean becomes (m + t phi) / (1 + v phi)."""
        ...

    def raw(self, value: Values, size: Values, /) -> Values:
        """What units alone say of their parameters; NaN without data."""
        ...

    def outcomes_within(self, size: float, /) -> tuple[float, float]:
        """The smallest and the largest value of a unit of some size."""
        ...

    def combined(
        self, value: Values, size: Values, place: Int[np.ndarray, "rows"], first: np.ndarray, /
    ) -> tuple[Values, Values]:
        """One value and size of each unit from several rows, as if it had been seen at once.

        Args:
            value: Of every row.
            size: Of every row.
            place: The unit of every row.
            first: The first row of every unit.
        """
        ...

    def informs(self, value: Values, size: Values, /) -> Values:
        """Whether a unit counts towards a posterior's being proper under an improper hyperprior."""
        ...

    def baselines(
        self, value: Values, size: Values, weights: Values, /
    ) -> tuple[tuple[Values, Values], tuple[Values, Values]]:
        """What each unit is predicted from without a hierarchy: places of means, and dispersions.

        First with a parameter of its own, of which the others tell no more than how large it may
        be, then with the one parameter of all, of which the others tell what it is.
        """
        ...

    def quantile(self, shapes: Shapes, level: Values, /) -> Values:
        """Parameters below which a parameter falls with given probabilities."""
        ...

    def alone(self, value: Values, size: Values, /) -> Shapes:
        """What a unit by itself says of its parameter, under Jeffreys's prior."""
        ...

    def flat(self, value: Values, size: Values, /) -> Shapes:
        """What a unit by itself says of its parameter, under a flat density."""
        ...

    def density(self, shapes: Shapes, parameter: Values, /) -> Values:
        """Density of the parameter."""
        ...

    def mean(self, shapes: Shapes, /) -> Values:
        """Mean of the parameter."""
        ...

    def variance(self, shapes: Shapes, /) -> Values:
        """Variance of the parameter."""
        ...

    def precision(self, shapes: Shapes, /) -> Values:
        """1 / phi."""
        ...

    def widened(self, shapes: Shapes, factor: Values, /) -> Shapes:
        """With so many times the dispersion, and the same mean."""
        ...

    def place(self, shapes: Shapes, /) -> Values:
        """Place of the mean."""
        ...

    def middle(self, shapes: Shapes, /) -> Values:
        """About the place of the density's bulk, also where the mean is far out in a tail."""
        ...

    def width(self, shapes: Shapes, /) -> Values:
        """About the standard deviation of the place."""
        ...

    def narrowest(
        self, concentration: float, first: Values, value: Values, size: Values, /
    ) -> float:
        """No unit has a smaller width at any point, relative to the digits that places need.

        Args:
            concentration: The largest of all points.
            first: First coordinates of the points.
            value: Of every unit.
            size: Of every unit.
        """
        ...

    def tails(self, shapes: Shapes, /) -> tuple[Values, Values]:
        """Exponents of the density's tails, to the left and to the right."""
        ...

    def lean(self, shapes: Shapes, center: Values, /) -> Values:
        """(m - m0) / phi, with m0 the parameter at a place."""
        ...

    def bend(self, center: Values, place: Values, /) -> Values:
        """KL(z0, z)."""
        ...

    def below(self, shapes: Shapes, place: Values, /) -> Values:
        """P(parameter < the one at a place)."""
        ...

    def above(self, shapes: Shapes, place: Values, /) -> Values:
        """P(parameter > the one at a place)."""
        ...

    def excess(self, shapes: Shapes, place: Values, /) -> Values:
        """E[max(c - parameter, 0)], with c the parameter at a place."""
        ...

    def parameter_at(self, place: Values, /) -> Values:
        """The parameter at a place."""
        ...

    def place_of(self, parameter: Values, /) -> Values:
        """The place of a parameter."""
        ...

    def slopes(self, place: Values, /) -> tuple[Values, Values, Values, Values]:
        """The parameter at a place, and its three derivatives there."""
        ...

    def log_slope(self, place: Values, /) -> Values:
        """Logarithm of the first derivative."""
        ...

    def held(self, place: Values, /) -> tuple[Values, ...]:
        """What of places `shifted` and `scaled` are to be given, computed once."""
        ...

    def shifted(self, held: tuple[Values, ...], difference: Values, /) -> Values:
        """Place of the parameter that is larger by a difference; infinite beyond the bounds."""
        ...

    def scaled(self, held: tuple[Values, ...], log_ratio: Values, /) -> Values:
        """Place of the parameter that is larger by a factor, where `has_ratios`."""
        ...

    def moved(
        self, points: Float[np.ndarray, "*points 2"], value: Values, size: Values, /
    ) -> tuple[Values, Values]:
        """Derivatives of the place of a posterior's mean in both working coordinates."""
        ...

    def draw(self, generator: np.random.Generator, shapes: Shapes, /) -> Values:
        """One parameter for each distribution."""
        ...

    def observe(self, generator: np.random.Generator, parameter: Values, size: Values, /) -> Values:
        """A value of a unit with a parameter and a size."""
        ...

    def log_scale(self, place: Values, /) -> Values:
        """Logarithm of the dispersion's unit at a place: 0 where it is a pure number."""
        ...

    def outcomes(self, shapes: Shapes, size: int, /) -> Values:
        """Probabilities of every count from 0 to a size, of counts that have one."""
        ...

    def shown(self, count: int, size: Values, /) -> Shapes:
        """Distribution of what P(K > count | parameter) is the distribution function of."""
        ...

    def at_most(self, count: int, size: Values, place: Values, /) -> Values:
        """P(K <= count | parameter at a place), of counts."""
        ...

    def noise(self, mean: Values, variance: Values, size: Values, /) -> tuple[Values, Values]:
        """Mean and variance of values, from the parameter's.

        The variance is that of the value given the parameter, on average, plus that of its mean.
        """
        ...
