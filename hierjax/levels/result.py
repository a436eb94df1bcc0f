"""What a method finds of three levels."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from hierjax.inference.result import Status
from hierjax.levels.lab_nodes import LabPosteriors
from hierjax.levels.nested import TopPosterior

__all__ = ["GroupResult"]


@dataclass(frozen=True)
class GroupResult:
    """What a method found, on the host.

    Attributes:
        status: How far to trust it.
        message: One line about the status; empty if there is nothing to say.
        top: Posterior of what is above the labs, of quadrature; of an estimate a single node.
        estimate: Point estimate of what is above the labs; None of a distribution.
        covariance: Of the estimate; NaN where a standard deviation is 0.
        labs: Posteriors of the labs' coordinates; None of a sampler.
        new: That of a lab not seen; None of a sampler.
        lattice: Rows and columns of each lab's likelihood, from which these are.
        draws: Of what is above the labs, chains first; None without draws.
        lab_draws: Of the labs' coordinates.
        new_draws: Of a lab not seen.
        info: Diagnostics by name.
        seconds: Time by stage.
    """

    status: Status
    message: str = ""
    top: TopPosterior | None = None
    estimate: Float[np.ndarray, "4"] | None = None
    covariance: Float[np.ndarray, "4 4"] | None = None
    labs: LabPosteriors | None = None
    new: LabPosteriors | None = None
    lattice: tuple[int, int] | None = None
    draws: Float[np.ndarray, "chains draws 4"] | None = None
    lab_draws: Float[np.ndarray, "chains draws groups 2"] | None = None
    new_draws: Float[np.ndarray, "chains draws 2"] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
