"""Answers about the hyperparameters: estimates, intervals, and which of them exist."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hierjax import lattice as calculus
from hierjax.inference.quadrature import Lattice
from hierjax.posterior import HyperPosterior

__all__ = ["PARAMETERS", "lattice_quantiles", "parameter_values", "wald"]

# Every one is a monotone function of a working coordinate, or of logit_mean in a lattice row.
PARAMETERS = ("logit_mean", "log_concentration", "mean", "concentration", "alpha", "beta")


def parameter_values(points: Float[np.ndarray, "*batch 2"]) -> dict[str, np.ndarray]:
    """Every hyperparameter at given working coordinates.

    Args:
        points: Working coordinates; an infinite log-concentration is complete pooling.

    Returns:
        Values by name, each of shape `batch`.

    Example:
        >>> values = parameter_values(np.array([0.0, np.log(2.0)]))
        >>> print(f"{values['alpha']:.3f} {values['beta']:.3f}")
        1.000 1.000
    """
    u, w = points[..., 0], points[..., 1]
    log_mean, log_complement = -np.logaddexp(0, -u), -np.logaddexp(0, u)
    with np.errstate(over="ignore"):
        values = (u, w, np.exp(log_mean), np.exp(w), np.exp(w + log_mean), np.exp(w + log_complement))
    return dict(zip(PARAMETERS, values, strict=True))


def wald(
    eta: Float[np.ndarray, "2"], covariance: Float[np.ndarray, "2 2"], z: float
) -> dict[str, tuple[float, float, float]]:
    r"""Standard error and Wald interval of every hyperparameter of a point estimate.

    The delta method on a scale without bounds: logit for the mean, log for the others,

    .. math:: \log\alpha = w + \log m, \qquad \log\beta = w + \log(1 - m)

    Args:
        eta: Working coordinates.
        covariance: Their covariance, from the observed information.
        z: Normal quantile of the interval's upper end.

    Returns:
        Standard error, lower and upper end by name.
    """
    values = parameter_values(eta)
    m = values["mean"]
    slopes = {
        "logit_mean": (1.0, 0.0),
        "log_concentration": (0.0, 1.0),
        "mean": (1.0, 0.0),
        "concentration": (0.0, 1.0),
        "alpha": (1.0 - m, 1.0),
        "beta": (-m, 1.0),
    }
    result = {}
    for name, slope in slopes.items():
        direction = np.array(slope)
        error = float(np.sqrt(direction @ covariance @ direction))
        value = float(values[name])
        if name in ("logit_mean", "log_concentration"):
            result[name] = (error, value - z * error, value + z * error)
        elif name == "mean":
            ends = parameter_values(eta + np.outer((-z, z), (error, 0.0)))["mean"]
            result[name] = (error * m * (1 - m), float(ends[0]), float(ends[1]))
        else:
            low, high = value * np.exp(-z * error), value * np.exp(z * error)
            result[name] = (value * error, float(low), float(high))
    return result


@partial(jax.jit, static_argnames="iterations")
def lattice_quantiles(
    posterior: HyperPosterior,
    lattice: Lattice,
    levels: Float[Array, "levels"],
    iterations: int = 60,
) -> Float[Array, "6 levels"]:
    """Quantiles of every hyperparameter from the nodes of quadrature.

    The log-concentration's come from the rows' masses. For the others P(parameter < c) is summed
    over rows, each integrated up to where the parameter crosses c, and c is found by bisection.

    Args:
        posterior: Nodes and weights.
        lattice: Where they are.
        levels: Probabilities.
        iterations: Halvings of the bisection.

    Returns:
        Quantiles in the order of `PARAMETERS`.
    """
    weights, one = posterior.weights, jnp.ones((), levels.dtype)
    rows = (calculus.cumulative(weights, one), weights, calculus.derivative(weights, one))

    def below(u: Float[Array, "levels rows"]) -> Float[Array, "levels"]:
        position = lattice.column_position(u)
        parts = jax.vmap(calculus.interpolate, in_axes=(1, 0, 0, 0, None), out_axes=1)(
            position, *rows, one
        )
        return jnp.sum(parts, axis=1)

    w = lattice.log_concentration

    def crossing(log_value: Float[Array, "levels"]) -> Float[Array, "levels rows"]:
        """Logit-mean at which w + log m equals a value; beyond reach where it never does."""
        log_m = log_value[:, None] - w
        possible = log_m < 0
        safe = jnp.where(possible, log_m, -1.0)
        return jnp.where(possible, safe - jnp.log(-jnp.expm1(safe)), jnp.inf)

    cumulated = {
        "logit_mean": lambda c: below(jnp.broadcast_to(c[:, None], (c.shape[0], w.shape[0]))),
        "alpha": lambda c: below(crossing(c)),
        "beta": lambda c: jnp.sum(weights) - below(-crossing(c)),
    }
    u = posterior.points[..., 0]
    values = {
        "logit_mean": u,
        "alpha": w[:, None] + jax.nn.log_sigmoid(u),
        "beta": w[:, None] + jax.nn.log_sigmoid(-u),
    }

    def solve(name: str) -> Float[Array, "levels"]:
        counts = weights > 1e-12
        low = jnp.min(jnp.where(counts, values[name], jnp.inf))
        high = jnp.max(jnp.where(counts, values[name], -jnp.inf))

        def halve(_: Int[Array, ""], ends: tuple[Array, Array]) -> tuple[Array, Array]:
            middle = 0.5 * (ends[0] + ends[1])
            under = cumulated[name](middle) < levels
            return jnp.where(under, middle, ends[0]), jnp.where(under, ends[1], middle)

        start = (jnp.full_like(levels, low), jnp.full_like(levels, high))
        ends = jax.lax.fori_loop(0, iterations, halve, start)
        return 0.5 * (ends[0] + ends[1])

    mass = jnp.sum(weights, axis=1)
    row = calculus.invert(
        levels, calculus.cumulative(mass, one), mass, calculus.derivative(mass, one), one
    )
    logit_mean, log_concentration = solve("logit_mean"), lattice.row_value(row)
    return jnp.stack(
        [
            logit_mean,
            log_concentration,
            jax.nn.sigmoid(logit_mean),
            jnp.exp(log_concentration),
            jnp.exp(solve("alpha")),
            jnp.exp(solve("beta")),
        ]
    )
