"""Judging the chains of many data sets at once, by NumPyro's vectorised diagnostics."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

from hierjax.batch.inferred import STATUSES, Inferred
from hierjax.batch.plan import SAMPLERS
from hierjax.inference import Method
from hierjax.inference.convergence import LARGEST_R_HAT, SMALLEST_ESS_PER_CHAIN
from hierjax.inference.result import Status

__all__ = ["Judged", "judge"]

_FEWEST_DRAWS = 4


class Judged(NamedTuple):
    """How far data sets' chains may be trusted.

    Attributes:
        ess: Effective sample sizes of the means of both working coordinates.
        r_hat: Their split R-hat.
        status: Position in `STATUSES`.
    """

    ess: Float[np.ndarray, "batch 2"]
    r_hat: Float[np.ndarray, "batch 2"]
    status: Int[np.ndarray, "batch"]


def judge(method: Method, inferred: Inferred) -> Judged:
    """Effective sample sizes and R-hat, held to the limits that a fit alone is held to.

    Args:
        method: The method's settings.
        inferred: What was inferred, chains included.

    Returns:
        The diagnostics, NaN for methods without chains or too short ones.
    """
    chains, status = np.asarray(inferred.chains, np.float64), inferred.status.copy()
    missing = np.full((len(status), 2), np.nan)
    if not isinstance(method, SAMPLERS):
        return Judged(missing, missing, status)
    finite = status != STATUSES.index(Status.FAILED)
    ess, r_hat = missing.copy(), missing.copy()
    if chains.shape[2] >= _FEWEST_DRAWS and finite.any():
        values = np.moveaxis(chains[finite], 0, 2)
        # Chains that have not moved at all have no variance to divide by.
        with np.errstate(invalid="ignore", divide="ignore"):
            ess[finite] = effective_sample_size(values)
            r_hat[finite] = split_gelman_rubin(values)
    enough = np.all(ess >= SMALLEST_ESS_PER_CHAIN * method.chains, axis=1)
    mixed = enough & np.all(r_hat <= LARGEST_R_HAT, axis=1)
    status[finite & ~mixed] = STATUSES.index(Status.NOT_CONVERGED)
    return Judged(ess, r_hat, status)
