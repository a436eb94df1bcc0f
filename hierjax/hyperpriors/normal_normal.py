"""Hyperpriors of the normal-normal, on eta = (mean, log_concentration) = (mu, -2 log tau).

As tau grows the marginal likelihood of J units falls like tau^(-J), and like tau^(1 - J) once mu is
integrated out; as tau falls to 0 it tends to complete pooling's.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hierjax.hyperpriors.densities import (
    POSITIVE,
    REALS,
    inverse_moments,
    log_prob,
    moments,
    validate,
)

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

__all__ = ["FlatScale", "MeanScale"]

Scalar = Float[Array, ""]


@dataclass(frozen=True)
class FlatScale:
    r"""The improper hyperprior that is flat in mu and in tau.

    On the working coordinates, with Jacobian tau / 2 and up to a constant,

    .. math:: \log p(\mu, w) = -w / 2

    (Gelman et al., *Bayesian Data Analysis*, sec. 5.4). The posterior of tau falls like
    tau^(1 - J) with J units, so it is proper if and only if there are more than 2; moments of tau
    and of mu exist up to any order below J - 2.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{FlatScale().log_density(jnp.array([7.0, 2.0])):.6f}")
        -1.000000
    """

    kind: ClassVar[str] = "flat_scale"
    family: ClassVar[str] = "normal_normal"
    proper: ClassVar[bool] = False

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates, up to the constant an improper one lacks."""
        return -0.5 * eta[1]

    def impropriety(self, informative: float) -> str | None:
        """Says what is missing when there are too few units."""
        if informative > 2:
            return None
        return (
            "posterior is improper: under a flat density of the mean and the scale there must be "
            f"more than 2 units, found {informative:g}. Use a proper hyperprior: mean_scale (e.g. "
            "mean Normal(0, 10) and scale HalfCauchy(10), in the values' unit)"
        )

    def concentration_moments(self) -> int:
        """The posterior's tail in w falls like exp(-w / 2)."""
        return 0

    def mean_moments(self, informative: float) -> int:
        """Those of orders below J - 2."""
        return min(2, max(0, math.ceil(informative - 2) - 1))


@dataclass(frozen=True)
class MeanScale:
    r"""Independent proper densities of the mean mu and the scale tau of the effects.

    .. math:: \log p(\mu, w) = \log p(\mu) + \log p(\tau) + \log\frac{\tau}{2}, \qquad
        \log\tau = -w / 2

    Args:
        mean: A numpyro distribution of real numbers.
        scale: A numpyro distribution on positive numbers.

    Raises:
        ModelError: If one of them is not a scalar, proper, continuous distribution there.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpyro.distributions as dist
        >>> hyperprior = MeanScale(dist.Normal(0.0, 5.0), dist.HalfCauchy(5.0))
        >>> print(f"{hyperprior.log_density(jnp.array([4.0, -2.0])):.6f}")
        -4.861489
    """

    mean: "Distribution"
    scale: "Distribution"

    kind: ClassVar[str] = "mean_scale"
    family: ClassVar[str] = "normal_normal"
    proper: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate(self, {"mean": REALS, "scale": POSITIVE})

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates."""
        log_tau = -0.5 * eta[1]
        at_scale = log_prob(self.scale, jnp.exp(log_tau)) + log_tau - math.log(2)
        return log_prob(self.mean, eta[0]) + at_scale

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Float[Array, "*batch 2"]:
        """Draws working coordinates from the hyperprior."""
        key_mean, key_scale = jax.random.split(key)
        tau = self.scale.sample(key_scale, shape)
        return jnp.stack([self.mean.sample(key_mean, shape), -2 * jnp.log(tau)], axis=-1)

    def impropriety(self, informative: float) -> str | None:
        """A proper hyperprior has a proper posterior."""
        return None

    def concentration_moments(self) -> int:
        """Those that 1 / tau^2 has."""
        return inverse_moments(self.scale, power=2)

    def mean_moments(self, informative: float) -> int:
        """Those that both densities have, or that the tail tau^(-J) of the likelihood gives."""
        return max(min(2, int(informative)), moments(self.mean, self.scale))
