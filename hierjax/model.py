"""A model: one conjugate family under one hyperprior."""

from dataclasses import dataclass, field

import jax
from jaxtyping import Array, Float

from hierjax.asked import of_kind
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.hyperpriors import Hyperprior, PowerLaw
from hierjax.tally import TallyArrays

__all__ = ["Model"]


@dataclass(frozen=True)
class Model:
    """The hierarchy whose hyperparameters are inferred.

    Args:
        family: Conjugate family of the units.
        hyperprior: Density of the hyperparameters.

    Raises:
        ConfigError: If the family is another.

    Example:
        >>> Model().hyperprior
        PowerLaw(exponent=2.5)
    """

    family: BetaBinomial = field(default_factory=BetaBinomial)
    hyperprior: Hyperprior = field(default_factory=PowerLaw)

    def __post_init__(self) -> None:
        expected = "BetaBinomial, as methods know no other"
        of_kind("family", self.family, BetaBinomial, expected)

    def log_marginal(self, tally: TallyArrays, eta: Float[Array, "2"]) -> Float[Array, ""]:
        """Log-marginal likelihood of all units at working coordinates eta."""
        return self.family.log_marginal_tally(tally, self.family.constrain(eta))

    def log_posterior(self, tally: TallyArrays, eta: Float[Array, "2"]) -> Float[Array, ""]:
        """Log-marginal plus log-hyperprior: the unnormalised log-posterior density of eta."""
        return self.log_marginal(tally, eta) + self.hyperprior.log_density(eta)


jax.tree_util.register_dataclass(Model, data_fields=["hyperprior"], meta_fields=["family"])
