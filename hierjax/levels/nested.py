r"""Nested quadrature: the labs' coordinates integrated out, then what is above them.

The hyperparameters above the labs are two pairs, a mean and a standard deviation of each
coordinate. Given a node for one pair and one for the other a lab's likelihood is a product of two
vectors, so that all nodes of a product rule cost little more than those of both factors.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp, ndtr

from hierjax.levels.basis import density_coefficients
from hierjax.levels.model import TopPrior
from hierjax.levels.rule import Block, Placement, first_placement, next_placement
from hierjax.levels.top import Level, Maximum, ascend, units

__all__ = ["TopPosterior", "integrate", "mixture_quantiles"]

_STAGES, _COARSE_ROWS, _COARSE_COLUMNS = 7, 11, 9
_HALVINGS = 40
# Rows or columns are doubled, so often at most, while every second of them would change so much.
_REFINEMENTS, _FINE = 2, 0.15
# The least information on a scaled coordinate that nodes are first placed by.
_LEAST = 0.3


@dataclass(frozen=True)
class TopPosterior:
    """The posterior of what is above the labs, as weighted nodes.

    Attributes:
        blocks: Nodes for the locations, and for the log-concentrations.
        weights: Of all pairs of nodes, summing to one.
        log_evidence: Log of the integral of likelihood times hyperprior.
        error_estimate: Largest difference, relative to posterior standard deviations, between this
            rule and the one with every second row and column of each block.
        edge_mass: Weight on the outermost rows and columns; not of rows at 0.
        maximum: Of the posterior density.
    """

    blocks: tuple[Block, Block]
    weights: Float[np.ndarray, "nodes others"]
    log_evidence: float
    error_estimate: float
    edge_mass: float
    maximum: Maximum

    def marginal(self, block: int) -> Float[np.ndarray, "rows columns"]:
        """Weights of one block's nodes."""
        weights = self.weights.sum(axis=1 - block)
        return np.asarray(weights.reshape(self.blocks[block].points.shape[:2]))

    def moments(self) -> tuple[Float[np.ndarray, "4"], Float[np.ndarray, "4"]]:
        """Posterior means and standard deviations of both means and standard deviations."""
        mean, sd = _moments(self.blocks, self.weights)
        return mean, sd

    def quantiles(self, levels: Float[np.ndarray, "levels"]) -> Float[np.ndarray, "4 levels"]:
        """Posterior quantiles, likewise."""
        found = []
        for i, block in enumerate(self.blocks):
            weights = self.marginal(i)
            columns = weights @ density_coefficients(weights.shape[1]).T
            step = np.broadcast_to(block.step[:, None], columns.shape)
            found.append(mixture_quantiles(block.points[..., 0], step, columns, levels))
            x, mass = block.x, weights.sum(axis=1)
            if x[0] == 0:
                mass = np.concatenate([mass[:0:-1], [2 * mass[0]], mass[1:]]) / 2
                x = np.concatenate([-x[:0:-1], x])
                levels_x = 0.5 * (1 + levels)
            else:
                levels_x = levels
            rows = density_coefficients(len(x)) @ mass
            at = mixture_quantiles(x, np.full(len(x), x[1] - x[0]), rows, levels_x)
            found.append(block.scale * np.sinh(at))
        return np.array(found)


def mixture_quantiles(
    centers: Float[np.ndarray, "*nodes"],
    widths: Float[np.ndarray, "*nodes"],
    masses: Float[np.ndarray, "*nodes"],
    levels: Float[np.ndarray, "levels"],
) -> Float[np.ndarray, "levels"]:
    """Quantiles of a mixture of normal distributions, by bisection; masses may be negative."""
    centers, widths, masses = (x.ravel() for x in (centers, widths, masses))
    low = np.full(levels.shape, (centers - 6 * widths).min())
    high = np.full(levels.shape, (centers + 6 * widths).max())
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        below = ndtr((middle[:, None] - centers) / widths) @ masses < levels * masses.sum()
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(0.5 * (low + high))


def _moments(
    blocks: tuple[Block, Block], weights: Float[np.ndarray, "nodes others"]
) -> tuple[Float[np.ndarray, "4"], Float[np.ndarray, "4"]]:
    means, sds = [], []
    for i, block in enumerate(blocks):
        each = weights.sum(axis=1 - i) / weights.sum()
        mean = each @ block.nodes
        variance = each @ (block.nodes - mean) ** 2
        # The square of a standard deviation is even, and its integral exact as it is.
        square = variance[1] + mean[1] ** 2
        mean[1] += _odd_correction(block, each.reshape(block.points.shape[:2]).sum(axis=1))
        variance[1] = square - mean[1] ** 2
        means.append(mean)
        sds.append(np.sqrt(variance))
    return np.concatenate(means), np.concatenate(sds)


def _odd_correction(block: Block, by_row: Float[np.ndarray, "rows"]) -> float:
    r"""What the trapezoidal rule lacks of the mean of tau, which is odd, from its end at 0.

    Euler and Maclaurin's formula: with f(x) = s sinh(x) p(x) and h the step it is
    f'(0) h^2 / 12 - f'''(0) h^4 / 720.
    """
    if block.x[0] != 0:
        return 0.0
    step = block.x[1] - block.x[0]
    first, second = 2 * by_row[0] / step, by_row[1] / step
    bend = 2 * (second - first) / step**2
    return float(block.scale * (step**2 / 12 * first - step**4 / 720 * (first + 3 * bend)))


def _compared(
    blocks: tuple[Block, Block], weights: Float[np.ndarray, "nodes others"]
) -> Float[np.ndarray, "7"]:
    """Evidence, and of each block what is even in tau: what a coarser rule is judged by."""
    found = [np.log(weights.sum())]
    for i, block in enumerate(blocks):
        each = weights.sum(axis=1 - i) / weights.sum()
        mean, square = each @ block.nodes[:, 0], each @ block.nodes[:, 1] ** 2
        sd = np.sqrt(each @ (block.nodes[:, 0] - mean) ** 2)
        found += [mean, np.log(sd), 0.5 * np.log(square)]
    return np.array(found)


def _log_posterior(
    level: Level, prior: TopPrior, blocks: tuple[Block, Block]
) -> Float[np.ndarray, "nodes others"]:
    """Log-posterior density at all pairs of nodes, the rule's weights included."""
    total = level.log_likelihoods(blocks[0].nodes, blocks[1].nodes)
    for i, block in enumerate(blocks):
        mean, sd = block.points[..., 0], block.points[..., 1]
        each = (prior.log_density(i, mean, sd) + block.log_weight).ravel()
        total += each[:, None] if i == 0 else each
    return total


def _covariance(maximum: Maximum, unit: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4 4"]:
    values, vectors = np.linalg.eigh(-maximum.hessian * np.outer(unit, unit))
    inverse = (vectors / np.maximum(np.abs(values), _LEAST)) @ vectors.T
    return np.asarray(inverse * np.outer(unit, unit))


def integrate(level: Level, prior: TopPrior, rows: int, columns: int) -> TopPosterior:
    """Integrates the posterior of what is above the labs.

    Nodes are first placed by the posterior's maximum and its curvature there, then where coarse
    rules find the weight, until they are well placed.

    Args:
        level: The labs.
        prior: Hyperprior.
        rows: Standard deviations in each block, odd; more where they do not suffice.
        columns: Means in each row, odd; likewise.

    Returns:
        The posterior.
    """
    maximum = ascend(level, prior, posterior=True)
    error = np.sqrt(np.diagonal(_covariance(maximum, units(level, prior))))
    places: list[Placement] = [
        first_placement(
            maximum.top[2 * i : 2 * i + 2],
            error[2 * i : 2 * i + 2],
            np.asarray(level.every.mode[:, i], np.float64),
            np.asarray(level.every.spread[:, i], np.float64),
        )
        for i in range(2)
    ]
    for _ in range(_STAGES):
        blocks = tuple(place.block(_COARSE_ROWS, _COARSE_COLUMNS) for place in places)
        log_density = _log_posterior(level, prior, (blocks[0], blocks[1]))
        weights = np.exp(log_density - log_density.max())
        placed = [
            next_placement(place, block, weights.sum(axis=1 - i).reshape(block.points.shape[:2]))
            for i, (place, block) in enumerate(zip(places, blocks, strict=True))
        ]
        places = [place for place, _ in placed]
        if all(enough for _, enough in placed):
            break
    sizes = np.array([rows, columns, rows, columns])
    for refinement in range(_REFINEMENTS + 1):
        final = places[0].block(*sizes[:2].tolist()), places[1].block(*sizes[2:].tolist())
        log_density = _log_posterior(level, prior, final)
        errors = _errors(final, np.exp(log_density - log_density.max()))
        coarse = errors > _FINE
        if refinement == _REFINEMENTS or not coarse.any():
            break
        sizes = np.where(coarse, 2 * sizes - 1, sizes)
    return _judged(log_density, final, level.log_largest, float(errors.max()), maximum)


def _errors(
    blocks: tuple[Block, Block], weights: Float[np.ndarray, "nodes others"]
) -> Float[np.ndarray, "4"]:
    """What every second row and column of each block would change, in standard deviations."""
    exact = _compared(blocks, weights)
    unit = np.ones(7)
    unit[[1, 4]] = np.exp(exact[[2, 5]])
    each = weights.reshape(*blocks[0].points.shape[:2], *blocks[1].points.shape[:2])
    errors = np.empty(4)
    for axis in range(4):
        half: list[slice] = [slice(None)] * 4
        half[axis] = slice(None, None, 2)
        thinned = np.zeros_like(each)
        thinned[tuple(half)] = 2 * each[tuple(half)]
        coarse = _compared(blocks, thinned.reshape(weights.shape))
        errors[axis] = np.abs((coarse - exact) / unit).max()
    return errors


def _judged(
    log_density: Float[np.ndarray, "nodes others"],
    blocks: tuple[Block, Block],
    constant: float,
    error: float,
    maximum: Maximum,
) -> TopPosterior:
    weights = np.exp(log_density - log_density.max())
    total = weights.sum()
    each = weights.reshape(*blocks[0].points.shape[:2], *blocks[1].points.shape[:2])
    edges = 0.0
    for axis in range(4):
        others = tuple(a for a in range(4) if a != axis)
        mass = each.sum(axis=others) / total
        at_zero = axis in (0, 2) and blocks[axis // 2].x[0] == 0
        edges += float(mass[-1] + (0.0 if at_zero else mass[0]))
    log_evidence = float(logsumexp(log_density)) + constant
    return TopPosterior(blocks, weights / total, log_evidence, error, edges, maximum)
