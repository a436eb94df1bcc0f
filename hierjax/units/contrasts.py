"""Contrasts of two units: which parameter is higher, by how much, and what a wrong choice costs.

Units share the hyperparameters and are independent given them, so every probability is an average
over points of the mixture of an integral over one unit's parameter of the other's distribution
function. Many
comparisons are made at once.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri

from hierjax.families.host_protocol import OnHost
from hierjax.families.protocol import AnyFamily
from hierjax.inference.result import Progress
from hierjax.units.joint import Joint, UnitShapes, point_groups
from hierjax.units.mixture import Mixture
from hierjax.units.nodes import unit_nodes

__all__ = ["Contrast", "contrast", "contrasts"]

# Comparisons made at once: few enough for their tables to stay near the processor.
_BATCH, _MOST_TABLES = 32, 128
# Logarithms of ratios that are looked at, differences without bounds in standard deviations, and
# accuracy of interval ends in standard deviations or normal scores.
_LOGS, _FARTHEST, _TOLERANCE = 700.0, 1e4, 1e-9
# Logarithm of ratios of variances of which either unit is narrow enough.
_ALIKE = 1.5
# In standard deviations; of smaller losses a lattice has few digits.
_RARE_LOSS = 1e-5
# Secant steps before every other step halves the bracket, and steps in all.
_SECANTS, _STEPS = 8, 120
# Probabilities whose normal scores are finite.
_LEAST, _MOST = 1e-300, 1 - 1e-16


class Contrast(NamedTuple):
    """Units a against units b: arrays of all pairs, or numbers of one.

    Attributes:
        p_greater: P(theta_a > theta_b).
        difference_mean: E[theta_a - theta_b].
        difference_low: Lower end of the interval of theta_a - theta_b.
        difference_high: Upper end.
        ratio_low: Lower end of the interval of theta_a / theta_b; NaN of effects of either sign.
        ratio_high: Upper end.
        expected_loss: E[max(theta_b - theta_a, 0)], what choosing a is expected to cost.
    """

    p_greater: Any
    difference_mean: Any
    difference_low: Any
    difference_high: Any
    ratio_low: Any
    ratio_high: Any
    expected_loss: Any


class _Units(NamedTuple):
    """Distinct units of a batch: shapes at every point, and two moments of the parameter."""

    shapes: UnitShapes
    mean: Float[np.ndarray, "units"]
    variance: Float[np.ndarray, "units"]


def contrast(
    family: AnyFamily,
    mixture: Mixture,
    first: Sequence[float],
    second: Sequence[float],
    level: float,
) -> Contrast:
    """Compares the parameters of two units; see `contrasts`.

    Args:
        family: Conjugate family.
        mixture: Points of the hyperparameters.
        first: Value and size of unit a.
        second: Of unit b.
        level: Probability of the equal-tailed intervals.

    Returns:
        The contrast, of numbers.
    """
    a, b = (np.array([unit], float).T for unit in (first, second))
    one = contrasts(family, mixture, a, b, level)
    return Contrast(*(float(values[0]) for values in one))


def contrasts(
    family: AnyFamily,
    mixture: Mixture,
    first: Float[np.ndarray, "2 pairs"],
    second: Float[np.ndarray, "2 pairs"],
    level: float,
    progress: Progress | None = None,
) -> Contrast:
    r"""Compares the parameters of many pairs of units.

    .. math:: P(\theta_a - \theta_b < d) = \sum_s w_s \int P(\theta_a < t + d \mid s)\,
        p(\theta_b = t \mid s)\, dt

    Args:
        family: Conjugate family.
        mixture: Points of the hyperparameters.
        first: Values and sizes of units a.
        second: Of units b.
        level: Probability of the equal-tailed intervals.
        progress: Called with the number of comparisons made and their total.

    Returns:
        The contrasts.
    """
    count, host = first.shape[1], family.on_host
    found = np.empty((len(Contrast._fields), count))
    kept = mixture.weights > 0
    points, weights = mixture.points[kept], mixture.weights[kept]
    for start in range(0, count, _BATCH):
        batch = slice(start, start + _BATCH)
        asked = np.concatenate([first[:, batch], second[:, batch]], axis=1)
        distinct, place = np.unique(asked, axis=1, return_inverse=True)
        a, b = np.split(place.ravel(), 2)
        shapes = host.shapes(points, *distinct[..., None])
        moments = (of(shapes) @ weights for of in (host.mean, host.variance))
        found[:, batch] = _compare(host, _Units(shapes, *moments), weights, a, b, level)
        if progress:
            progress(min(start + _BATCH, count), count)
    return Contrast(*found)


def _compare(
    family: OnHost,
    units: _Units,
    weights: Float[np.ndarray, "points"],
    a: Int[np.ndarray, "pairs"],
    b: Int[np.ndarray, "pairs"],
    level: float,
) -> Float[np.ndarray, "answers pairs"]:
    """All answers about pairs of units, given by their positions."""
    shapes, mean, variance = units
    groups = point_groups(family, shapes)
    if len(a) > 1 and len(a) * sum(map(len, groups)) > _MOST_TABLES:
        halves = (slice(None, len(a) // 2), slice(len(a) // 2, None))
        parts = [_compare(family, units, weights, a[half], b[half], level) for half in halves]
        return np.concatenate(parts, axis=1)
    both = [
        [Joint(family, shapes, group, weights, *sides) for group in groups]
        for sides in ((b, a), (a, b))
    ]
    low, high = (1 - level) / 2, (1 + level) / 2
    # Sums over nodes of the narrower unit, on whose scale the other's function is smooth: in
    # logarithms for ratios, whose accuracy serves all but the ends of differences.
    relative = variance / mean**2 if family.has_ratios else variance
    turned = relative[a] < relative[b]
    ratios = [np.full(len(a), np.nan)] * 2
    if family.has_ratios:
        center, sd = np.log(mean[a] / mean[b]), np.sqrt(relative[a] + relative[b])
        ratios = [
            np.exp(_ends(both, Joint.below_scaled, tail, turned, (center, sd), _LOGS))
            for tail in (low, high)
        ]
    below = [np.sum([j.below() for j in side], axis=0) for side in both]
    excess = [np.sum([j.mean_excess() for j in side], axis=0) for side in both]
    # The other's function has an edge where a rate and the difference add up to 0 or 1, which of
    # units about as wide is to be where the rates are not. With one bound, that is 0.
    center, sd = mean[a] - mean[b], np.sqrt(variance[a] + variance[b])
    small = (mean[a] + mean[b] < 1) | (not family.edges[1])
    alike = np.abs(np.log(variance[a] / variance[b])) < _ALIKE
    narrower, most = variance[a] < variance[b], _largest_difference(family, units, weights, a, b)
    differences = [
        _ends(both, Joint.below_shifted, tail, np.where(alike, turn, narrower), (center, sd), most)
        for tail, turn in ((low, small), (high, ~small))
    ]
    # Of small losses no digits are to cancel.
    loss = np.where(np.where(alike, center < 0, narrower), excess[1] - center, excess[0])
    for pair in np.flatnonzero(loss < _RARE_LOSS * sd):
        loss[pair] = _rare_loss(family, units, weights, int(a[pair]), int(b[pair]))
    greater = np.where(turned, below[1], 1 - below[0])
    return np.stack([greater, center, *differences, *ratios, loss])


def _largest_difference(
    family: OnHost,
    units: _Units,
    weights: Float[np.ndarray, "points"],
    a: Int[np.ndarray, "pairs"],
    b: Int[np.ndarray, "pairs"],
) -> Float[np.ndarray, "pairs"]:
    """Differences within which ends of intervals are looked for."""
    if all(family.edges):
        return np.ones(len(a))
    apart = (family.mean(units.shapes) - units.mean[:, None]) ** 2 @ weights
    spread = np.sqrt(units.variance + apart)
    return np.abs(units.mean[a] - units.mean[b]) + _FARTHEST * (spread[a] + spread[b])


def _rare_loss(
    family: OnHost, units: _Units, weights: Float[np.ndarray, "points"], a: int, b: int
) -> float:
    """E[max(theta_b - theta_a, 0)] at every point, by distribution functions without lattices."""
    (first, second), (one, other) = units.shapes, (slice(b, b + 1), slice(a, a + 1))
    places, shares = unit_nodes(family, (first[one][0], second[one][0]))
    excess = family.excess((first[other].T, second[other].T), places)
    return float(weights @ np.sum(shares * excess, axis=1))


def _ends(
    both: Sequence[Sequence[Joint]],
    below: Callable[[Joint, np.ndarray], np.ndarray],
    tail: float,
    turned: Bool[np.ndarray, "pairs"],
    guess: tuple[Float[np.ndarray, "pairs"], Float[np.ndarray, "pairs"]],
    limit: float | Float[np.ndarray, "pairs"],
) -> Float[np.ndarray, "pairs"]:
    """One end of all intervals: of a against b or, turned around, of b against a."""
    (center, sd), found = guess, np.empty(len(turned))
    limit = np.broadcast_to(limit, found.shape)
    for joints, at, sign in zip(both, (~turned, turned), (1, -1), strict=True):
        if at.any():
            chosen = [joint.of(at) for joint in joints]

            def probability(place: np.ndarray, chosen: list[Joint] = chosen) -> np.ndarray:
                return np.sum([below(joint, place) for joint in chosen], axis=0)

            wanted = sign * float(ndtri(tail))
            found[at] = sign * _roots(probability, wanted, (sign * center[at], sd[at]), limit[at])
    return found


def _roots(
    function: Callable[[np.ndarray], np.ndarray],
    wanted: float,
    guess: tuple[Float[np.ndarray, "pairs"], Float[np.ndarray, "pairs"]],
    limit: Float[np.ndarray, "pairs"],
) -> Float[np.ndarray, "pairs"]:
    """Where distribution functions have a normal score, from the normals they would be close to.

    Secants of the scores, which are nearly straight, within a bracket. Beyond the limits the
    answer is the limit.
    """
    center, sd = guess
    low, high = -limit, limit
    place = np.clip(center + sd * wanted, -limit, limit)
    slope, before, score_before = 1 / sd, place, wanted
    for step in range(_STEPS):
        score = ndtri(np.clip(function(place), _LEAST, _MOST))
        low, high = np.where(score <= wanted, place, low), np.where(score >= wanted, place, high)
        moved = place - before
        rise = np.divide(score - score_before, moved, out=np.zeros_like(place), where=moved != 0)
        slope = np.where(rise > 0, rise, slope)
        before, score_before = place, score
        ahead = place + (wanted - score) / slope
        halved = ~((ahead >= low) & (ahead <= high)) | ((step >= _SECANTS) & (step % 2 == 0))
        found = np.abs(score - wanted) <= _TOLERANCE
        place = np.where(found, place, np.where(halved, 0.5 * (low + high), ahead))
        if np.all(found | (high - low <= _TOLERANCE * sd)):
            break
    return place
