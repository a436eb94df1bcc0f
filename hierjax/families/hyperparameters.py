"""Hyperparameters as a family reports them: names, values, scales and words, on the host.

Each is a monotone function of one direction, and a direction is g(first) + k second in the working
coordinates. Wald's intervals, quantiles over a lattice and derivatives of all of these need to know
no more of a family.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = [
    "IDENTITY",
    "LOG",
    "LOGIT",
    "Direction",
    "Hyperparameter",
    "Hyperparameters",
    "Scale",
    "along_first",
    "along_second",
]

Values = Float[np.ndarray, "*batch"]
Function = Callable[[Values], Values]


class Scale(NamedTuple):
    """How a hyperparameter lies on the real line.

    Attributes:
        inverse: The hyperparameter, from a point of the line.
        slope: Its derivative there, from the hyperparameter.
    """

    inverse: Function
    slope: Function


IDENTITY = Scale(lambda x: x, np.ones_like)
LOG = Scale(np.exp, lambda value: value)
LOGIT = Scale(lambda x: np.exp(-np.logaddexp(0, -x)), lambda value: value * (1 - value))


@dataclass(frozen=True)
class Direction:
    """A function g(first) + k second of the working coordinates, without bounds.

    Args:
        name: Its name.
        second: k; if negative, g must be left out.
        first: g; None where it is zero. Where k is zero, the coordinate itself.
        slope: Its derivative.
        bend: Its second derivative.

    Example:
        >>> log_alpha = Direction(
        ...     "log_alpha",
        ...     second=1.0,
        ...     first=lambda u: -np.logaddexp(0, -u),
        ...     slope=lambda u: np.exp(-np.logaddexp(0, u)),
        ...     bend=lambda u: -np.exp(-np.logaddexp(0, -u) - np.logaddexp(0, u)),
        ... )
        >>> print(f"{log_alpha(np.array([0.0, np.log(2.0)])):.3f}")
        0.000
        >>> log_alpha.gradient(np.array([0.0, 5.0])).tolist()
        [0.5, 1.0]
    """

    name: str
    second: float
    first: Function | None = None
    slope: Function = np.zeros_like
    bend: Function = np.zeros_like

    def __post_init__(self) -> None:
        if self.first is None and self.second == 0:
            raise ValueError(f"{self.name}: expected a function that is not constant")
        if self.first is not None and self.second < 0:
            raise ValueError(f"{self.name}: expected to rise with the second coordinate")

    def __call__(self, points: Float[np.ndarray, "*batch 2"]) -> Values:
        """Values at working coordinates, of which the second may be infinite."""
        u, w = points[..., 0], points[..., 1]
        if self.first is None:
            return np.asarray(self.second * w)
        return np.asarray(self.first(u) if self.second == 0 else self.second * w + self.first(u))

    def gradient(self, points: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        """Derivatives with respect to both working coordinates."""
        slope = np.asarray(self.slope(points[..., 0]))
        return np.stack([slope, np.full_like(slope, self.second)], axis=-1)

    @property
    def follows(self) -> int | None:
        """The working coordinate of which alone it is a function, if there is one."""
        if self.first is None:
            return 1
        return 0 if self.second == 0 else None


def along_first(name: str) -> Direction:
    """The first working coordinate."""
    return Direction(name, 0.0, lambda u: u, np.ones_like)


def along_second(name: str, multiple: float = 1.0) -> Direction:
    """The second working coordinate, or a multiple of it."""
    return Direction(name, multiple)


@dataclass(frozen=True)
class Hyperparameter:
    """One of the numbers by which a family's population is reported.

    Args:
        name: Its name in tables.
        direction: What it rises with.
        scale: How it is had from the direction, on which Wald's intervals are symmetric.
        symbol: How a reader writes it.
        words: What a reader calls it; empty where the symbol is all there is.
        grows: Whether it grows without bound with the concentration, so that its posterior has
            the moments that the concentration's has, and no others.
        spreads: Whether it may be ever larger as the concentration falls: so too with the mean's.
    """

    name: str
    direction: Direction
    scale: Scale
    symbol: str
    words: str = ""
    grows: bool = False
    spreads: bool = False

    @property
    def heading(self) -> str:
        """Words and symbol, as the heading of a table has them."""
        words = self.words[:1].upper() + self.words[1:]
        return f"{words}, {self.symbol}" if words else self.symbol


@dataclass(frozen=True)
class Hyperparameters:
    """All that a family reports, in order; the first two are its working coordinates.

    Args:
        each: The hyperparameters.

    Example:
        >>> from hierjax.families.beta_binomial import BetaBinomial
        >>> reported = BetaBinomial.hyperparameters
        >>> reported.names[:4]
        ('logit_mean', 'log_concentration', 'mean', 'concentration')
        >>> values = reported.values(np.array([0.0, np.log(2.0)]))
        >>> print(f"{values['alpha']:.3f} {values['beta']:.3f}")
        1.000 1.000
    """

    each: tuple[Hyperparameter, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(parameter.name for parameter in self.each)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The distinct directions, in the order of the hyperparameters."""
        return tuple(dict.fromkeys(parameter.direction for parameter in self.each))

    @property
    def _places(self) -> list[int]:
        """The direction of every hyperparameter, by its position."""
        return [self.directions.index(parameter.direction) for parameter in self.each]

    @property
    def along(self) -> tuple[Hyperparameter, ...]:
        """The first hyperparameter of every direction."""
        return tuple(self.each[self._places.index(i)] for i in range(len(self.directions)))

    def values(self, points: Float[np.ndarray, "*batch 2"]) -> dict[str, Values]:
        """Every hyperparameter at given working coordinates.

        Args:
            points: Working coordinates; an infinite log-concentration is complete pooling.

        Returns:
            Values by name, each of shape `batch`.
        """
        with np.errstate(over="ignore"):
            each = self.from_directions(self.on_line(points))
        return {name: np.asarray(x) for name, x in zip(self.names, each, strict=True)}

    def on_line(
        self, points: Float[np.ndarray, "*batch 2"]
    ) -> Float[np.ndarray, "directions *batch"]:
        """Every direction at given working coordinates."""
        return np.stack([direction(points) for direction in self.directions])

    def from_directions(
        self, line: Float[np.ndarray, "directions *batch"]
    ) -> Float[np.ndarray, "parameters *batch"]:
        """Every hyperparameter from values of the directions."""
        pairs = zip(self.each, self._places, strict=True)
        return np.stack([parameter.scale.inverse(line[place]) for parameter, place in pairs])

    def moved(
        self,
        line: Float[np.ndarray, "directions *batch"],
        moved: Float[np.ndarray, "directions *batch points"],
    ) -> Float[np.ndarray, "parameters *batch points"]:
        """How every hyperparameter moves when the directions' values do.

        Args:
            line: Values of the directions.
            moved: Their derivatives.

        Returns:
            Derivatives of the hyperparameters.
        """
        values = self.from_directions(line)
        slopes = np.stack([p.scale.slope(x) for p, x in zip(self.each, values, strict=True)])
        return slopes[..., None] * moved[self._places]

    @property
    def _answers(self) -> dict[str, tuple[Direction, Scale]]:
        """What has a posterior mean: those that may not are replaced by their directions."""
        return {
            (p.direction.name if p.grows or p.spreads else p.name): (
                p.direction,
                IDENTITY if p.grows or p.spreads else p.scale,
            )
            for p in self.each
        }

    @property
    def answers(self) -> tuple[str, ...]:
        """Names of functions that have posterior means whatever the hyperprior."""
        return tuple(self._answers)

    def answer_values(
        self, points: Float[np.ndarray, "*batch 2"]
    ) -> Float[np.ndarray, "answers *batch"]:
        """The functions named by `answers`."""
        return np.stack([scale.inverse(along(points)) for along, scale in self._answers.values()])

    def answer_gradients(self, eta: Float[np.ndarray, "2"]) -> Float[np.ndarray, "answers 2"]:
        """Their gradients in the working coordinates."""
        return np.stack(
            [
                scale.slope(scale.inverse(along(eta))) * along.gradient(eta)
                for along, scale in self._answers.values()
            ]
        )
