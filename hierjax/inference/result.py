"""What goes into a method and what comes out of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from hierjax.errors import ModelError
from hierjax.hyperpriors import Scaled, check_proper
from hierjax.inference.quadrature import Lattice
from hierjax.model import Model
from hierjax.observations import Observations
from hierjax.posterior import HyperPosterior

__all__ = ["Problem", "Progress", "Result", "Sampled", "Status", "UnitData"]

Progress = Callable[[int, int], None]


class Status(StrEnum):
    """How far a result may be trusted."""

    CONVERGED = "converged"
    BOUNDARY = "boundary"
    NOT_CONVERGED = "not_converged"
    FAILED = "failed"


@dataclass(frozen=True)
class UnitData:
    """Data of every unit as floating arrays.

    Attributes:
        values: What is observed.
        sizes: What is known.
    """

    values: Float[np.ndarray, "units"]
    sizes: Float[np.ndarray, "units"]


@runtime_checkable
class Sampled(Protocol):
    """What of a problem the scan needs, whatever its levels."""

    @property
    def dtype(self) -> type:
        """Floating type to compute in."""
        ...

    @property
    def key(self) -> Key[Array, ""] | None:
        """Typed random key."""
        ...

    @property
    def progress(self) -> Progress | None:
        """Called with steps done and steps in all."""
        ...

    @property
    def checkpoint(self) -> Path | None:
        """File that the scan goes on from, and writes after every chunk."""
        ...


@dataclass(frozen=True)
class Problem:
    """All that a method is given.

    Attributes:
        model: Family and hyperprior, with a scale from the units if it had none.
        counts: Validated observations of the model's family.
        dtype: Floating type to compute in.
        key: Typed random key; None for methods that need none.
        progress: Called with steps done and steps in all.
        checkpoint: File that a sampler goes on from, and writes after every chunk.
        start: Working coordinates that an ascent starts from; None for its own choice.
    """

    model: Model
    counts: Observations
    dtype: type
    key: Key[Array, ""] | None = None
    progress: Progress | None = None
    checkpoint: Path | None = None
    start: Float[np.ndarray, "2"] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.model.hyperprior, Scaled):
            object.__setattr__(self, "model", self.model.scaled(self.tally()))

    @property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Values and sizes of the units, by their names in the family."""
        value, size = (getattr(self.counts, name) for name in self.model.family.columns)
        return value, size

    def tally(self) -> Any:
        """The units' tally, as arrays of the right type."""
        return self._tally

    @cached_property
    def _tally(self) -> Any:
        return self.model.family.tally(*self.data, self.counts.weights, self.dtype)

    def proper_tally(self) -> Any:
        """The same, of units that make the posterior a proper one.

        Raises:
            ModelError: If the hyperprior and these units have none.
        """
        tally = self.tally()
        check_proper(self.model.hyperprior, float(self.model.family.informative(tally)))
        return tally

    def units(self) -> UnitData:
        """The units one by one, for samplers of their rates.

        Raises:
            ModelError: If units are weighted: a weight has no meaning for a sampled rate.
        """
        weights = self.counts.weights
        if weights is not None and not np.all(weights == 1):
            j = int(np.argmax(weights != 1))
            raise ModelError(
                f"unit {str(self.counts.labels[j])!r}: samplers of every unit's rate need weights "
                f"of 1, found {weights[j]:g}; use quadrature or type2_mle"
            )
        return UnitData(*(np.asarray(x, self.dtype) for x in self.data))


@dataclass(frozen=True)
class Result:
    """What a method found, on the host.

    Attributes:
        posterior: Weighted points, or None if the method failed.
        status: How far to trust it.
        message: One line about the status; empty if there is nothing to say.
        draws: Working coordinates drawn, chains first; None without draws.
        unit_draws: Rates drawn, chains first, where asked for.
        lattice: Nodes of quadrature, for quantiles of the hyperparameters.
        covariance: Of a point estimate's working coordinates.
        estimate: A point estimate whose error the posterior carries; None where the posterior is
            the estimate itself, or a distribution.
        info: Diagnostics by name.
        seconds: Time to compile and to run.
    """

    posterior: HyperPosterior | None
    status: Status
    message: str = ""
    draws: Float[np.ndarray, "chains draws 2"] | None = None
    unit_draws: Float[np.ndarray, "chains draws units"] | None = None
    lattice: Lattice | None = None
    covariance: Float[np.ndarray, "2 2"] | None = None
    estimate: Float[np.ndarray, "2"] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def on_host(self) -> "Result":
        """The same result with its posterior and lattice as NumPy arrays."""
        parts = (self.posterior, self.lattice)
        posterior, lattice = (jax.tree.map(np.asarray, part) for part in parts)
        return replace(self, posterior=posterior, lattice=lattice)
