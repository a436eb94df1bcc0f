"""Hyperpriors of the beta-binomial, on eta = (logit_mean, log_concentration)."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hierjax.errors import ModelError
from hierjax.hyperpriors.densities import POSITIVE, UNIT, log_prob, moments, validate

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

__all__ = ["MeanConcentration", "PowerLaw", "Shapes"]

Scalar = Float[Array, ""]


def _log_mean_pair(eta: Float[Array, "2"]) -> tuple[Scalar, Scalar]:
    return jax.nn.log_sigmoid(eta[0]), jax.nn.log_sigmoid(-eta[0])


@dataclass(frozen=True)
class PowerLaw:
    r"""The improper hyperprior p(alpha, beta) proportional to (alpha + beta)^(-exponent).

    On the working coordinates, with Jacobian alpha beta,

    .. math:: \log p(u, w) = (2 - a) w + \log m + \log(1 - m)

    The default exponent a = 5/2 is Gelman et al., *Bayesian Data Analysis*, eq. 5.9. As w grows
    the likelihood tends to complete pooling's, so a must exceed 2; as w falls it vanishes like
    exp(w) once for every unit with 0 < y < n, so a must be less than 2 plus their number.

    Args:
        exponent: a, above 2.

    Raises:
        ModelError: If the exponent is not a finite number above 2.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{PowerLaw().log_density(jnp.array([0.0, 2.0])):.6f}")  # -1 + 2 log(1/2)
        -2.386294
    """

    exponent: float = 2.5

    kind: ClassVar[str] = "power_law"
    family: ClassVar[str] = "beta_binomial"
    proper: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 2 < self.exponent < math.inf:
            raise ModelError(
                f"power_law hyperprior: expected a finite exponent above 2 (with 2 or less the "
                f"posterior is improper whatever the data), found {self.exponent}"
            )

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates, up to the constant an improper one lacks."""
        log_m, log_c = _log_mean_pair(eta)
        return (2.0 - self.exponent) * eta[1] + log_m + log_c

    def impropriety(self, informative: float) -> str | None:
        """Says what is missing when too few units have 0 < successes < trials."""
        if informative > self.exponent - 2:
            return None
        return (
            f"posterior is improper: under (alpha+beta)^(-{self.exponent:g}) the number of units "
            f"with 0 < successes < trials must exceed {self.exponent - 2:g}, found "
            f"{informative:g}. Use a proper hyperprior: mean_concentration (e.g. mean "
            "Uniform(0, 1), concentration LogNormal(2, 1.5)) or shapes (e.g. alpha and beta "
            "HalfNormal(10))"
        )

    def concentration_moments(self) -> int:
        """The posterior's tail in w falls like exp(-(a - 2) w)."""
        return int(self.exponent > 3) + int(self.exponent > 4)

    def mean_moments(self, informative: float) -> int:
        """A mean between 0 and 1 has all."""
        return 2


@dataclass(frozen=True)
class MeanConcentration:
    r"""Independent proper densities of the mean and the concentration.

    .. math:: \log p(u, w) = \log p(m) + \log m(1 - m) + \log p(\kappa) + w

    Args:
        mean: A numpyro distribution on (0, 1).
        concentration: A numpyro distribution on positive numbers.

    Raises:
        ModelError: If one of them is not a scalar, proper, continuous distribution there.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpyro.distributions as dist
        >>> hyperprior = MeanConcentration(dist.Uniform(0.0, 1.0), dist.LogNormal(2.0, 1.0))
        >>> print(f"{hyperprior.log_density(jnp.array([0.0, 2.0])):.6f}")
        -2.305233
    """

    mean: "Distribution"
    concentration: "Distribution"

    kind: ClassVar[str] = "mean_concentration"
    family: ClassVar[str] = "beta_binomial"
    proper: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate(self, {"mean": UNIT, "concentration": POSITIVE})

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates."""
        log_m, log_c = _log_mean_pair(eta)
        m, kappa = jax.nn.sigmoid(eta[0]), jnp.exp(eta[1])
        return log_prob(self.mean, m) + log_m + log_c + log_prob(self.concentration, kappa) + eta[1]

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Float[Array, "*batch 2"]:
        """Draws working coordinates from the hyperprior."""
        key_mean, key_concentration = jax.random.split(key)
        m = self.mean.sample(key_mean, shape)
        kappa = self.concentration.sample(key_concentration, shape)
        return jnp.stack([jnp.log(m) - jnp.log1p(-m), jnp.log(kappa)], axis=-1)

    def impropriety(self, informative: float) -> str | None:
        """A proper hyperprior has a proper posterior."""
        return None

    def concentration_moments(self) -> int:
        """Those of the concentration's own density."""
        return moments(self.concentration)

    def mean_moments(self, informative: float) -> int:
        """A mean between 0 and 1 has all."""
        return 2


@dataclass(frozen=True)
class Shapes:
    r"""Independent proper densities of the two shape parameters.

    .. math:: \log p(u, w) = \log p(\alpha) + \log\alpha + \log p(\beta) + \log\beta

    Args:
        alpha: A numpyro distribution on positive numbers.
        beta: Likewise.

    Raises:
        ModelError: If one of them is not a scalar, proper, continuous distribution there.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpyro.distributions as dist
        >>> hyperprior = Shapes(dist.Exponential(1.0), dist.Exponential(1.0))
        >>> print(f"{hyperprior.log_density(jnp.array([0.0, jnp.log(2.0)])):.6f}")
        -2.000000
    """

    alpha: "Distribution"
    beta: "Distribution"

    kind: ClassVar[str] = "shapes"
    family: ClassVar[str] = "beta_binomial"
    proper: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate(self, {"alpha": POSITIVE, "beta": POSITIVE})

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates."""
        log_m, log_c = _log_mean_pair(eta)
        log_alpha, log_beta = log_m + eta[1], log_c + eta[1]
        return (
            log_prob(self.alpha, jnp.exp(log_alpha))
            + log_alpha
            + log_prob(self.beta, jnp.exp(log_beta))
            + log_beta
        )

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Float[Array, "*batch 2"]:
        """Draws working coordinates from the hyperprior."""
        key_alpha, key_beta = jax.random.split(key)
        alpha, beta = self.alpha.sample(key_alpha, shape), self.beta.sample(key_beta, shape)
        return jnp.stack([jnp.log(alpha) - jnp.log(beta), jnp.log(alpha + beta)], axis=-1)

    def impropriety(self, informative: float) -> str | None:
        """A proper hyperprior has a proper posterior."""
        return None

    def concentration_moments(self) -> int:
        """Those that both shape parameters have."""
        return moments(self.alpha, self.beta)

    def mean_moments(self, informative: float) -> int:
        """A mean between 0 and 1 has all."""
        return 2
