r"""The third level: labs whose two working coordinates come from a population of labs.

.. math:: \theta_j \mid \eta_{g(j)} \sim p(\theta \mid \eta_{g(j)}), \qquad
    \eta_g = (u_g, w_g), \qquad u_g \sim N(\mu_u, \tau_u), \qquad w_g \sim N(\mu_w, \tau_w)

u is the location and w the log-concentration of the units of a lab.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from hierjax.errors import ConfigError
from hierjax.families import FAMILIES, AnyFamily

__all__ = ["TOP", "GroupHyperprior", "GroupModel", "TopPrior"]

# What is above the labs, in order.
TOP = (
    "location_mean",
    "location_sd",
    "log_concentration_mean",
    "log_concentration_sd",
)
_LOCATION_SD, _LOCATION_SCALE = 5.0, 1.0
_CONCENTRATION, _CONCENTRATION_SD = 4.0, 3.0
_HALF_NORMAL = 0.5 * np.log(2 / np.pi)
_NORMAL = -0.5 * np.log(2 * np.pi)


class TopPrior(NamedTuple):
    """A hyperprior in numbers.

    Attributes:
        centers: Of the normal densities of both means.
        sds: Their standard deviations.
        scales: Of the half-normal densities of both standard deviations.
    """

    centers: Float[np.ndarray, "2"]
    sds: Float[np.ndarray, "2"]
    scales: Float[np.ndarray, "2"]

    def log_density(
        self,
        block: int,
        mean: Float[np.ndarray, "*batch"],
        sd: Float[np.ndarray, "*batch"],
    ) -> Float[np.ndarray, "*batch"]:
        """Log-density of one coordinate's mean and standard deviation."""
        away = (mean - self.centers[block]) / self.sds[block]
        wide = sd / self.scales[block]
        constants = _NORMAL + _HALF_NORMAL - np.log(self.sds[block] * self.scales[block])
        return np.asarray(constants - 0.5 * (away * away + wide * wide))


@dataclass(frozen=True)
class GroupHyperprior:
    """Proper, weakly informative densities of what is above the labs.

    Means are normal, standard deviations half-normal, all independent. Defaults are in the
    family's own units (`Family.frame`): locations have a center like the family's origin and five
    times its unit as standard deviation, and a lab differs from another by about a unit;
    log-concentrations are 4 above the origin, give or take 3, and differ by about 1. Of rates
    among trials the origin is 0 and the unit 1; of events and of measurements both follow the
    data's own size.

    Args:
        location: Center and standard deviation of the labs' mean location.
        location_spread: Scale of the standard deviation of the labs' locations.
        log_concentration: Center and standard deviation of their mean log-concentration.
        log_concentration_spread: Scale of the standard deviation of their log-concentrations.

    Raises:
        ConfigError: If a number is not finite, or a standard deviation or scale not positive.
    """

    location: tuple[float, float] | None = None
    location_spread: float | None = None
    log_concentration: tuple[float, float] | None = None
    log_concentration_spread: float = 1.0

    def __post_init__(self) -> None:
        for name in ("location", "log_concentration"):
            pair = getattr(self, name)
            if pair is not None and (not np.all(np.isfinite(pair)) or not pair[1] > 0):
                raise ConfigError(
                    f"{name}: expected a center and a positive standard deviation, found {pair!r}"
                )
        for name in ("location_spread", "log_concentration_spread"):
            scale = getattr(self, name)
            if scale is not None and not (np.isfinite(scale) and scale > 0):
                raise ConfigError(f"{name}: expected a positive scale, found {scale!r}")

    @classmethod
    def of_numbers(cls, prior: TopPrior) -> "GroupHyperprior":
        """The one that is these numbers, whatever the data."""
        pairs = [(float(c), float(sd)) for c, sd in zip(prior.centers, prior.sds, strict=True)]
        location, concentration = map(float, prior.scales)
        return cls(pairs[0], location, pairs[1], concentration)

    def of(self, family: AnyFamily, tally: Any) -> TopPrior:
        """The hyperprior in numbers, for units of a size that their tally shows."""
        frame = family.frame(jax.tree.map(np.asarray, tally))
        origin, unit, log_origin = (float(x) for x in frame)
        location = self.location or (origin, _LOCATION_SD * unit)
        concentration = self.log_concentration or (log_origin + _CONCENTRATION, _CONCENTRATION_SD)
        scale = _LOCATION_SCALE * unit if self.location_spread is None else self.location_spread
        pairs = np.array([location, concentration])
        return TopPrior(pairs[:, 0], pairs[:, 1], np.array([scale, self.log_concentration_spread]))


@dataclass(frozen=True)
class GroupModel:
    """Units in labs, and labs in a population of labs.

    Args:
        family: Conjugate family of the units, or its name; by default the data's own.
        hyperprior: Density of what is above the labs.

    Raises:
        ConfigError: If there is no such family.

    Example:
        >>> GroupModel("gamma_poisson").family.name
        'gamma_poisson'
    """

    family: AnyFamily | str | None = None
    hyperprior: GroupHyperprior = field(default_factory=GroupHyperprior)

    def __post_init__(self) -> None:
        if isinstance(self.family, str):
            if self.family not in FAMILIES:
                expected = ", ".join(FAMILIES)
                raise ConfigError(f"family: expected one of {expected}, found {self.family!r}")
            object.__setattr__(self, "family", FAMILIES[self.family])
