"""A model: one conjugate family under one hyperprior."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import jax
from jaxtyping import Array, Float

from hierjax.asked import of_kind
from hierjax.errors import ConfigError
from hierjax.families import FAMILIES, AnyFamily
from hierjax.hyperpriors import Hyperprior, Scaled, default_hyperprior

if TYPE_CHECKING:
    from hierjax.observations import Observations

__all__ = ["Model"]


@dataclass(frozen=True)
class Model:
    """The hierarchy whose hyperparameters are inferred.

    Args:
        family: Conjugate family of the units; by default that of the hyperprior, or beta-binomial.
        hyperprior: Density of the hyperparameters; by default the family's own.

    Raises:
        ConfigError: If the family is unknown, or the hyperprior another family's.

    Example:
        >>> Model().hyperprior
        PowerLaw(exponent=2.5)
        >>> from hierjax.hyperpriors import FlatScale
        >>> Model(hyperprior=FlatScale()).family.name
        'normal_normal'
    """

    # Neither is None once initialised.
    family: AnyFamily = None  # type: ignore[assignment]
    hyperprior: Hyperprior = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if cast("AnyFamily | None", self.family) is None:
            family = getattr(self.hyperprior, "family", "beta_binomial")
            object.__setattr__(self, "family", FAMILIES[family])
        kinds = tuple(type(family) for family in FAMILIES.values())
        names = ", ".join(kind.__name__ for kind in kinds)
        of_kind("family", self.family, kinds, f"one of {names}")
        if cast("Hyperprior | None", self.hyperprior) is None:
            object.__setattr__(self, "hyperprior", default_hyperprior(self.family.name))
        owner = getattr(self.hyperprior, "family", self.family.name)
        if owner != self.family.name:
            raise ConfigError(
                f"hyperprior: expected one for the family {self.family.name}, found "
                f"{type(self.hyperprior).__name__}, which is for {owner}"
            )

    def scaled(self, tally: Any) -> "Model":
        """The same model; a hyperprior without a scale of its own takes it from the units.

        Args:
            tally: The units.

        Returns:
            A model whose hyperprior has a density.
        """
        if not isinstance(self.hyperprior, Scaled):
            return self
        return replace(self, hyperprior=self.hyperprior.scaled(self.family.frame(tally)))

    def moments(self, data: "Observations") -> tuple[int, int]:
        """How many posterior moments exist of the concentration, and of the population's mean."""
        hyperprior = self.hyperprior
        mean = hyperprior.mean_moments(0.0)
        if mean < 2:
            value, size = (getattr(data, name) for name in self.family.columns)
            tally = self.family.tally(value, size, data.weights)
            mean = hyperprior.mean_moments(float(self.family.informative(tally)))
        return hyperprior.concentration_moments(), mean

    def log_marginal(self, tally: Any, eta: Float[Array, "2"]) -> Float[Array, ""]:
        """Log-marginal likelihood of all units at working coordinates eta."""
        return self.family.log_marginal_tally(tally, self.family.constrain(eta))

    def log_posterior(self, tally: Any, eta: Float[Array, "2"]) -> Float[Array, ""]:
        """Log-marginal plus log-hyperprior: the unnormalised log-posterior density of eta."""
        return self.log_marginal(tally, eta) + self.hyperprior.log_density(eta)


jax.tree_util.register_dataclass(Model, data_fields=["hyperprior"], meta_fields=["family"])
