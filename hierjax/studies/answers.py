"""What a study asks of a method, and the truth beside its answers."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Shaped

from hierjax.errors import DataError
from hierjax.inference.result import Status
from hierjax.studies.simulation import Simulated

__all__ = ["Answers", "Compared", "compared"]


@runtime_checkable
class Answers(Protocol):
    """Answers about every data set of a batch, of which `BatchFit` is one kind.

    Where a method failed, and beyond a data set's units, they are NaN.

    Attributes:
        status: How each data set went.
        mean: Units' estimates.
        low: Lower ends of units' intervals.
        high: Upper ends.
        coordinates: Estimates of (logit_mean, log_concentration); NaN where there are none.
        coordinate_low: Lower ends of their intervals.
        coordinate_high: Upper ends.
    """

    @property
    def status(self) -> Shaped[np.ndarray, "batch"]: ...  # noqa: D102
    @property
    def mean(self) -> Float[np.ndarray, "batch units"]: ...  # noqa: D102
    @property
    def low(self) -> Float[np.ndarray, "batch units"]: ...  # noqa: D102
    @property
    def high(self) -> Float[np.ndarray, "batch units"]: ...  # noqa: D102
    @property
    def coordinates(self) -> Float[np.ndarray, "batch 2"]: ...  # noqa: D102
    @property
    def coordinate_low(self) -> Float[np.ndarray, "batch 2"]: ...  # noqa: D102
    @property
    def coordinate_high(self) -> Float[np.ndarray, "batch 2"]: ...  # noqa: D102


class Compared(NamedTuple):
    """A method's answers beside the truth of the data sets it was given.

    Attributes:
        method: The method's name.
        truth: Those data sets.
        answers: Its answers.
        found: Data sets on which it did not fail.
        used: Units of those.
    """

    method: str
    truth: Simulated
    answers: Any
    found: Bool[np.ndarray, "batch"]
    used: Bool[np.ndarray, "batch units"]

    @property
    def counts(self) -> dict[str, Any]:
        """Columns that say whose answers they are, and of how many data sets."""
        found = int(self.found.sum())
        return {"method": self.method, "data_sets": found, "failed": len(self.found) - found}


def compared(simulated: Simulated, answers: Mapping[str, Answers]) -> Iterator[Compared]:
    """Every method beside the truth; one that was given fewer data sets has the first of them.

    Args:
        simulated: All data sets.
        answers: Answers by the method's name.

    Yields:
        One comparison a method.

    Raises:
        DataError: If answers are for more data sets, or for others.
    """
    for name, given in answers.items():
        batch, units = given.mean.shape
        if not 1 <= batch <= len(simulated) or units != simulated.rates.shape[1]:
            raise DataError(
                f"{name}: expected answers for 1 to {len(simulated)} data sets of "
                f"{simulated.rates.shape[1]} units, found {batch} of {units}"
            )
        truth = simulated.first(batch)
        found = given.status != str(Status.FAILED)
        yield Compared(name, truth, given, found, truth.data_sets.present & found[:, None])
