"""What every population of rates answers, and the one that the model assumes."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import logit

from hierjax.datasets.trials import TrialsDistribution
from hierjax.errors import ModelError

__all__ = ["BetaPopulation", "Population", "Rates", "Trials", "beta_moments"]

Trials = Int64[np.ndarray, "batch units"]
Rates = Float64[np.ndarray, "batch units"]


class Population(ABC):
    """What every population answers.

    Attributes:
        kind: What configurations call it.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def mean(self) -> float:
        """Mean of a unit's rate."""

    @property
    @abstractmethod
    def variance(self) -> float:
        """Variance of a unit's rate."""

    @abstractmethod
    def rates(self, generator: np.random.Generator, trials: Trials) -> Rates:
        """Draws the rate of every unit, given its trials."""

    def moments(self, trials: TrialsDistribution) -> tuple[float, float]:
        """Mean and variance of a unit's rate where trials have this distribution."""
        return self.mean, self.variance

    def coordinates(self, trials: TrialsDistribution) -> tuple[float, float]:
        """Logit mean and log concentration of the Beta with the same mean and variance.

        Args:
            trials: The distribution of the units' trials, on which rates may depend.

        Returns:
            Both, the second infinite where all rates are one.
        """
        mean, variance = self.moments(trials)
        if variance == 0:
            return float(logit(mean)), math.inf
        return float(logit(mean)), math.log(mean * (1 - mean) / variance - 1)

    def _require_positive(self, *names: str) -> None:
        for name in names:
            self._require(name, "a positive, finite number", 0.0, math.inf)

    def _require_inside(self, *names: str) -> None:
        for name in names:
            self._require(name, "a number strictly between 0 and 1", 0.0, 1.0)

    def _require(self, name: str, expected: str, low: float, high: float) -> None:
        """Refuses a field that is no number between two others."""
        value: Any = getattr(self, name)
        number = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
        if not (number and low < value < high):
            raise ModelError(
                f"{self.kind} population: expected {name} to be {expected}, found {value!r}"
            )


@dataclass(frozen=True)
class BetaPopulation(Population):
    r"""The population that the model assumes: theta ~ Beta(alpha, beta).

    Args:
        alpha: First shape parameter, positive.
        beta: Second shape parameter, positive.

    Raises:
        ModelError: If one of them is not a positive, finite number.

    Example:
        >>> population = BetaPopulation(2.0, 6.0)
        >>> population.mean, round(population.variance, 6)
        (0.25, 0.020833)
    """

    alpha: float
    beta: float

    kind: ClassVar[str] = "beta"

    def __post_init__(self) -> None:
        self._require_positive("alpha", "beta")

    @property
    def mean(self) -> float:
        """Mean of a unit's rate: alpha / (alpha + beta)."""
        return beta_moments(self.alpha, self.beta)[0]

    @property
    def variance(self) -> float:
        """Variance of a unit's rate."""
        return beta_moments(self.alpha, self.beta)[1]

    def rates(self, generator: np.random.Generator, trials: Trials) -> Rates:
        """Draws the rate of every unit."""
        return generator.beta(self.alpha, self.beta, trials.shape)

    def coordinates(self, trials: TrialsDistribution) -> tuple[float, float]:
        """Its own logit mean and log concentration."""
        return math.log(self.alpha) - math.log(self.beta), math.log(self.alpha + self.beta)


def beta_moments(alpha: float, beta: float) -> tuple[float, float]:
    """Mean and variance of Beta(alpha, beta).

    Args:
        alpha: First shape parameter.
        beta: Second shape parameter.

    Returns:
        Both.

    Example:
        >>> beta_moments(1.0, 1.0) == (1 / 2, 1 / 12)
        True
    """
    total = alpha + beta
    return alpha / total, (alpha / total) * (beta / total) / (total + 1)
