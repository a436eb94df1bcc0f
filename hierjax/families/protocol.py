"""What every conjugate family answers: nothing else of it is known anywhere."""

from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Shaped

from hierjax.families.diagram import Diagram
from hierjax.families.host_protocol import OnHost
from hierjax.families.hyperparameters import Hyperparameters

__all__ = ["AnyFamily", "Family", "Support"]

Scalar = Float[Array, ""]

# What is observed of a unit: counts from 0 to its size, any counts, or any real number.
Support = Literal["counts_up_to_size", "counts", "reals"]

Population = TypeVar("Population")
Unit = TypeVar("Unit")
Arrays = TypeVar("Arrays")


@runtime_checkable
class Family(Protocol[Population, Unit, Arrays]):
    """A conjugate pair: densities of one unit, unbatched, and words for its hyperparameters.

    A unit has an observed value (successes, events, a measurement) and a known size (trials, an
    exposure, a standard error). Its own parameter, as a `Unit`, comes from the population, a
    NamedTuple with `mean`, `dispersion` and `variance`: of all units, or of one given its data.
    Dispersion 0 is complete pooling, an ordinary point of the marginal.

    Working coordinates are eta = (location, log_concentration). The first is the mean on the scale
    without bounds that `constrain_unit` starts from, so that the marginal at dispersion 0 is the
    likelihood at `constrain_unit(eta[0])`. The second is minus the logarithm of the dispersion.

    Attributes:
        name: Its name in configurations and files.
        support: What is observed.
        coordinates: Names of the working coordinates.
        hyperparameters: What is reported of a population; the first two are the coordinates.
        diagram: What its plate diagram says.
        on_host: Its conjugate distribution, in NumPy and SciPy.
    """

    name: ClassVar[str]
    support: ClassVar[Support]
    coordinates: ClassVar[tuple[str, str]]
    hyperparameters: ClassVar[Hyperparameters]
    diagram: ClassVar[Diagram]
    on_host: ClassVar[OnHost]

    def constrain(self, eta: Float[Array, "2"], /) -> Population:
        """The population at working coordinates; the second may be infinite."""
        ...

    def unconstrain(self, population: Population, /) -> Float[Array, "2"]:
        """Working coordinates of a population."""
        ...

    def constrain_unit(self, unbounded: Float[Array, "*batch"], /) -> Unit:
        """A unit's parameter from its place on the scale without bounds."""
        ...

    def log_likelihood(self, value: Scalar, size: Scalar, unit: Unit, /) -> Scalar:
        """Log-density of a unit's value given its parameter, constants included."""
        ...

    def log_prior(self, unit: Unit, population: Population, /) -> Scalar:
        """Log-density of a unit's parameter; the dispersion is positive."""
        ...

    def log_prior_unconstrained(self, unbounded: Scalar, population: Population, /) -> Scalar:
        """The same with respect to its place on the scale without bounds."""
        ...

    def log_joint(
        self, value: Scalar, size: Scalar, unit: Unit, population: Population, /
    ) -> Scalar:
        """Likelihood times prior."""
        ...

    def log_marginal(self, value: Scalar, size: Scalar, population: Population, /) -> Scalar:
        """Log-density of a unit's value, its parameter integrated out."""
        ...

    def tally(
        self,
        values: Shaped[np.ndarray, "units"],
        sizes: Shaped[np.ndarray, "units"],
        multiplicity: Shaped[np.ndarray, "units"] | None = None,
        dtype: type = np.float64,
    ) -> Arrays:
        """Sufficient statistics of all units on the host, padded to a few size classes."""
        ...

    def log_marginal_tally(self, tally: Arrays, population: Population, /) -> Scalar:
        """Log-marginal of all units, from their tally."""
        ...

    def update(self, value: Scalar, size: Scalar, population: Population, /) -> Population:
        """The unit's posterior."""
        ...

    def log_predictive(
        self,
        new_value: Scalar,
        new_size: Scalar,
        value: Scalar,
        size: Scalar,
        population: Population,
        /,
    ) -> Scalar:
        """Log-density of a unit's next value, given the one it has."""
        ...


AnyFamily = Family[Any, Any, Any]
