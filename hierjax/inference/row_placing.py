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
_MODE_STEPS, _SMALL_STEP = 10, 0.1
# How close to the mode its search stops, in conditional standard deviations, where that is enough.
_CLOSE = 0.3
# Each row reaches so much further in the logarithm of the density, until rounding hides the rest.
_DROP_PER_ROW = 42 / 64


def _row_map(
    model: Model,
    tally: Any,
    frame: Frame,
    closeness: float,
    log_concentration: Float[Array, ""],
    guess: Float[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Conditional mode and scale of the location, in its frame, and the row's log-mass."""

    def target(u: Float[Array, ""]) -> Float[Array, ""]:
        location = frame.location + frame.scale * u
        return model.log_posterior(tally, jnp.stack([location, log_concentration]))

    def derivatives(u: Float[Array, ""]) -> tuple[Float[Array, ""], ...]:
        """Value, slope and curvature, all forward: one variable, so nothing to reverse."""
        one = jnp.ones_like(u)

        def first(u: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
            return jax.jvp(target, (u,), (one,))

        (value, slope), (_, curvature) = jax.jvp(first, (u,), (one,))
        return value, slope, jnp.minimum(curvature, -1e-3)

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
    start = _Search(guess, -limit, limit, 4 * one, jnp.zeros((), int), zero, zero, -one)
    found = jax.lax.while_loop(unfinished, step, start)
    # Rows at the ends of the floating type's range have no finite density, and no weight.
    curvature = found.curvature
    scale = jnp.where(jnp.isfinite(curvature), jax.lax.rsqrt(-curvature), 1.0)
    return found.mode, scale, found.value + jnp.log(scale)


class _Search(NamedTuple):
    """State of the search for a conditional mode: place, bracket, last step, derivatives."""

    mode: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    last: Float[Array, ""]
    steps: Int[Array, ""]
    value: Float[Array, ""]
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
    dtype = tally.dtype
    cutoff, limit = _cutoff(dtype)
    drop = min(cutoff, _DROP_PER_ROW * rows)
    closeness = float(jnp.finfo(dtype).eps) ** 0.5 if placing is None else _CLOSE

    def place(
        turn: Int[Array, ""], state: tuple[Rows, tuple[Float[Array, ""], ...]]
    ) -> tuple[Rows, tuple[Float[Array, ""], ...]]:
        before, bounds = state
        now = Rows(*before[:3], *bounds)
        hidden = now.hidden(sought)
        w = now.row_center + now.row_scale * jnp.sinh(hidden)
        guess = jnp.interp(w, before.log_concentration, before.mode)
        mode, scale, mass = jax.vmap(partial(_row_map, model, tally, frame, closeness))(w, guess)
        now = now._replace(log_concentration=w, mode=mode, scale=scale)

        mass = jnp.where(jnp.isfinite(mass), mass, -jnp.inf)
        best = jnp.argmax(mass)
        # The measure of the hidden coordinate counts: a long flat tail has mass.
        stretched = mass + jnp.log(now.row_scale * jnp.cosh(hidden))
        alive = stretched > jnp.max(stretched) - drop
        first, last = jnp.argmax(alive), sought - 1 - jnp.argmax(alive[::-1])
        low, high = w[jnp.maximum(first - 1, 0)], w[jnp.minimum(last + 1, sought - 1)]
        near = mass > mass[best] - 2.0
        width = jnp.max(jnp.where(near, w, w[best])) - jnp.min(jnp.where(near, w, w[best]))
        gap = w[jnp.minimum(best + 1, sought - 1)] - w[jnp.maximum(best - 1, 0)]
        return now, (w[best], jnp.maximum(width, gap) / 4, low, high)

    center, width, reach = (jnp.asarray(x, dtype) for x in (3.0, 3.0, limit))
    bounds = (origin + center, width, origin - reach, origin + reach)
    anywhere = origin + jnp.linspace(-limit, limit, sought, dtype=dtype)
    start = Rows(anywhere, jnp.full(sought, first), jnp.ones(sought, dtype), *bounds)
    found = jax.lax.fori_loop(0, _ZOOMS + 1, place, (start, bounds))[0]
    mode = frame.location + frame.scale * found.mode
    return found._replace(mode=mode, scale=frame.scale * found.scale)
