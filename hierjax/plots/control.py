"""Limits that chance alone would keep raw rates to, if units had known or random parameters."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy.special import bdtr, bdtrc, ndtr, pdtr, pdtrc

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.families.protocol import AnyFamily
from hierjax.fitting import Fit

__all__ = ["Rates", "control_limits", "outside", "population_rates"]

_BETA_BINOMIAL = BetaBinomial()
# Standard deviations, and counts, beyond which there is nothing.
_FAR, _FEW, _HALVINGS = 12.0, 60.0, 60


class Rates(NamedTuple):
    """Rates, or effects, that a unit may have, and how probable each is.

    Attributes:
        nodes: Rates.
        weights: Their probabilities.
    """

    nodes: Float[np.ndarray, "nodes"]
    weights: Float[np.ndarray, "nodes"]


def control_limits(
    rates: Rates,
    trials: Shaped[np.ndarray, "points"],
    probability: float,
    family: AnyFamily = _BETA_BINOMIAL,
) -> Float[np.ndarray, "points"]:
    r"""Raw rate below which a unit of one of these rates falls with a given probability.

    The least count r of which :math:`F(r) \ge p`, interpolated as by Spiegelhalter (2005),
    *Statistics in Medicine* 24, appendix A.1: :math:`(r - (F(r) - p) / (F(r) - F(r - 1))) / n`.
    Of measurements the value v of which F(v) = p.

    Args:
        rates: Rates that the unit may have; a single one for the plain binomial limits.
        trials: Number of trials n, exposure, or 1 / error^2, above 0.
        probability: p.
        family: Conjugate family.

    Returns:
        A rate for every n, which may lie below 0.

    Example:
        >>> fair = Rates(np.array([0.5]), np.array([1.0]))
        >>> control_limits(fair, np.array([2]), 0.25).tolist()
        [0.0]
    """
    if family.support == "reals":
        return _real_limits(rates, 1 / np.sqrt(trials), probability)
    nodes = rates.nodes[:, None]

    def cdf(count: Float[np.ndarray, "points"]) -> Float[np.ndarray, "points"]:
        inside = rates.weights @ _at_most(family, np.maximum(count, 0), trials, nodes)
        return np.where(count < 0, 0.0, inside)

    low, high = np.full(len(trials), -1.0), np.asarray(trials, float)
    if family.support == "counts":
        most = rates.nodes.max() * high
        high = np.ceil(most + _FAR * np.sqrt(most) + _FEW)
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        enough = cdf(middle) >= probability
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    last, before = cdf(high), cdf(high - 1)
    return (high - (last - probability) / np.maximum(last - before, 1e-300)) / trials


def _real_limits(
    rates: Rates, errors: Float[np.ndarray, "points"], probability: float
) -> Float[np.ndarray, "points"]:
    low = rates.nodes.min() - _FAR * errors
    high = rates.nodes.max() + _FAR * errors
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        under = rates.weights @ ndtr((middle - rates.nodes[:, None]) / errors) < probability
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return 0.5 * (low + high)


def _at_most(
    family: AnyFamily, count: np.ndarray, size: np.ndarray, nodes: np.ndarray
) -> np.ndarray:
    if family.support == "counts":
        return np.asarray(pdtr(count, size * nodes))
    return np.asarray(bdtr(count, size, nodes))


def population_rates(fit: Fit, points: int = 27, levels: int = 32) -> Rates:
    """Rates, or effects, that stand for a new unit's under the fit, far into both tails.

    Args:
        fit: A fit that found something.
        points: How many points of the hyperparameters are used, evenly spaced in probability.
        levels: How many quantiles of the population at each, closer together in the tails.

    Returns:
        Rates in ascending order, a third as many as points times levels.
    """
    host = fit.model.family.on_host
    eta = np.asarray(fit.posterior.points, np.float64).reshape(-1, 2)
    weights = np.asarray(fit.posterior.weights, np.float64).ravel()
    order = np.argsort(eta[:, 1], kind="stable")
    total = np.cumsum(weights[order])
    wanted = (np.arange(points) + 0.5) / points * total[-1]
    chosen = eta[order[np.searchsorted(total, wanted).clip(0, len(order) - 1)]]
    chosen[:, 1] = np.minimum(chosen[:, 1], 32.0 - host.log_scale(chosen[:, 0]))
    edges = ndtr(np.linspace(-4.2, 4.2, levels + 1))
    edges[[0, -1]] = 0.0, 1.0
    shapes = host.shapes(chosen[:, None], *host.nothing)
    rates = host.quantile(shapes, 0.5 * (edges[1:] + edges[:-1])).ravel()
    shares = np.tile(np.diff(edges) / points, points)
    order = np.argsort(rates, kind="stable")
    rates, shares = rates[order].reshape(-1, 3), shares[order].reshape(-1, 3)
    together = shares.sum(axis=1)
    return Rates((rates * shares).sum(axis=1) / together, together)


def outside(
    family: AnyFamily,
    rates: Rates,
    values: Shaped[np.ndarray, "units"],
    sizes: Shaped[np.ndarray, "units"],
    tail: float,
) -> Bool[np.ndarray, "units"]:
    """Units of which the population's limits leave out every value as far as theirs.

    Args:
        family: Conjugate family.
        rates: Of the population.
        values: Observed values.
        sizes: Their sizes.
        tail: Probability beyond either limit.

    Returns:
        Whether each is outside.
    """
    nodes = rates.nodes[:, None]
    if family.support == "reals":
        below = rates.weights @ ndtr((values - nodes) / sizes)
        return np.minimum(below, 1 - below) < tail
    # A count whose rate is among the population's central 90% cannot be so improbable.
    total = np.cumsum(rates.weights)
    low, high = rates.nodes[np.searchsorted(total, [0.05, 0.95]).clip(0, len(total) - 1)]
    found = (values < low * sizes) | (values > high * sizes)
    pairs, inverse = np.unique(np.stack([values[found], sizes[found]]), axis=1, return_inverse=True)
    y, n = pairs
    below = rates.weights @ _at_most(family, y, n, nodes)
    less = np.maximum(y - 1, 0)
    more = pdtrc(less, n * nodes) if family.support == "counts" else bdtrc(less, n, nodes)
    above = np.where(y > 0, rates.weights @ more, 1.0)
    found[found] = (np.minimum(below, above) < tail)[inverse.ravel()]
    return found
