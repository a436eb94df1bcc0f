"""What every conjugate family answers: nothing else of it is known anywhere."""

from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Key, Shaped

from hierjax.families.diagram import Diagram
from hierjax.families.host_protocol import OnHost
from hierjax.families.hyperparameters import Hyperparameters
from hierjax.families.unit_words import UnitWords
from hierjax.families.words import Words

__all__ = ["AnyFamily", "Family", "Frame", "Support"]

Scalar = Float[Array, ""]
Batch = Float[Array, "..."]

# What is observed of a unit: counts from 0 to its size, any counts, or any real number.
Support = Literal["counts_up_to_size", "counts", "reals"]

Population = TypeVar("Population")
Unit = TypeVar("Unit")
Arrays = TypeVar("Arrays")
Statistics = TypeVar("Statistics")


class Frame(NamedTuple):
    """Origin and unit of the working coordinates, in which searches are of the order of one.

    Attributes:
        location: Origin of the first coordinate.
        scale: Its unit.
        log_concentration: Origin of the second, whose unit is one.
    """

    location: Scalar
    scale: Scalar
    log_concentration: Scalar


@runtime_checkable
class Family(Protocol[Population, Unit, Arrays, Statistics]):
    """A conjugate pair: densities of one unit, unbatched, and words for its hyperparameters.

    A unit has an observed value (successes, events, a measurement) and a known size (trials, an
    exposure, a standard error). Its own parameter, as a `Unit`, comes from the population, a
    NamedTuple with `mean`, `dispersion` and `variance`: of all units, or of one given its data.
    Dispersion 0 is complete pooling, an ordinary point of the marginal.

    All are natural exponential families of quadratic variance (Morris 1982, 1983). A unit has a
    place z on the scale without bounds, and data that enter as a statistic t and a weight v:

        m' = (m + t phi) / (1 + v phi),  phi' = phi / (1 + v phi)
        log p(z) = log p(z0) + (m - m0) (z - z0) / phi - divergence(z0, z) / phi

    with m0 the parameter at z0. A tally has a `dtype`, the `weight` of all units, and `terms`, how
    many elements a log-marginal has.

    Working coordinates are eta = (location, log_concentration). The first is the mean on the scale
    without bounds that `constrain_unit` starts from, so that the marginal at dispersion 0 is the
    likelihood at `constrain_unit(eta[0])`. The second is minus the logarithm of the dispersion.

    Attributes:
        name: Its name in configurations and files.
        support: What is observed.
        columns: What the value and the size of a unit are called.
        limits: Open range of a unit's parameter.
        bend: v2, half the second derivative of the variance function V: the population's variance
            is V(m) phi / (1 - v2 phi).
        words: What messages call its parts.
        coordinates: Names of the working coordinates.
        hyperparameters: What is reported of a population; the first two are the coordinates.
        diagram: What its plate diagram says.
        unit_words: What its units are called.
        on_host: Its conjugate distribution, in NumPy and SciPy.
    """

    name: ClassVar[str]
    support: ClassVar[Support]
    columns: ClassVar[tuple[str, str]]
    limits: ClassVar[tuple[float, float]]
    bend: ClassVar[float]
    words: ClassVar[Words]
    coordinates: ClassVar[tuple[str, str]]
    hyperparameters: ClassVar[Hyperparameters]
    diagram: ClassVar[Diagram]
    on_host: ClassVar[OnHost]
    unit_words: ClassVar[UnitWords]

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

    def update(self, value: Batch, size: Batch, population: Population, /) -> Population:
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

    def parameter_at(self, place: Batch, /) -> Batch:
        """The parameter at a place on the scale without bounds."""
        ...

    def place_of(self, parameter: Batch, /) -> Batch:
        """The place of a parameter."""
        ...

    def host_parameter_at(self, place: Shaped[np.ndarray, "..."], /) -> np.ndarray:
        """The parameter at a place, by NumPy."""
        ...

    def host_place_of(self, parameter: Shaped[np.ndarray, "..."], /) -> np.ndarray:
        """The place of a parameter, by NumPy."""
        ...

    def population_at(self, place: Batch, dispersion: Batch, /) -> Population:
        """The population of given dispersion, 0 allowed, whose mean is at a place."""
        ...

    def statistic(self, value: Batch, size: Batch, /) -> tuple[Batch, Batch]:
        """What of a unit's data enters its update: t and v."""
        ...

    def variance_function(self, mean: Batch, /) -> Batch:
        """V(m): the variance of the raw rate t/v of a unit of weight one whose parameter is m."""
        ...

    def spread(self, population: Population, /) -> Batch:
        """About the standard deviation of the place of a unit."""
        ...

    def tails(self, population: Population, /) -> tuple[Batch, Batch]:
        """Rates at which the log-density of a unit's place falls far to the left and right."""
        ...

    def divergence(self, origin: Batch, place: Batch, /) -> Batch:
        """Kullback-Leibler divergence from one place to another, of one unit of size."""
        ...

    def excess(self, population: Population, place: Batch, /) -> Batch:
        """The mean less the parameter at a place, m - m0, with digits near the limits too."""
        ...

    def draw(self, key: Key[Array, ""], population: Population, /) -> Batch:
        """Exact draws of places, one for every element; at dispersion 0 the mean's."""
        ...

    def seen(
        self, places: Float[Array, "*batch units"], present: Float[Array, "units"], /
    ) -> Statistics:
        """What the hyperparameters see of units whose places are known.

        Args:
            places: Of every unit.
            present: One; zero for what only fills the array up, and is not seen.
        """
        ...

    def log_prior_units(self, statistics: Statistics, population: Population, /) -> Scalar:
        """Log-density of all units' places, from what is seen of them; positive dispersion."""
        ...

    def log_likelihood_kernel(self, value: Batch, size: Batch, place: Batch, /) -> Batch:
        """What of the log-likelihood depends on a unit's place, which is finite."""
        ...

    def place(self, value: Batch, size: Batch, population: Population, /) -> tuple[Batch, Batch]:
        """About the mean and standard deviation of a unit's place given its data."""
        ...

    def no_maximum(
        self, values: Shaped[np.ndarray, "units"], sizes: Shaped[np.ndarray, "units"], /
    ) -> str | None:
        """Says why the likelihood of these data has no maximum, if it has none."""
        ...

    def pooled(self, tally: Arrays, /) -> Scalar:
        """The place of all units' common parameter that makes them most probable."""
        ...

    def start(self, tally: Arrays, /) -> Scalar:
        """A place near that one, finite whatever the units are."""
        ...

    def frame(self, tally: Arrays, /) -> Frame:
        """Coordinates in which searches begin; log-concentrations of -2 to 12 are then usual."""
        ...

    def informative(self, tally: Arrays, /) -> Float[Any, ""]:
        """Weight of the units on which it depends whether a posterior is proper."""
        ...

    def unit_variance(self, population: Population, /) -> Batch:
        """V(m): a population's variance is V(m) phi / (1 - v2 phi), v2 V's coefficient of m^2."""
        ...

    def location(self, population: Population, /) -> Batch:
        """Place of the mean on the scale without bounds."""
        ...

    def floored(self, population: Population, least: float, /) -> Population:
        """A population whose mean has a place, where it would round to a limit of rates."""
        ...

    def log_slope(self, unbounded: Batch, /) -> Batch:
        """Log of the parameter's derivative by its place, which is log V(parameter)."""
        ...

    def slopes(self, unbounded: Batch, /) -> tuple[Batch, Batch]:
        """V at a place, and its derivative by the parameter."""
        ...

    def ratio_below(self, count: Batch, size: Batch, population: Population, /) -> Batch:
        """Marginal probability of one less, relative to that of a count."""
        ...

    def draw_posterior(
        self,
        key: Key[Array, ""],
        points: Float[Array, "draws 2"],
        values: Float[Array, "units"],
        sizes: Float[Array, "units"],
        /,
    ) -> Float[Array, "draws units"]:
        """Draws places of all units' parameters, given draws of the hyperparameters."""
        ...


AnyFamily = Family[Any, Any, Any, Any]
