"""How many trials units have: distributions to simulate from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64

from hierjax.errors import DataError
from hierjax.validation import MAX_COUNT

__all__ = [
    "TRIALS",
    "FixedTrials",
    "ListedTrials",
    "LogUniformTrials",
    "PoissonTrials",
    "TrialsDistribution",
    "UniformTrials",
]


@runtime_checkable
class TrialsDistribution(Protocol):
    """What every distribution of the number of trials answers."""

    kind: ClassVar[str]

    def draw(
        self, generator: np.random.Generator, data_sets: int, units: int
    ) -> Int64[np.ndarray, "batch units"]:
        """Trials of every unit of so many data sets."""
        ...

    def quantile(self, levels: Float[np.ndarray, "levels"]) -> Int64[np.ndarray, "levels"]:
        """The least number of trials that as many units do not exceed, for levels in (0, 1)."""
        ...


@dataclass(frozen=True)
class FixedTrials:
    """Every unit has as many trials.

    Args:
        trials: A whole number above 0.

    Raises:
        DataError: If it is none.

    Example:
        >>> FixedTrials(20).draw(np.random.default_rng(0), 1, 3).tolist()
        [[20, 20, 20]]
    """

    trials: int

    kind: ClassVar[str] = "fixed"

    def __post_init__(self) -> None:
        _whole(self.kind, "trials", self.trials, 1)

    def draw(
        self, generator: np.random.Generator, data_sets: int, units: int
    ) -> Int64[np.ndarray, "batch units"]:
        """Trials of every unit of so many data sets; the generator is not used."""
        return np.full((data_sets, units), self.trials, np.int64)

    def quantile(self, levels: Float[np.ndarray, "levels"]) -> Int64[np.ndarray, "levels"]:
        """The number itself."""
        return np.full(len(levels), self.trials, np.int64)


@dataclass(frozen=True)
class UniformTrials:
    """Every whole number of trials in a range is as probable.

    Args:
        low: The fewest, above 0.
        high: The most.

    Raises:
        DataError: If they are not whole numbers in that order.

    Example:
        >>> UniformTrials(10, 50).quantile(np.array([0.01, 0.5, 0.99])).tolist()
        [10, 30, 50]
    """

    low: int
    high: int

    kind: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        _range(self.kind, self.low, self.high)

    def draw(
        self, generator: np.random.Generator, data_sets: int, units: int
    ) -> Int64[np.ndarray, "batch units"]:
        """Trials of every unit of so many data sets."""
        shape = (data_sets, units)
        return generator.integers(int(self.low), int(self.high), shape, np.int64, endpoint=True)

    def quantile(self, levels: Float[np.ndarray, "levels"]) -> Int64[np.ndarray, "levels"]:
        """The least number that as many units do not exceed."""
        numbers = int(self.high) - int(self.low) + 1
        return (self.low + np.minimum(np.floor(levels * numbers), numbers - 1)).astype(np.int64)


@dataclass(frozen=True)
class PoissonTrials:
    """Poisson numbers of trials, with one trial where the number would be none.

    Args:
        mean: The Poisson distribution's mean, positive.

    Raises:
        DataError: If it is not a positive number of at most 10^15.

    Example:
        >>> PoissonTrials(20.0).quantile(np.array([0.05, 0.5, 0.95])).tolist()
        [13, 20, 28]
    """

    mean: float

    kind: ClassVar[str] = "poisson"

    def __post_init__(self) -> None:
        if not (_is_number(self.mean) and 0 < self.mean <= 1e15):
            raise DataError(
                "poisson trials: expected mean to be a positive number of at most 1e15, "
                f"found {self.mean!r}"
            )

    def draw(
        self, generator: np.random.Generator, data_sets: int, units: int
    ) -> Int64[np.ndarray, "batch units"]:
        """Trials of every unit of so many data sets."""
        return np.maximum(generator.poisson(self.mean, (data_sets, units)), 1)

    def quantile(self, levels: Float[np.ndarray, "levels"]) -> Int64[np.ndarray, "levels"]:
        """The least number that as many units do not exceed."""
        from scipy.stats import poisson  # takes half a second, and is seldom wanted

        return np.maximum(poisson.ppf(levels, self.mean), 1).astype(np.int64)


@dataclass(frozen=True)
class LogUniformTrials:
    r"""Numbers of trials that vary by orders of magnitude: their logarithm is uniform.

    .. math:: P(n) = \frac{\log(n + 1) - \log n}{\log(\mathrm{high} + 1) - \log(\mathrm{low})}

    Args:
        low: The fewest, above 0.
        high: The most.

    Raises:
        DataError: If they are not whole numbers in that order.

    Example:
        >>> LogUniformTrials(1, 9999).quantile(np.array([0.2, 0.6, 0.99])).tolist()
        [6, 251, 9120]
    """

    low: int
    high: int

    kind: ClassVar[str] = "log_uniform"

    def __post_init__(self) -> None:
        _range(self.kind, self.low, self.high)

    def draw(
        self, generator: np.random.Generator, data_sets: int, units: int
    ) -> Int64[np.ndarray, "batch units"]:
        """Trials of every unit of so many data sets."""
        levels = generator.random(data_sets * units)
        return self.quantile(levels).reshape(data_sets, units)

    def quantile(self, levels: Float[np.ndarray, "levels"]) -> Int64[np.ndarray, "levels"]:
        """The least number that as many units do not exceed."""
        low, high = math.log(self.low), math.log(self.high + 1)
        numbers = np.floor(np.exp(low + levels * (high - low)))
        return np.clip(numbers, self.low, self.high).astype(np.int64)


@dataclass(frozen=True)
class ListedTrials:
    """Trials as listed, the same in every data set, from the beginning again if too few.

    Args:
        values: Whole numbers, not all of them 0.

    Raises:
        DataError: If there are none above 0, or one is not a whole number.

    Example:
        >>> ListedTrials([20, 14]).draw(np.random.default_rng(0), 1, 3).tolist()
        [[20, 14, 20]]
    """

    values: Sequence[int]

    kind: ClassVar[str] = "listed"

    def __post_init__(self) -> None:
        values = list(self.values)
        for value in values:
            _whole(self.kind, "values", value, 0)
        if not any(values):
            raise DataError(f"listed trials: expected values not all of them 0, found {values}")
        object.__setattr__(self, "values", tuple(int(value) for value in values))

    def draw(
        self, generator: np.random.Generator, data_sets: int, units: int
    ) -> Int64[np.ndarray, "batch units"]:
        """Trials of every unit of so many data sets; the generator is not used."""
        return np.tile(np.resize(np.array(self.values, np.int64), units), (data_sets, 1))

    def quantile(self, levels: Float[np.ndarray, "levels"]) -> Int64[np.ndarray, "levels"]:
        """The least of the list that as many of it do not exceed."""
        places = np.ceil(levels * len(self.values)).astype(int) - 1
        return np.sort(np.array(self.values, np.int64))[np.maximum(places, 0)]


#: Distributions by their kind, as configurations call them.
TRIALS: dict[str, type] = {
    cls.kind: cls
    for cls in (FixedTrials, UniformTrials, PoissonTrials, LogUniformTrials, ListedTrials)
}


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def _whole(kind: str, name: str, value: Any, least: int) -> None:
    if not (_is_number(value) and least <= value <= MAX_COUNT and value == math.floor(value)):
        raise DataError(
            f"{kind} trials: expected {name} to be a whole number of at least {least}, "
            f"found {value!r}"
        )


def _range(kind: str, low: Any, high: Any) -> None:
    _whole(kind, "low", low, 1)
    _whole(kind, "high", high, 1)
    if high < low:
        raise DataError(f"{kind} trials: expected high to be at least low, {low}, found {high}")
