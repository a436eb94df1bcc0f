"""Are these numbers uniform? Bands that hold at all levels at once, and the p-value they belong to.

How many of N uniform numbers lie below each of some levels is binomial at every level, and from
level to level a Markov chain. What is rarest of it at any level, its smallest binomial tail, is the
statistic here. Its distribution is exact: for continuous numbers at any levels, and for whole
numbers, such as ranks, at the levels that they can take.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import bdtr, bdtrc, gammaln, xlogy

__all__ = ["simultaneous_p_value", "uniform_band"]

_LEVELS = 40
# Numbers up to which a band's tails are worked out; they hardly change beyond.
_MOST_EXACT = 20_000
# Counts that matter are within so many standard deviations of the mean.
_REACH = 9.0
_HALVINGS = 30
# Tails that are equal by symmetry differ in their last digits.
_TIE = 1 + 1e-9
# Where one less a probability has lost its digits.
_ROUNDING = 1e-8


class _Tails(NamedTuple):
    """Probabilities of at most, and at least, as many below each level."""

    counts: Int[np.ndarray, "levels counts"]
    smaller: Float[np.ndarray, "levels counts"]


def _tails(units: int, levels: Float[np.ndarray, "levels"]) -> _Tails:
    reach = int(np.ceil(_REACH * 0.5 * np.sqrt(units) + 40))
    width = min(2 * reach + 1, units + 1)
    first = np.clip((units * levels).astype(int) - reach, 0, units + 1 - width)
    counts = first[:, None] + np.arange(width)
    return _Tails(counts, _smaller_tail(counts, units, levels[:, None]))


def _smaller_tail(
    counts: Int[np.ndarray, "..."], units: int, levels: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """The smaller of the probabilities of at most and at least so many below a level."""
    at_least = np.where(counts > 0, bdtrc(np.maximum(counts - 1.0, 0.0), units, levels), 1.0)
    return np.minimum(bdtr(counts.astype(float), units, levels), at_least)


def _allowed(
    tails: _Tails, least: float
) -> tuple[Int[np.ndarray, "levels"], Int[np.ndarray, "levels"]]:
    """Smallest and largest counts whose tails exceed a probability; one above the other if none."""
    inside = tails.smaller > least
    rows = np.arange(len(inside))
    low = tails.counts[rows, inside.argmax(axis=1)]
    high = tails.counts[rows, inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)]
    return low, np.where(inside.any(axis=1), high, low - 1)


def _log_poisson(counts: Int[np.ndarray, "counts"], mean: float) -> Float[np.ndarray, "counts"]:
    return xlogy(counts, mean) - mean - gammaln(counts + 1.0)


def _inside(
    units: int,
    levels: Float[np.ndarray, "levels"],
    low: Int[np.ndarray, "levels"],
    high: Int[np.ndarray, "levels"],
) -> float:
    """Probability that uniform numbers' counts stay within limits at all levels.

    The counts are those of a Poisson process that has `units` points in all, whose increments
    are independent: each step is a convolution with one and the same kernel (Moscovich & Nadler
    2017, *Statistics & Probability Letters* 123:177-182).
    """
    if np.any(low > high):
        return 0.0
    before, first, last, mass = 0.0, 0, 0, np.ones(1)
    for level, least, most in zip(levels.tolist(), low.tolist(), high.tolist(), strict=True):
        gained = np.arange(max(least - last, 0), max(most - first, -1) + 1)
        kernel = np.exp(_log_poisson(gained, units * (level - before)))
        reached = np.convolve(mass, kernel) if len(kernel) else np.zeros(1)
        offset = first + max(least - last, 0)
        first = max(least, offset)
        mass, last = reached[first - offset : most - offset + 1], most
        before = level
        if not mass.size:
            return 0.0
    rest = _log_poisson(units - first - np.arange(len(mass)), units * (1 - before))
    return float(mass @ np.exp(rest - _log_poisson(np.array([units]), float(units))))


@lru_cache(maxsize=64)
def _band_tail(units: int, levels: tuple[float, ...], probability: float) -> float:
    """The tail to cut off at either side of every level."""
    at = np.array(levels)
    tails = _tails(units, at)
    # By Bonferroni's inequality the first is small enough.
    least, most = np.log((1 - probability) / (2 * len(at))), np.log(0.5)
    for _ in range(_HALVINGS):
        middle = 0.5 * (least + most)
        if _inside(units, at, *_allowed(tails, float(np.exp(middle)))) >= probability:
            least = middle
        else:
            most = middle
    return float(np.exp(least))


def uniform_band(
    units: int,
    probability: float = 0.95,
    levels: Float[np.ndarray, "levels"] | None = None,
) -> tuple[Float[np.ndarray, "levels"], Float[np.ndarray, "levels"], Float[np.ndarray, "levels"]]:
    """Where distribution functions of that many uniform numbers stay, all along, by a probability.

    The limits cut off equal binomial tails at every level, as large as the simultaneous
    probability allows (Säilynoja, Bürkner & Vehtari 2022, *Statistics and Computing* 32:32, sec.
    2.2). That probability is exact, and at least the one asked for, because counts are whole; for
    more than 20,000 numbers the tails of 20,000 are taken.

    Args:
        units: How many numbers.
        probability: Of staying within the band.
        levels: Increasing, inside (0, 1); by default 39 evenly spaced ones. For whole numbers
            from 0 to L, multiples of 1 / (L + 1).

    Returns:
        The levels, and the band's lower and upper ends there.

    Example:
        >>> levels, low, high = uniform_band(100)
        >>> at = int(abs(levels - 0.5).argmin())
        >>> print(f"{low[at]:.2f} {high[at]:.2f}")
        0.36 0.64
    """
    at = np.arange(1, _LEVELS) / _LEVELS if levels is None else np.asarray(levels, np.float64)
    tail = _band_tail(min(units, _MOST_EXACT), tuple(at.tolist()), float(probability))
    low, high = _allowed(_tails(units, at), tail)
    return at, low / units, high / units


def simultaneous_p_value(
    below: Int[np.ndarray, "levels"], units: int, levels: Float[np.ndarray, "levels"]
) -> float:
    """How often uniform numbers would leave a band that those seen just leave.

    The p-value is exact to some 1e-9; one below 1e-8 is Bonferroni's bound of it instead. It is at
    most 0.05 where, and only where, the counts are not all within `uniform_band` of probability
    0.95 (of up to 20,000 numbers).

    Args:
        below: How many of the numbers lie below each level.
        units: How many there are.
        levels: Increasing, inside (0, 1).

    Returns:
        The p-value.

    Example:
        >>> levels = np.arange(1, 10) / 10
        >>> for below in ([1, 2, 4, 4, 5, 6, 6, 8, 9], [4, 5, 7, 8, 8, 9, 10, 10, 10]):
        ...     print(f"{simultaneous_p_value(np.array(below), 10, levels):.3f}")
        0.977
        0.040
    """
    rarest = float(_smaller_tail(np.asarray(below), units, levels).min()) * _TIE
    outside = 1 - _inside(units, levels, *_allowed(_tails(units, levels), rarest))
    return min(2 * len(levels) * rarest, 1.0) if outside < _ROUNDING else outside
