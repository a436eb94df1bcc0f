"""Hyperpriors of the Gamma-Poisson, on eta = (log_mean, log_concentration) = (log m, log b).

With a = m b the Gamma's shape and b its rate, the marginal likelihood of units with exposures e_j
has these limits, on which it depends which posteriors are proper; k is the number of units with
events and J that of all.

- b to infinity, m held: complete pooling's, which is not 0.
- m to 0, b held: it vanishes like m^k, and for large b like m to the number of all events.
- a to infinity, b held: it vanishes like an exponential of a.
- b to 0: a unit without events has (b / (b + e))^a, one with events a times as much. Where a falls
  like 1 / (J log(1/b)) that is a^k and no less: the integral over log m falls like
  log(1/b)^(-k), which no power of 1/b survives.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hierjax.errors import ModelError
from hierjax.families.protocol import Frame
from hierjax.hyperpriors.densities import POSITIVE, inverse_moments, log_prob, moments, validate

if TYPE_CHECKING:
    from numpyro.distributions import Distribution

__all__ = ["GammaMeanConcentration", "ShapeRate", "Shrinkage"]

Scalar = Float[Array, ""]
_PROPER = (
    "Use a proper hyperprior: mean_concentration (e.g. mean LogNormal and concentration LogNormal, "
    "each in the exposures' unit) or shape_rate (e.g. shape Exponential(1), rate Gamma(0.1, 1))"
)


@dataclass(frozen=True)
class Shrinkage:
    r"""Flat in the log of the mean; Beta-distributed shrinkage of a unit of typical exposure.

    A unit of exposure e0 keeps the share 1 - B of its distance from the population's mean, with
    B = b / (b + e0), and

    .. math:: B \sim \mathrm{Beta}(p, q), \qquad
        \log p(u, w) = p \log B + q \log(1 - B) - \log \mathrm{B}(p, q)

    With p = q = 1 shrinkage is uniform (Christiansen & Morris 1997, "Hierarchical Poisson
    regression modeling", *JASA* 92:618-632).

    It is improper, by the flat log of the mean alone. As w grows it falls like exp(-q w), and the
    likelihood tends to complete pooling's; as w falls it falls like exp(p w), and the likelihood
    integrated over u like a power of 1/|w|, so both ends are integrable. At a given w the
    likelihood falls like m^k as m falls, with k the number of units with events, and like an
    exponential as m grows. The posterior is proper if and only if k > 0.

    Where both m and 1/b grow, as in the module's last limit, the marginal density of m falls like
    m^(-p) log(m)^(-k - p) on u, so m has moments up to order p. The default p = 2 is the smallest
    for which rates have means and variances, and the default q = 1/2 has the tail exp(-w/2) of
    the beta-binomial's default.

    Args:
        exposure: e0, in the exposures' unit; by default that in which one event is expected of
            all units pooled, so that B = a / (a + 1).
        first: p.
        second: q.

    Raises:
        ModelError: If one is not a positive, finite number.

    Example:
        >>> import jax.numpy as jnp
        >>> hyperprior = Shrinkage(exposure=100.0, first=1.0, second=1.0)
        >>> at = jnp.array([-3.0, jnp.log(100.0)])
        >>> print(f"{hyperprior.log_density(at):.4f}")  # 2 log(1/2)
        -1.3863
    """

    exposure: float | None = None
    first: float = 2.0
    second: float = 0.5

    kind: ClassVar[str] = "shrinkage"
    family: ClassVar[str] = "gamma_poisson"
    proper: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("exposure", "first", "second"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ModelError(
                    f"shrinkage hyperprior: expected a positive, finite {name}, found {value}"
                )

    def scaled(self, frame: Frame) -> "Shrinkage":
        """With the exposure in which one event is expected, if none was given."""
        if self.exposure is not None:
            return self
        return replace(self, exposure=math.exp(float(frame.log_concentration)))

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates, up to the constant an improper one lacks."""
        if self.exposure is None:
            raise ModelError("shrinkage hyperprior: expected an exposure, or units to take it from")
        logit = eta[1] - jnp.log(self.exposure)
        normalizer = jax.scipy.special.betaln(self.first, self.second)
        kept, lost = jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)
        return self.first * kept + self.second * lost - normalizer

    def impropriety(self, informative: float) -> str | None:
        """Says what is missing when no unit has events."""
        if informative > 0:
            return None
        return (
            "posterior is improper: under a flat log of the mean at least one unit must have "
            f"events, found none. {_PROPER}"
        )

    def concentration_moments(self) -> int:
        """The posterior's tail in w falls like exp(-q w)."""
        return int(self.second > 1) + int(self.second > 2)

    def mean_moments(self, informative: float) -> int:
        """Those up to order p."""
        return min(2, int(self.first))


