"""Ranks of true values among posterior draws: whether they are uniform, and the verdict."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.special import chdtrc

from hierjax.asked import probability
from hierjax.checks.uniformity import simultaneous_p_value
from hierjax.errors import ConfigError
from hierjax.table import Table

__all__ = ["LEVEL", "Calibration", "Verdict", "holm"]

#: How often a right method may fail.
LEVEL = 0.01
# Levels at which distribution functions are judged, and bins of a histogram, at most.
_LEVELS, _BINS = 100, 20
# Data sets that a bin should expect, so that chi-square has its limiting distribution.
_EXPECTED = 10
# The share of data sets without an answer beyond which the others do not stand for all.
_MOST_FAILED = 0.01


class Verdict(StrEnum):
    """What a calibration says of a method."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """Ranks of true values among posterior draws, and what they say.

    Attributes:
        method: Name of the method.
        parameters: What was ranked.
        ranks: How many draws lie below the true value, 0 to `draws`; -1 where a data set has no
            draws.
        draws: How many draws each data set has.
        status: What the method said of each data set.
        ess: Its smaller effective sample size in each; NaN where draws are independent.

    Example:
        >>> at = np.random.default_rng(0).integers(0, 100, (1000, 1))
        >>> status, ess = np.full(1000, "converged"), np.full(1000, np.nan)
        >>> Calibration("exact", ("alpha",), at, 99, status, ess).verdict().value
        'passed'
    """

    method: str
    parameters: tuple[str, ...]
    ranks: Int[np.ndarray, "batch parameters"]
    draws: int
    status: Shaped[np.ndarray, "batch"]
    ess: Float[np.ndarray, "batch"]

    def __repr__(self) -> str:
        return (
            f"Calibration({self.method}, data_sets={len(self.ranks)}, draws={self.draws}: "
            f"{self.verdict()})"
        )

    @property
    def answered(self) -> Bool[np.ndarray, "batch"]:
        """Which data sets have draws of everything."""
        return np.all(self.ranks >= 0, axis=1)

    def of(self, parameter: str) -> Int[np.ndarray, "answered"]:
        """Ranks of one parameter, of data sets that have draws.

        Raises:
            ConfigError: If there is no such parameter.
        """
        if parameter not in self.parameters:
            known = ", ".join(self.parameters)
            raise ConfigError(f"parameter: expected one of {known}, found {parameter!r}")
        return self.ranks[self.answered, self.parameters.index(parameter)]

    def cuts(self) -> Int[np.ndarray, "levels"]:
        """Ranks below which true values are counted; all of them, or 99 evenly spaced ones."""
        cells = self.draws + 1
        steps = min(cells, _LEVELS)
        return np.round(np.arange(1, steps) * cells / steps).astype(int)

    def below(self, parameter: str) -> Int[np.ndarray, "levels"]:
        """How many data sets have a rank below each of `cuts`."""
        found = np.bincount(self.of(parameter), minlength=self.draws + 1)
        return np.cumsum(found)[self.cuts() - 1]

    def edges(self) -> Int[np.ndarray, "edges"]:
        """Edges of bins of ranks, as equal as whole numbers allow; at most 20 bins."""
        cells = self.draws + 1
        most = max(2, min(_BINS, cells, int(self.answered.sum()) // _EXPECTED))
        equal = [bins for bins in range(most, most // 2, -1) if cells % bins == 0]
        bins = equal[0] if equal else most
        return np.round(np.arange(bins + 1) * cells / bins).astype(int)

    def p_values(self) -> Table:
        """Whether each parameter's ranks are uniform.

        Returns:
            One row a parameter: parameter, data_sets (that have draws), failed (that have none),
            few_effective (whose effective sample size is less than their draws, so that ranks
            would not be uniform even if the method were right), mean_z and spread_z (the ranks'
            mean, and mean square around the middle, less what is expected, in standard errors:
            a positive spread means posteriors too narrow), chi_square (its p-value for the
            histogram), ecdf (the exact p-value of the distribution function at all levels at
            once) and adjusted, the latter by Holm's method for all parameters together.
        """
        return self._p_values

    def verdict(self, level: float = LEVEL) -> Verdict:
        """Whether the method draws from its posteriors, as far as so many data sets can say.

        Args:
            level: How often a right method may fail, over all parameters together.

        Returns:
            `failed` if the adjusted p-value of any parameter is at most the level; else
            `undecided` if more than 1 of 100 data sets have no draws; else `passed`.

        Raises:
            ConfigError: If the level is not inside (0, 1).
        """
        level = probability("level", level)
        kept = self.answered
        if kept.any() and self._p_values["adjusted"].min() <= level:
            return Verdict.FAILED
        return Verdict.UNDECIDED if np.mean(~kept) > _MOST_FAILED else Verdict.PASSED

    @cached_property
    def _p_values(self) -> Table:
        kept = self.answered
        few = int(np.sum(self.ess[kept] < self.draws))
        rows = np.array([self._judged(name) for name in self.parameters])
        size = len(self.parameters)
        return Table(
            {
                "parameter": list(self.parameters),
                "data_sets": np.repeat(int(kept.sum()), size),
                "failed": np.repeat(int((~kept).sum()), size),
                "few_effective": np.repeat(few, size),
                **dict(zip(("mean_z", "spread_z", "chi_square", "ecdf"), rows.T, strict=True)),
                "adjusted": holm(rows[:, 3]),
            }
        )

    def _judged(self, parameter: str) -> tuple[float, float, float, float]:
        found, cells = self.of(parameter), self.draws + 1
        if not len(found):
            return (np.nan,) * 4
        edges, away = self.edges(), found - 0.5 * self.draws
        observed = np.histogram(found, edges - 0.5)[0]
        expected = len(found) * np.diff(edges) / cells
        chi_square = chdtrc(len(expected) - 1, np.sum((observed - expected) ** 2 / expected))
        # Moments of a whole number that is uniform over so many values.
        second = (cells**2 - 1) / 12
        fourth = (cells**2 - 1) * (3 * cells**2 - 7) / 240
        root = np.sqrt(len(found))
        with np.errstate(invalid="ignore"):  # ranks among a single draw have no spread
            spread = (np.mean(away**2) - second) / np.sqrt(fourth - second**2) * root
        return (
            float(away.mean() / np.sqrt(second) * root),
            float(spread),
            float(chi_square),
            simultaneous_p_value(self.below(parameter), len(found), self.cuts() / cells),
        )


def holm(p_values: Float[np.ndarray, "tests"]) -> Float[np.ndarray, "tests"]:
    """P-values adjusted for being several, whatever their dependence.

    The i-th smallest of m is multiplied by m - i + 1 and is at least the one before (Holm 1979,
    *Scandinavian Journal of Statistics* 6:65-70).

    Example:
        >>> holm(np.array([0.04, 0.01, 0.9])).tolist()
        [0.08, 0.03, 0.9]
    """
    order = np.argsort(p_values)
    raised = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted
