"""Quadrature: the exact posterior of the hyperparameters, deterministically.

The posterior of the working coordinates is two-dimensional, smooth and analytic, so the
trapezoidal rule on a lattice that follows it converges exponentially (Trefethen & Weideman 2014,
"The exponentially convergent trapezoidal rule"). Rows of the lattice have one log-concentration
and are placed by a hyperbolic sine, which reaches the tail exp(-w/2) with few of them; within a
row nodes are centred and scaled by the location's conditional mode and curvature.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from hierjax.inference.row_placing import place_rows
from hierjax.model import Model
from hierjax.posterior import HyperPosterior

__all__ = ["Lattice", "QuadratureResult", "draw", "propose", "quadrature"]

# 32 columns and more reach sinh(0.7 * 5.6) / 0.7 = 36 conditional standard deviations.
_COLUMN_STRETCH = 0.7
# A cell's density may exceed that of the nine nodes around by this factor.
_ENVELOPE = 1.1
# Proposals for each draw: some 0.7 of them are accepted.
_PROPOSALS = 1.5
# Terms of log-posteriors, points times pairs, in memory at once; each takes some 500 bytes.
_CELLS = 1 << 21


class Lattice(NamedTuple):
    """Where the nodes are: uniform in hidden coordinates, stretched by hyperbolic sines.

    Attributes:
        log_concentration: w of every row.
        center: Conditional mode of the location in every row.
        scale: Conditional standard deviation of the location, by curvature.
        row_center: w at which rows are densest.
        row_scale: Unit of the rows' stretching.
        row_start: Hidden coordinate of the first row.
        row_step: Distance of rows in the hidden coordinate.
        log_density: Log-posterior density of the hidden coordinates, up to a constant.
    """

    log_concentration: Float[Array, "rows"]
    center: Float[Array, "rows"]
    scale: Float[Array, "rows"]
    row_center: Float[Array, ""]
    row_scale: Float[Array, ""]
    row_start: Float[Array, ""]
    row_step: Float[Array, ""]
    log_density: Float[Array, "rows columns"]

    @property
    def column_step(self) -> float:
        """Distance of columns in the hidden coordinate."""
        columns = self.log_density.shape[-1]
        return 2 * _column_reach(columns) / (columns - 1)

    def column_position(self, location: Float[Any, "*batch 1"]) -> Float[Any, "*batch rows"]:
        """Where locations lie in every row, in steps from the first node; NumPy's on the host."""
        relative = (location - self.center) / self.scale
        arcsinh = jnp.arcsinh if isinstance(relative, jax.Array) else np.arcsinh
        hidden = arcsinh(_COLUMN_STRETCH * relative) / _COLUMN_STRETCH
        return hidden / self.column_step + 0.5 * (self.log_density.shape[-1] - 1)

    def row_position(self, log_concentration: Float[np.ndarray, "*batch"]) -> np.ndarray:
        """Where log-concentrations lie, in steps from the first row."""
        hidden = np.arcsinh((log_concentration - self.row_center) / self.row_scale)
        return (hidden - self.row_start) / self.row_step

    def row_value(self, position: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Log-concentration at a position in steps from the first row."""
        hidden = self.row_start + position * self.row_step
        return self.row_center + self.row_scale * jnp.sinh(hidden)


def _column_reach(columns: int) -> float:
    """Where columns end: as a double exponential rule's, later by so much for twice as many."""
    return min(4.0 + 1.6 * math.log2(columns / 16), 5.6)


class QuadratureResult(NamedTuple):
    """The posterior and how far it may be trusted.

    Attributes:
        posterior: Lattice nodes with weights.
        lattice: Where they are.
        log_evidence: Log of the integral of likelihood times hyperprior.
        error_estimate: Largest difference, relative to the posterior standard deviations, between
            this rule and the one with every second row and column. It bounds the coarser rule's
            error; this rule's is about its square.
        edge_mass: Weight on the outermost rows and columns.
    """

    posterior: HyperPosterior
    lattice: Lattice
    log_evidence: Float[Array, ""]
    error_estimate: Float[Array, ""]
    edge_mass: Float[Array, ""]


def _log_posteriors(
    model: Model,
    tally: Any,
    location: Float[Array, "rows columns"],
    log_concentration: Float[Array, "rows"],
) -> Float[Array, "rows columns"]:
    """Log-posterior densities, of so many rows at a time that memory is bounded.

    What depends on the concentration alone is computed once a row.
    """

    def row(place: tuple[Float[Array, "columns"], Float[Array, ""]]) -> Float[Array, "columns"]:
        u, w = place
        return jax.vmap(lambda u: model.log_posterior(tally, jnp.stack([u, w])))(u)

    places = (location, log_concentration)
    batch = max(1, _CELLS // (tally.terms * location.shape[1]))
    if batch >= len(location):
        return jax.vmap(row)(places)
    return jax.lax.map(row, places, batch_size=batch)


def _summary(
    points: Float[Array, "rows columns 2"],
    log_density: Float[Array, "rows columns"],
    log_cell: Float[Array, ""],
) -> tuple[Float[Array, "5"], Float[Array, "2"]]:
    """Evidence, means and log standard deviations of one rule, and its standard deviations."""
    peak = jnp.max(log_density)
    mass = jnp.exp(log_density - peak)
    total = jnp.sum(mass)
    mean = jnp.sum(mass[..., None] * points, axis=(0, 1)) / total
    variance = jnp.sum(mass[..., None] * (points - mean[None, None]) ** 2, axis=(0, 1)) / total
    spread = jnp.sqrt(variance)
    return jnp.concatenate(
        [(peak + jnp.log(total) + log_cell)[None], mean, jnp.log(spread)]
    ), spread


def quadrature(
    model: Model,
    tally: Any,
    rows: int = 72,
    columns: int = 64,
    placing: int | None = None,
) -> QuadratureResult:
    r"""Integrates the posterior of the hyperparameters on a lattice.

    .. math:: p(\eta \mid Y) \propto p(Y \mid \eta)\, p(\eta), \qquad \eta = (u, w)

    Pure: may be jitted (with `rows`, `columns` and `placing` static), batched and differentiated.

    Args:
        model: Family and hyperprior; the posterior must be proper.
        tally: The units.
        rows: Number of log-concentrations, even.
        columns: Number of locations in each row, even.
        placing: Number of rows on which conditional modes are sought; by default all. Between
            them modes are interpolated, which moves nodes and changes no integral.

    Returns:
        The posterior, its evidence and error estimate.

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> tally = hj.Tally.of(hj.datasets.rat_tumors()).arrays()
        >>> result = jax.jit(quadrature)(hj.Model(), tally)
        >>> print(f"{float(result.log_evidence):.2f}")
        -159.11
    """
    tally = jax.tree.map(jnp.asarray, tally)
    dtype = tally.dtype
    placed = place_rows(model, tally, rows, placing)
    w, center, scale, row_center, row_scale, *_ = placed
    hidden = placed.hidden(rows)
    if placing is not None:
        found, w = w, row_center + row_scale * jnp.sinh(hidden)
        center, scale = jnp.interp(w, found, center), jnp.interp(w, found, scale)
    row_step = (hidden[-1] - hidden[0]) / (rows - 1)

    reach = _column_reach(columns)
    x = jnp.linspace(-reach, reach, columns, dtype=dtype)
    across = jnp.sinh(_COLUMN_STRETCH * x) / _COLUMN_STRETCH
    u = center[:, None] + scale[:, None] * across[None]
    points = jnp.stack([u, jnp.broadcast_to(w[:, None], u.shape)], axis=-1)
    log_target = _log_posteriors(model, tally, u, w)
    log_jacobian = (
        jnp.log(scale * row_scale * jnp.cosh(hidden))[:, None]
        + jnp.log(jnp.cosh(_COLUMN_STRETCH * x))[None]
    )
    log_density = log_target + log_jacobian
    log_density = jnp.where(jnp.isfinite(log_density), log_density, -jnp.inf)

    log_cell = jnp.log(row_step) + jnp.log(x[1] - x[0])
    fine, spread = _summary(points, log_density, log_cell)
    coarse, _ = _summary(points[::2, ::2], log_density[::2, ::2], log_cell + jnp.log(4.0))
    unit = jnp.concatenate([jnp.ones(1, dtype), spread, jnp.ones(2, dtype)])
    weights = jax.nn.softmax(log_density, axis=(0, 1))
    inner = jnp.sum(weights[1:-1, 1:-1])
    return QuadratureResult(
        HyperPosterior(points, weights),
        Lattice(w, center, scale, row_center, row_scale, hidden[0], row_step, log_density),
        fine[0],
        jnp.max(jnp.abs(fine - coarse) / unit),
        1.0 - inner,
    )


def draw(
    model: Model,
    tally: Any,
    result: QuadratureResult,
    key: Key[Array, ""],
    draws: int,
) -> Float[np.ndarray, "draws 2"]:
    """Independent draws of the hyperparameters, by rejection under the lattice's envelope.

    A cell of the lattice is proposed with the largest density at its node and the eight around,
    and a place within it uniformly; the log-posterior itself decides. Draws are exact wherever a
    cell's density stays under that bound, which leaves out only its far tails.

    Args:
        model: Family and hyperprior.
        tally: The units.
        result: What `quadrature` found for them.
        key: Typed key.
        draws: Number of draws.

    Returns:
        Working coordinates.
    """
    tally = jax.tree.map(jnp.asarray, tally)
    # Chosen on the host: how many are accepted differs from draw to draw.
    kept: list[Float[np.ndarray, "draws 2"]] = []
    proposals = math.ceil(_PROPOSALS * draws) + 64
    missing, turn = draws, 0
    while missing > 0:
        proposed = propose(model, tally, result.lattice, jax.random.fold_in(key, turn), proposals)
        points, accepted = (np.asarray(values) for values in proposed)
        kept.append(points[accepted][:missing])
        missing, turn = missing - len(kept[-1]), turn + 1
    return np.concatenate(kept)


@partial(jax.jit, static_argnums=4)
def propose(
    model: Model, tally: Any, lattice: Lattice, key: Key[Array, ""], proposals: int
) -> tuple[Float[Array, "draws 2"], Bool[Array, "draws"]]:
    """Proposals under the lattice's envelope, and which of them are draws; see `draw`."""
    rows, columns = lattice.log_density.shape
    padded = jnp.pad(lattice.log_density, 1, constant_values=-jnp.inf)
    shifts = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    envelope = jnp.log(_ENVELOPE) + jnp.max(jnp.stack(shifts), axis=0)

    key_cell, key_place, key_accept = jax.random.split(key, 3)
    cumulated = jnp.cumsum(jax.nn.softmax(envelope.ravel()))
    level = jax.random.uniform(key_cell, (proposals,), cumulated.dtype) * cumulated[-1]
    cell = jnp.minimum(jnp.searchsorted(cumulated, level, side="right"), cumulated.size - 1)
    place = jax.random.uniform(key_place, (2, proposals), cumulated.dtype) - 0.5
    row = cell // columns + place[0]
    hidden_row = lattice.row_start + row * lattice.row_step
    hidden = (cell % columns + place[1] - 0.5 * (columns - 1)) * lattice.column_step

    at = jnp.arange(rows, dtype=row.dtype)
    scale = jnp.exp(jnp.interp(row, at, jnp.log(lattice.scale)))
    u = jnp.interp(row, at, lattice.center)
    u += scale * jnp.sinh(_COLUMN_STRETCH * hidden) / _COLUMN_STRETCH
    points = jnp.stack([u, lattice.row_value(row)], axis=-1)
    log_density = (
        _log_posteriors(model, tally, points[:, :1], points[:, 1])[:, 0]
        + jnp.log(scale)
        + jnp.log(jnp.cosh(_COLUMN_STRETCH * hidden))
        + jnp.log(lattice.row_scale * jnp.cosh(hidden_row))
    )
    log_uniform = jnp.log1p(-jax.random.uniform(key_accept, (proposals,), cumulated.dtype))
    return points, log_uniform < log_density - envelope.ravel()[cell]
