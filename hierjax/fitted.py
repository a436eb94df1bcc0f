"""Fitted: a model, its data, a method and what it found, before any question."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float

from hierjax.errors import InferenceError
from hierjax.inference import Method
from hierjax.inference.result import Result
from hierjax.model import Model
from hierjax.observations import Observations
from hierjax.posterior import HyperPosterior
from hierjax.units.answers import Units

__all__ = ["DTYPES", "Fitted", "Precision"]

Precision = Literal["float64", "float32"]
DTYPES: dict[str, type] = {"float64": np.float64, "float32": np.float32}


@dataclass(frozen=True, eq=False, repr=False)
class Fitted:
    """Data, model, method and what it found: all that answers are made from.

    Attributes:
        counts: The units.
        model: Family and hyperprior.
        method: The method's settings.
        precision: Floating type of the computation.
        result: Posterior, draws, status and diagnostics, as NumPy arrays.
    """

    counts: Observations
    model: Model
    method: Method
    precision: Precision
    result: Result

    @property
    def status(self) -> str:
        """`converged`, `boundary`, `not_converged` or `failed`."""
        return self.result.status.value

    @property
    def message(self) -> str:
        """A line about the status, empty if there is nothing to say."""
        return self.result.message

    @property
    def posterior(self) -> HyperPosterior:
        """Weighted points of the hyperparameters.

        Raises:
            InferenceError: If the method failed.
        """
        if self.result.posterior is None:
            raise InferenceError(f"{self.method.name}: no result, {self.message}")
        return self.result.posterior

    @property
    def draws(self) -> Float[np.ndarray, "chains draws 2"] | None:
        """Working coordinates drawn by a sampler."""
        return self.result.draws

    @property
    def unit_draws(self) -> Float[np.ndarray, "chains draws units"] | None:
        """Rates drawn by a sampler that was asked to store them."""
        return self.result.unit_draws

    @property
    def info(self) -> dict[str, Any]:
        """The method's diagnostics by name."""
        return self.result.info

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent compiling and running."""
        return self.result.seconds

    @property
    def is_point(self) -> bool:
        """Whether the method gives a point, not a distribution, of the hyperparameters."""
        return self.posterior.weights.size == 1

    @property
    def is_estimate(self) -> bool:
        """Whether the method gives a point estimate, its error carried along or not."""
        return self.is_point or self.result.estimate is not None

    @cached_property
    def dtype(self) -> type:
        """Floating type of the computation."""
        return DTYPES[self.precision]

    def _x64(self) -> Any:
        return jax.enable_x64(self.precision == "float64")

    @property
    def _counted(self) -> dict[str, np.ndarray]:
        """The first columns of a table with one row a unit."""
        counts = self.counts
        return {"label": counts.labels, **dict(zip(counts.columns, counts.pair, strict=True))}

    @cached_property
    def _units(self) -> Units:
        """Answers about units, under this posterior."""
        is_lattice = self.result.lattice is not None
        return Units(self.model.family, self.posterior, is_lattice, self.dtype)