@dataclass(frozen=True)
class GammaMeanConcentration:
    r"""Independent proper densities of the mean rate and the concentration, which is the rate b.

    .. math:: \log p(u, w) = \log p(m) + u + \log p(b) + w

    Args:
        mean: A numpyro distribution on positive numbers: events per unit of exposure.
        concentration: Likewise, a prior exposure.

    Raises:
        ModelError: If one of them is not a scalar, proper, continuous distribution there.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpyro.distributions as dist
        >>> hyperprior = GammaMeanConcentration(dist.Exponential(1.0), dist.Exponential(1.0))
        >>> print(f"{hyperprior.log_density(jnp.array([0.0, jnp.log(2.0)])):.6f}")  # log 2 - 3
        -2.306853
    """

    mean: "Distribution"
    concentration: "Distribution"

    kind: ClassVar[str] = "mean_concentration"
    family: ClassVar[str] = "gamma_poisson"
    proper: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate(self, {"mean": POSITIVE, "concentration": POSITIVE})

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates."""
        m, b = jnp.exp(eta[0]), jnp.exp(eta[1])
        return log_prob(self.mean, m) + eta[0] + log_prob(self.concentration, b) + eta[1]

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Float[Array, "*batch 2"]:
        """Draws working coordinates from the hyperprior."""
        key_mean, key_concentration = jax.random.split(key)
        m = self.mean.sample(key_mean, shape)
        b = self.concentration.sample(key_concentration, shape)
        return jnp.stack([jnp.log(m), jnp.log(b)], axis=-1)

    def impropriety(self, informative: float) -> str | None:
        """A proper hyperprior has a proper posterior."""
        return None

    def concentration_moments(self) -> int:
        """Those of the concentration's own density."""
        return moments(self.concentration)

    def mean_moments(self, informative: float) -> int:
        """Those of the mean's own density."""
        return moments(self.mean)


@dataclass(frozen=True)
class ShapeRate:
    r"""Independent proper densities of the Gamma's shape and rate.

    .. math:: \log p(u, w) = \log p(a) + \log a + \log p(b) + \log b, \qquad \log a = u + w

    Args:
        shape: A numpyro distribution on positive numbers.
        rate: Likewise, in the exposures' unit.

    Raises:
        ModelError: If one of them is not a scalar, proper, continuous distribution there.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpyro.distributions as dist
        >>> hyperprior = ShapeRate(dist.Exponential(1.0), dist.Gamma(0.1, 1.0))
        >>> print(f"{hyperprior.log_density(jnp.array([0.0, 0.0])):.6f}")
        -4.252713
    """

    shape: "Distribution"
    rate: "Distribution"

    kind: ClassVar[str] = "shape_rate"
    family: ClassVar[str] = "gamma_poisson"
    proper: ClassVar[bool] = True

    def __post_init__(self) -> None:
        validate(self, {"shape": POSITIVE, "rate": POSITIVE})

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates."""
        log_a, log_b = eta[0] + eta[1], eta[1]
        return (
            log_prob(self.shape, jnp.exp(log_a))
            + log_a
            + log_prob(self.rate, jnp.exp(log_b))
            + log_b
        )

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Float[Array, "*batch 2"]:
        """Draws working coordinates from the hyperprior."""
        key_shape, key_rate = jax.random.split(key)
        a, b = self.shape.sample(key_shape, shape), self.rate.sample(key_rate, shape)
        return jnp.stack([jnp.log(a) - jnp.log(b), jnp.log(b)], axis=-1)

    def impropriety(self, informative: float) -> str | None:
        """A proper hyperprior has a proper posterior."""
        return None

    def concentration_moments(self) -> int:
        """Those that both shape and rate have."""
        return moments(self.shape, self.rate)

    def mean_moments(self, informative: float) -> int:
        """Those that both the shape and the reciprocal of the rate have."""
        return min(moments(self.shape), inverse_moments(self.rate))
