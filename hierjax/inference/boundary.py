"""The error of an estimate that says complete pooling, where there is no standard error."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.model import Model
from hierjax.posterior import HyperPosterior

__all__ = ["boundary_posterior"]

# How far log-concentrations reach below and above the one at which the likelihood has begun to
# fall.
_BELOW, _ABOVE = 6.0, 7.0


def boundary_posterior(
    model: Model,
    tally: Any,
    location: Float[Array, ""],
    rows: int = 32,
    columns: int = 8,
) -> HyperPosterior:
    r"""The likelihood beside complete pooling, made a distribution.

    With the location u, the dispersion phi in units of its frame's and the log-likelihood L,

    .. math:: p(u, \rho) \propto e^{L(u, \rho)}, \qquad \rho = \frac{\phi}{1 + \phi}

    by a rule that is equally spaced in log-concentration, and Gauss-Hermite's in u. Of the
    beta-binomial rho is 1 / (alpha + beta + 1), the correlation within units.

    The hyperprior does not enter.

    Args:
        model: Family and hyperprior.
        tally: The units.
        location: Place of the parameter that all units have together.
        rows: Number of log-concentrations.
        columns: Number of locations at each.

    Returns:
        Points in rows of one log-concentration, with weights.

    Example:
        >>> import jax.numpy as jnp
        >>> import hierjax as hj
        >>> tally = hj.Tally.of(hj.Counts([2] * 9, [9] * 9)).arrays(np.float32)
        >>> tally = jax.tree.map(jnp.asarray, tally)
        >>> found = jax.jit(boundary_posterior)(hj.Model(), tally, jnp.log(2.0 / 7.0))
        >>> dispersion = jnp.exp(-found.points[..., 1])
        >>> print(f"{jnp.sum(found.weights * dispersion / (1 + dispersion)):.3f}")
        0.036
    """
    dtype, family = tally.dtype, model.family
    origin = family.frame(tally).log_concentration

    def along(phi: Float[Array, ""]) -> Float[Array, ""]:
        return family.log_marginal_tally(tally, family.population_at(location, phi))

    zero = jnp.zeros((), dtype)
    slope, bend = jax.grad(along)(zero), jax.grad(jax.grad(along))(zero)
    start = jnp.log(jnp.abs(slope) + jnp.sqrt(jnp.abs(bend)))
    w = start + jnp.linspace(-_BELOW, _ABOVE, rows, dtype=dtype)

    x, share = np.polynomial.hermite_e.hermegauss(columns)
    # The rule's weights for a function that is not divided by the normal density.
    log_share = jnp.asarray(np.log(share) + 0.5 * x * x, dtype)

    def at(u: Float[Array, ""], w: Float[Array, ""]) -> Float[Array, ""]:
        return model.log_marginal(tally, jnp.stack([u, w]))

    # The last is complete pooling's.
    along_u = jax.vmap(jax.grad(jax.grad(at)), in_axes=(None, 0))
    bends = -along_u(location, jnp.append(w, jnp.inf))
    scales = jax.lax.rsqrt(jnp.where(bends > 0, bends, bends[-1]))[:-1]

    def row(w: Float[Array, ""], scale: Float[Array, ""]) -> tuple[Array, Array]:
        u = location + scale**2 * jax.grad(at)(location, w) + scale * jnp.asarray(x, dtype)
        relative = w - origin
        log_rho = -relative - 2 * jnp.log1p(jnp.exp(-relative))  # of the derivative of rho by w
        logs = jax.vmap(at, in_axes=(0, None))(u, w)
        return u, logs + log_share + jnp.log(scale) + log_rho

    u, log_weights = jax.vmap(row)(w, scales)
    points = jnp.stack([u, jnp.broadcast_to(w[:, None], u.shape)], axis=-1)
    return HyperPosterior(points, jax.nn.softmax(log_weights, axis=(0, 1)))
