"""Quantiles of the hyperparameters from the nodes of quadrature, and how they move with weights.

Every hyperparameter is a monotone function of one that rises along lines of nodes: its distribution
function is a sum over lines, each integrated up to where the parameter crosses a value.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hierjax import lattice as calculus
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.families.hyperparameters import Direction, Hyperparameters
from hierjax.inference.quadrature import Lattice
from hierjax.posterior import HyperPosterior
from hierjax.special import CENTRAL_SLOPE

__all__ = ["lattice_quantile_effects", "lattice_quantiles"]

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
        multiple: What of the direction the parameter is; if negative, the direction falls.
    """

    weights: Float[np.ndarray, "lines nodes"]
    values: Float[np.ndarray, "lines nodes"]
    place: Place
    spread: Callable[[Float[np.ndarray, "levels lines nodes"]], np.ndarray]
    multiple: float = 1.0

    def of_line(self, levels: Float[np.ndarray, "levels"]) -> Float[np.ndarray, "levels"]:
        """Levels of what rises along lines, for levels of the direction."""
        return levels if self.multiple > 0 else 1 - levels

    def below(
        self, values: Float[np.ndarray, "levels"], tables: Sequence[np.ndarray]
    ) -> Float[np.ndarray, "levels lines"]:
        """Integrals along every line up to where the parameter crosses values."""
        lines = [np.broadcast_to(x, (len(values), *x.shape)) for x in tables]
        return calculus.interpolate_lines(self.place(values), lines)


def _tables(weights: Float[np.ndarray, "*batch nodes"]) -> tuple[np.ndarray, ...]:
    slope = calculus.derivative(weights)
    return calculus.cumulative(weights), weights, slope, calculus.derivative(slope)


def _lines(direction: Direction, posterior: HyperPosterior, lattice: Lattice) -> _Lines:
    """A direction along lines on which it, or minus it, rises.

    From line to line its crossing moves slowly: for the first coordinate lines are rows, for what
    depends on both columns, and for the second the only line holds the rows' masses.
    """
    weights = np.asarray(posterior.weights, np.float64)
    points = np.asarray(posterior.points, np.float64)
    if direction.follows == 0:
        return _Lines(
            weights, direction(points), lambda c: lattice.column_position(c[:, None]), lambda x: x
        )
    if direction.follows == 1:
        return _Lines(
            weights.sum(axis=1)[None],
            points[None, :, 0, 1],
            lambda c: lattice.row_position(c[:, None]),
            lambda x: np.broadcast_to(x[:, 0, :, None], (len(x), *weights.shape)),
            direction.second,
        )
    values = direction(points).T
    slope = calculus.difference(values)
    bend = calculus.difference(slope)
    table = (values, slope, bend, calculus.difference(bend))

    def place(c: Float[np.ndarray, "levels"]) -> Float[np.ndarray, "levels lines"]:
        lines = [np.broadcast_to(x, (len(c), *x.shape)) for x in table]
        return calculus.crossing(c[:, None], lines)

    return _Lines(weights.T, values, place, lambda x: np.swapaxes(x, 1, 2))


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


def lattice_quantiles(
    posterior: HyperPosterior,
    lattice: Lattice,
    levels: Float[np.ndarray, "levels"],
    reported: Hyperparameters = BetaBinomial.hyperparameters,
) -> Float[np.ndarray, "parameters levels"]:
    """Quantiles of every hyperparameter from the nodes of quadrature.

    P(parameter < c) is summed over lines of nodes, each integrated up to where the parameter
    crosses c, and c is found by bisection.

    Args:
        posterior: Nodes and weights.
        lattice: Where they are.
        levels: Probabilities.
        reported: The family's hyperparameters.

    Returns:
        Their quantiles, in order.
    """
    levels = np.asarray(levels, np.float64)
    each = [_lines(direction, posterior, lattice) for direction in reported.directions]
    found = [lines.multiple * _solve(lines, lines.of_line(levels)) for lines in each]
    return reported.from_directions(np.stack(found))


def lattice_quantile_effects(
    posterior: HyperPosterior,
    lattice: Lattice,
    levels: Float[np.ndarray, "levels"],
    reported: Hyperparameters = BetaBinomial.hyperparameters,
) -> Float[np.ndarray, "parameters levels rows columns"]:
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
        reported: The family's hyperparameters.

    Returns:
        The effects, whose mean under the weights is zero.
    """
    levels = np.asarray(levels, np.float64)
    quantiles, effects = [], []
    for direction in reported.directions:
        lines = _lines(direction, posterior, lattice)
        own = lines.of_line(levels)
        found = _solve(lines, own)
        shares, density = _shares(lines, found)
        quantiles.append(lines.multiple * found)
        effect = lines.spread((own[:, None, None] - shares) / density[:, None, None])
        effects.append(lines.multiple * effect)
    flat = np.stack(effects).reshape(len(effects), len(levels), posterior.weights.size)
    moved = reported.moved(np.stack(quantiles), flat)
    return moved.reshape(len(moved), *effects[0].shape)


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
