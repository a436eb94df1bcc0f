"""Where the rows of quadrature's lattice go, and each row's conditional mode and scale."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hierjax.families.protocol import Frame
from hierjax.model import Model

__all__ = ["Rows", "place_rows"]

_ZOOMS = 3
# Rows that zoom, at least, if the lattice has as many.
_SCOUTS = 36
_MODE_STEPS, _SMALL_STEP = 10, 0.1
# How close to the mode its search stops, in conditional standard deviations, where that is enough.
_CLOSE = 0.3
# Each row reaches so much further in the logarithm of the density, until rounding hides the rest.
_DROP_PER_ROW = 42 / 64


def _row_map(
    model: Model,
    tally: Any,
    frame: Frame,
    closeness: Float[Array, ""],
    log_concentration: Float[Array, ""],
    guess: Float[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Conditional mode and scale of the location, in its frame, and the row's log-mass."""

    def target(u: Float[Array, ""]) -> Float[Array, ""]:
        location = frame.location + frame.scale * u
        return model.log_posterior(tally, jnp.stack([location, log_concentration]))

    def derivatives(u: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Slope and curvature, both forward: one variable, so nothing to reverse.

        The search needs no value, so its steps take no logarithms.
        """
        one = jnp.ones_like(u)

        def first(u: Float[Array, ""]) -> Float[Array, ""]:
            return jax.jvp(target, (u,), (one,))[1]

        slope, curvature = jax.jvp(first, (u,), (one,))
        return slope, jnp.minimum(curvature, -1e-3)

    def step(search: _Search) -> _Search:
        u, low, high = search.mode, search.low, search.high
        slope, curvature = search.slope, search.curvature
        low, high = jnp.where(slope > 0, u, low), jnp.where(slope < 0, u, high)
        newton = slope / -curvature
        # On a flank Newton's steps stay equal or leap: halve the bracket by orders of magnitude.
        inside = (low <= u + newton) & (u + newton <= high)
        halving = jnp.sinh(0.5 * (jnp.arcsinh(low) + jnp.arcsinh(high))) - u
        shrinking = jnp.abs(newton) < jnp.where(inside, 0.5 * search.last, _SMALL_STEP)
        move = jnp.where(shrinking, newton, halving)
        last = jnp.maximum(jnp.abs(move), _SMALL_STEP)
        return _Search(u + move, low, high, last, search.steps + 1, *derivatives(u + move))

    def unfinished(search: _Search) -> Bool[Array, ""]:
        # Newton's next step in conditional standard deviations.
        newton = jnp.abs(search.slope) * jax.lax.rsqrt(-search.curvature)
        far = newton > closeness
        return (search.steps == 0) | far & (search.steps <= _MODE_STEPS)

    # The zeroth step stays in place: derivatives are then compiled only once.
    zero, one = jnp.zeros_like(guess), jnp.ones_like(guess)
    limit = _cutoff(guess.dtype)[1] * one
    start = _Search(guess, -limit, limit, 4 * one, jnp.zeros((), int), zero, -one)
    found = jax.lax.while_loop(unfinished, step, start)
    # Rows at the ends of the floating type's range have no finite density, and no weight.
    curvature = found.curvature
    scale = jnp.where(jnp.isfinite(curvature), jax.lax.rsqrt(-curvature), 1.0)
    return found.mode, scale, target(found.mode) + jnp.log(scale)


class _Search(NamedTuple):
    """State of the search for a conditional mode: place, bracket, last step, derivatives."""

    mode: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    last: Float[Array, ""]
    steps: Int[Array, ""]
    slope: Float[Array, ""]
    curvature: Float[Array, ""]


def _cutoff(dtype: jnp.dtype) -> tuple[float, float]:
    """Relative log-density that no longer counts, and the largest |log phi| representable.

    At the latter trials times phi, and a mean over phi, must not overflow.
    """
    return (42.0, 300.0) if dtype == jnp.float64 else (20.0, 60.0)


class Rows(NamedTuple):
    """Rows placed between two ends, densest at a center."""

    log_concentration: Float[Array, "rows"]
    mode: Float[Array, "rows"]
    scale: Float[Array, "rows"]
    row_center: Float[Array, ""]
    row_scale: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]

    def hidden(self, size: int) -> Float[Array, "rows"]:
        """Equally spaced coordinates of the rows."""
        ends = jnp.stack([self.low, self.high]) - self.row_center
        start, end = jnp.arcsinh(ends / self.row_scale)
        return jnp.linspace(start, end, size, dtype=start.dtype)


def place_rows(model: Model, tally: Any, rows: int, placing: int | None) -> Rows:
    """Finds where the log-concentration's marginal lives, zooming from the whole line.

    Args:
        model: Family and hyperprior.
        tally: The units.
        rows: Number of rows that the lattice is to have: fewer need not reach as far.
        placing: Number of rows on which modes are sought, roughly; None for all, and closely, as
            nodes that are read between must be smooth along columns.

    Returns:
        The rows on which modes were sought.
    """
    # Placing nodes changes no integral: nothing is to be differentiated here.
    model, tally = jax.lax.stop_gradient((model, tally))
    frame, family = model.family.frame(tally), model.family
    origin, first = frame.log_concentration, (family.start(tally) - frame.location) / frame.scale
    sought = placing or rows
    parts = 1 if placing else _parts(rows)
    size = sought // parts
    dtype = tally.dtype
    cutoff, limit = _cutoff(dtype)
    drop = min(cutoff, _DROP_PER_ROW * rows)
    closest = float(jnp.finfo(dtype).eps) ** 0.5 if placing is None else _CLOSE

    def turn(number: Int[Array, ""], state: _Placing) -> _Placing:
        """Zooms, with few rows; then places all rows, as many at a time."""
        zooming = number < _ZOOMS
        scouts, final = state.rows.hidden(size), state.rows.hidden(sought)
        part = jnp.maximum(number - _ZOOMS, 0)
        hidden = jnp.where(zooming, scouts, final.reshape(size, parts)[:, part])
        w = state.rows.row_center + state.rows.row_scale * jnp.sinh(hidden)
        guess = jnp.interp(w, state.rows.log_concentration, state.rows.mode)
        closeness = jnp.where(zooming, _CLOSE, closest).astype(dtype)
        mode, scale, mass = jax.vmap(partial(_row_map, model, tally, frame, closeness))(w, guess)
        closer = Rows(w, mode, scale, *_bounds(state.rows, w, mass, hidden, drop))
        zoomed = jax.tree.map(partial(jnp.where, zooming), closer, state.rows)
        places = state.places.at[:, :, part].set(jnp.stack([w, mode, scale]))
        return _Placing(zoomed, places)

    center, width, reach = (jnp.asarray(x, dtype) for x in (3.0, 3.0, limit))
    bounds = (origin + center, width, origin - reach, origin + reach)
    anywhere = origin + jnp.linspace(-limit, limit, size, dtype=dtype)
    start = Rows(anywhere, jnp.full(size, first), jnp.ones(size, dtype), *bounds)
    empty = _Placing(start, jnp.zeros((3, size, parts), dtype))
    found = jax.lax.fori_loop(0, _ZOOMS + parts, turn, empty)
    w, mode, scale = found.places.reshape(3, sought)
    mode, scale = frame.location + frame.scale * mode, frame.scale * scale
    return Rows(w, mode, scale, *found.rows[3:])


class _Placing(NamedTuple):
    """What a turn needs: rows of the last zoom, and of the lattice those placed so far."""

    rows: Rows
    places: Float[Array, "3 size parts"]


def _parts(rows: int) -> int:
    """In how many parts, each of enough rows to zoom with, rows are placed."""
    most = max(1, rows // _SCOUTS)
    return max(parts for parts in range(1, most + 1) if rows % parts == 0)


def _bounds(
    rows: Rows,
    log_concentration: Float[Array, "size"],
    log_mass: Float[Array, "size"],
    hidden: Float[Array, "size"],
    drop: float,
) -> tuple[Float[Array, ""], ...]:
    """Center, scale and ends of the rows that are to come closer."""
    w = log_concentration
    mass = jnp.where(jnp.isfinite(log_mass), log_mass, -jnp.inf)
    best = jnp.argmax(mass)
    # The measure of the hidden coordinate counts: a long flat tail has mass.
    stretched = mass + jnp.log(rows.row_scale * jnp.cosh(hidden))
    above = stretched - jnp.max(stretched) + drop

    def end(last: Int[Array, ""], outward: int) -> Float[Array, ""]:
        """Where the density has dropped enough: it falls no slower than between rows before."""
        before, after = (jnp.clip(last + k, 0, len(w) - 1) for k in (-outward, outward))
        slope = (above[before] - above[last]) / jnp.abs(w[last] - w[before])
        reach = jnp.where(slope > 0, above[last] / slope, jnp.inf)
        return w[last] + outward * jnp.minimum(reach, jnp.abs(w[after] - w[last]))

    low = end(jnp.argmax(above > 0), -1)
    high = end(len(w) - 1 - jnp.argmax(above[::-1] > 0), 1)
    near = mass > mass[best] - 2.0
    width = jnp.max(jnp.where(near, w, w[best])) - jnp.min(jnp.where(near, w, w[best]))
    gap = w[jnp.minimum(best + 1, len(w) - 1)] - w[jnp.maximum(best - 1, 0)]
    return w[best], jnp.maximum(width, gap) / 4, low, high
