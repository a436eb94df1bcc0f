"""Quantiles of the hyperparameters from the nodes of quadrature, and how they move with weights.

Every hyperparameter is a monotone function of one that rises along lines of nodes: its distribution
function is a sum over lines, each integrated up to where the parameter crosses a value.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hierjax import lattice as calculus
from hierjax.inference.quadrature import Lattice
from hierjax.posterior import HyperPosterior
from hierjax.special import CENTRAL_SLOPE

__all__ = ["from_coordinates", "lattice_quantile_effects", "lattice_quantiles", "to_parameters"]

_HALVINGS = 60
# Of the parameter's spread: differences of seven points then leave 1e-13 of the density.
_STEP = 0.02

# Where along each line of a lattice a parameter has each of some values.
Place = Callable[[Float[np.ndarray, "levels"]], Float[np.ndarray, "levels lines"]]


class _Lines(NamedTuple):
    """A parameter along lines of a lattice: rows, columns, or one line of the rows' masses.

    Attributes:
        weights: Weight of every node.
        values: The parameter at every node, rising along a line.
        place: Positions of values.
        spread: From nodes of lines to nodes of the lattice.
    """

    weights: Float[np.ndarray, "lines nodes"]
    values: Float[np.ndarray, "lines nodes"]
    place: Place
    spread: Callable[[Float[np.ndarray, "levels lines nodes"]], np.ndarray]

    def below(
        self, values: Float[np.ndarray, "levels"], tables: Sequence[np.ndarray]
    ) -> Float[np.ndarray, "levels lines"]:
        """Integrals along every line up to where the parameter crosses values."""
        lines = [np.broadcast_to(x, (len(values), *x.shape)) for x in tables]
        return calculus.interpolate_lines(self.place(values), lines)


def _tables(weights: Float[np.ndarray, "*batch nodes"]) -> tuple[np.ndarray, ...]:
    slope = calculus.derivative(weights)
    return calculus.cumulative(weights), weights, slope, calculus.derivative(slope)


def _coordinates(posterior: HyperPosterior, lattice: Lattice) -> tuple[_Lines, ...]:
    """Logit_mean and the logarithms of the concentration, alpha and beta.

    Along a line each rises; from line to line its crossing moves slowly: for logit_mean lines are
    rows, for the shape parameters columns, and for the log-concentration the only line holds the
    rows' masses.
    """
    weights = np.asarray(posterior.weights, np.float64)
    u, w = (np.asarray(x, np.float64) for x in (posterior.points[..., 0], posterior.points[..., 1]))

    def shape_parameter(sign: int) -> _Lines:
        values = (w - np.logaddexp(0, sign * u)).T
        slope = calculus.difference(values)
        bend = calculus.difference(slope)
        table = (values, slope, bend, calculus.difference(bend))

        def place(c: Float[np.ndarray, "levels"]) -> Float[np.ndarray, "levels lines"]:
            lines = [np.broadcast_to(x, (len(c), *x.shape)) for x in table]
            return calculus.crossing(c[:, None], lines)

        return _Lines(weights.T, values, place, lambda x: np.swapaxes(x, 1, 2))

    return (
        _Lines(weights, u, lambda c: lattice.column_position(c[:, None]), lambda x: x),
        _Lines(
            weights.sum(axis=1)[None],
            w[None, :, 0],
            lambda c: lattice.row_position(c[:, None]),
            lambda x: np.broadcast_to(x[:, 0, :, None], (len(x), *weights.shape)),
        ),
        shape_parameter(-1),
        shape_parameter(1),
    )


def _solve(lines: _Lines, levels: Float[np.ndarray, "levels"]) -> Float[np.ndarray, "levels"]:
    """Quantiles, by bisection."""
    tables = _tables(lines.weights)
    likely = lines.values[lines.weights > 1e-12]
    low, high = (np.full(len(levels), end) for end in (likely.min(), likely.max()))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        under = lines.below(middle, tables).sum(axis=1) < levels
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return 0.5 * (low + high)


def from_coordinates(
    coordinates: Float[np.ndarray, "4 *batch"],
) -> Float[np.ndarray, "6 *batch"]:
    """Every hyperparameter from logit_mean and the logarithms of concentration, alpha and beta.

    Args:
        coordinates: Those four.

    Returns:
        The six of `PARAMETERS`.
    """
    logit_mean, log_concentration, *_ = coordinates
    mean = 1 / (1 + np.exp(-logit_mean))
    return np.stack([logit_mean, log_concentration, mean, *np.exp(coordinates[1:])])


def to_parameters(
    coordinates: Float[np.ndarray, "4 *batch"], moved: Float[np.ndarray, "4 *batch points"]
) -> Float[np.ndarray, "6 *batch points"]:
    """How every hyperparameter moves when the coordinates of `from_coordinates` do.

    Args:
        coordinates: Logit_mean and the logarithms of concentration, alpha and beta.
        moved: Their derivatives.

    Returns:
        Derivatives of `PARAMETERS`.
    """
    _, _, mean, *rest = from_coordinates(coordinates)
    ones = np.ones_like(mean)
    slopes = np.stack([ones, ones, mean * (1 - mean), *rest])
    return slopes[..., None] * moved[[0, 1, 0, 1, 2, 3]]


def lattice_quantiles(
    posterior: HyperPosterior, lattice: Lattice, levels: Float[np.ndarray, "levels"]
) -> Float[np.ndarray, "6 levels"]:
    """Quantiles of every hyperparameter from the nodes of quadrature.

    P(parameter < c) is summed over lines of nodes, each integrated up to where the parameter
    crosses c, and c is found by bisection.

    Args:
        posterior: Nodes and weights.
        lattice: Where they are.
        levels: Probabilities.

    Returns:
        Quantiles in the order of `PARAMETERS`.
    """
    levels = np.asarray(levels, np.float64)
    found = [_solve(lines, levels) for lines in _coordinates(posterior, lattice)]
    return from_coordinates(np.stack(found))


def lattice_quantile_effects(
    posterior: HyperPosterior, lattice: Lattice, levels: Float[np.ndarray, "levels"]
) -> Float[np.ndarray, "6 levels rows columns"]:
    r"""What weight on each node does to the quantiles of every hyperparameter.

    The distribution function is linear in the weights, :math:`F(c) = \\sum_s w_s k_s(c)`, with
    :math:`k_s` the share of a node's weight that is integrated below c, so a quantile q at level
    p moves by :math:`\\sum_s \\dot w_s \\psi_s` with

    .. math:: \\psi_s = -\\frac{k_s(q) - p}{F'(q)}

    (its influence function; Huber 1981, *Robust Statistics*, sec. 3.2).

    Args:
        posterior: Nodes and weights.
        lattice: Where they are.
        levels: Probabilities.

    Returns:
        The effects, whose mean under the weights is zero.
    """
    levels = np.asarray(levels, np.float64)
    quantiles, effects = [], []
    for lines in _coordinates(posterior, lattice):
        found = _solve(lines, levels)
        shares, density = _shares(lines, found)
        quantiles.append(found)
        effects.append(lines.spread((levels[:, None, None] - shares) / density[:, None, None]))
    flat = np.stack(effects).reshape(4, len(levels), posterior.weights.size)
    return to_parameters(np.stack(quantiles), flat).reshape(6, *effects[0].shape)


def _shares(
    lines: _Lines, values: Float[np.ndarray, "levels"]
) -> tuple[Float[np.ndarray, "levels lines nodes"], Float[np.ndarray, "levels"]]:
    """Share of every node's weight that is integrated below values, and the density there."""
    size = lines.weights.shape[-1]
    position = np.repeat(lines.place(values)[..., None], size, axis=-1)
    each = [np.broadcast_to(x, (*position.shape, size)) for x in _tables(np.eye(size))]
    shares = calculus.interpolate_lines(position, each)
    tables, total = _tables(lines.weights), lines.weights.sum()
    mean = np.sum(lines.weights * lines.values) / total
    step = _STEP * np.sqrt(np.sum(lines.weights * (lines.values - mean) ** 2) / total)
    density = np.zeros(len(values))
    for k, share in CENTRAL_SLOPE:
        ends = [lines.below(values + sign * k * step, tables).sum(axis=1) for sign in (1, -1)]
        density += share * (ends[0] - ends[1]) / step
    return shares, density
