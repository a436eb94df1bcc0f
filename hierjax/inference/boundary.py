"""The error of an estimate that says complete pooling, where there is no standard error."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.families.beta_binomial import Population
from hierjax.model import Model
from hierjax.posterior import HyperPosterior
from hierjax.tally import TallyArrays

__all__ = ["boundary_posterior"]

# How far log-concentrations reach below and above the one at which the likelihood has begun to
# fall.
_BELOW, _ABOVE = 6.0, 7.0


def boundary_posterior(
    model: Model,
    tally: TallyArrays,
    logit_mean: Float[Array, ""],
    rows: int = 32,
    columns: int = 8,
) -> HyperPosterior:
    r"""The likelihood beside complete pooling, made a distribution.

    With rho = 1 / (alpha + beta + 1), the correlation within units, u = logit_mean and the
    log-likelihood L,

    .. math:: p(u, \rho) \propto e^{L(u, \rho)}, \qquad 0 < \rho < 1

    by a rule that is equally spaced in log-concentration, and Gauss-Hermite's in u.

    The hyperprior does not enter.

    Args:
        model: Family and hyperprior.
        tally: The units.
        logit_mean: Log-odds of the rate of all units together.
        rows: Number of log-concentrations.
        columns: Number of logit-means at each.

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
    dtype = tally.units.dtype
    m, c = jax.nn.sigmoid(logit_mean), jax.nn.sigmoid(-logit_mean)

    def along(phi: Float[Array, ""]) -> Float[Array, ""]:
        return model.family.log_marginal_tally(tally, Population(m, c, phi))

    zero = jnp.zeros((), dtype)
    slope, bend = jax.grad(along)(zero), jax.grad(jax.grad(along))(zero)
    start = jnp.log(jnp.abs(slope) + jnp.sqrt(jnp.abs(bend)))
    w = start + jnp.linspace(-_BELOW, _ABOVE, rows, dtype=dtype)

    x, share = np.polynomial.hermite_e.hermegauss(columns)
    # The rule's weights for a function that is not divided by the normal density.
    log_share = jnp.asarray(np.log(share) + 0.5 * x * x, dtype)

    def row(w: Float[Array, ""]) -> tuple[Array, Array]:
        def at(u: Float[Array, ""]) -> Float[Array, ""]:
            return model.log_marginal(tally, jnp.stack([u, w]))

        bend = -jax.grad(jax.grad(at))(logit_mean)
        pooled = (tally.total_successes + tally.total_failures) * m * c
        scale = jax.lax.rsqrt(jnp.where(bend > 0, bend, pooled))
        u = logit_mean + scale**2 * jax.grad(at)(logit_mean) + scale * jnp.asarray(x, dtype)
        log_rho = -w - 2 * jnp.log1p(jnp.exp(-w))  # of the derivative of rho by w
        return u, jax.vmap(at)(u) + log_share + jnp.log(scale) + log_rho

    u, log_weights = jax.vmap(row)(w)
    points = jnp.stack([u, jnp.broadcast_to(w[:, None], u.shape)], axis=-1)
    return HyperPosterior(points, jax.nn.softmax(log_weights, axis=(0, 1)))
