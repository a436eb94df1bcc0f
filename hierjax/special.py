"""Two smooth remainders from which every log-density here is written without cancellation.

A log-density of a hierarchy is a difference of log-gammas, each of them far larger than the result.
Writing log-gamma as Stirling's main terms plus a remainder lets the main terms be combined by hand;
what is left are `stirling_remainder` (small, smooth down to 1/z = 0) and `excess_ratio` (the
part of x - log(1 + x) that survives, of second order in x).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = ["CENTRAL_SLOPE", "LOG_SQRT_2PI", "excess_ratio", "log1p_ratio", "stirling_remainder"]

LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi).item()
# A slope by central differences of seven points, of sixth order: multiples of the step, and the
# shares of the differences there (Fornberg 1988, table 1).
CENTRAL_SLOPE = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))

# B_{2j} / (2j (2j - 1)): Abramowitz & Stegun (1964), eq. 6.1.41.
_STIRLING = (
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
)
_SHIFT = 10
_SERIES_RADIUS = 0.15
_EXCESS = tuple((-1.0) ** k / (k + 2) for k in range(20))


def _polynomial(coefficients: tuple[float, ...], x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Horner's rule, lowest power first."""
    total = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def _stirling_series(t: Float[Array, "..."]) -> Float[Array, "..."]:
    return t * _polynomial(_STIRLING, t * t)


def stirling_remainder(t: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Remainder of Stirling's formula at z = 1/t, for t >= 0.

    .. math:: \delta(t) = \log\Gamma(z) - (z - 1/2)\log z + z - \tfrac12 \log 2\pi, \quad z = 1/t

    Smooth with all derivatives down to t = 0, where it is t/12 (Abramowitz & Stegun 1964,
    eq. 6.1.41). Below z = 10 the argument is raised by ten with the recurrence of log-gamma.

    Args:
        t: Reciprocal of the log-gamma's argument, non-negative, any shape.

    Returns:
        The remainder, same shape and dtype.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{stirling_remainder(jnp.asarray(1.0)):.6f}")  # 1 - log(2 pi) / 2
        0.081061
    """
    large = t * _SHIFT < 1.0
    series = _stirling_series(jnp.where(large, t, 0.0))
    z = 1.0 / jnp.where(large, 1.0, t)
    raised = z + _SHIFT
    product = jnp.ones_like(z)
    for i in range(1, _SHIFT):
        product = product * (z + i)
    shifted = (
        (raised - 0.5) * jnp.log(raised)
        - _SHIFT
        + _stirling_series(1.0 / raised)
        - jnp.log(product)
        - (z + 0.5) * jnp.log(z)
    )
    return jnp.where(large, series, shifted)


def excess_ratio(x: Float[Array, "..."], one_plus_x: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""How far x lies above log(1 + x), relative to x squared.

    .. math:: \Omega(x) = \frac{x - \log(1 + x)}{x^2}
        = \frac12 - \frac{x}{3} + \frac{x^2}{4} - \dots

    Kullback-Leibler divergences are sums of x^2 Omega(x) (Loader 2000, "Fast and accurate
    computation of binomial probabilities", the deviance term), so neither they nor their
    derivatives cancel.

    Args:
        x: Relative difference, above -1, any shape.
        one_plus_x: 1 + x, computed by the caller as a ratio, so that it keeps its digits near 0.

    Returns:
        The ratio, same shape, positive.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{excess_ratio(jnp.asarray(0.5), jnp.asarray(1.5)):.6f}")
        0.378140
    """
    small = jnp.abs(x) < _SERIES_RADIUS
    series = _polynomial(_EXCESS, jnp.where(small, x, 0.0))
    far = jnp.where(small, 1.0, x)
    direct = (far - jnp.log(jnp.where(small, 2.0, one_plus_x))) / (far * far)
    return jnp.where(small, series, direct)


def log1p_ratio(x: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""log(1 + x) relative to x, one at x = 0.

    .. math:: \frac{\log(1 + x)}{x} = 1 - x\,\Omega(x)

    with Omega the `excess_ratio`, smooth with all derivatives.

    Args:
        x: Non-negative, any shape.

    Returns:
        The ratio, same shape, in (0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{log1p_ratio(jnp.asarray(1.0)):.6f}")
        0.693147
    """
    small = x < _SERIES_RADIUS
    near = jnp.where(small, x, 0.0)
    far = jnp.where(small, 1.0, x)
    return jnp.where(small, 1 - near * excess_ratio(near, 1 + near), jnp.log1p(far) / far)
