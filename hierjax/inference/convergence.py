"""Judging draws: split R-hat and effective sample sizes, by ArviZ."""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float

from hierjax.inference.result import Status

__all__ = ["effective_sample_sizes", "import_arviz", "judge_draws", "mean_error"]

# Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), "Rank-normalization, folding, and
# localization: an improved R-hat", sec. 4.
_LARGEST_R_HAT = 1.01
_SMALLEST_ESS_PER_CHAIN = 100

Draws = Float[np.ndarray, "chains draws"]


def import_arviz() -> Any:
    """ArviZ, without the announcement that it prints once a day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import arviz
    return arviz


def effective_sample_sizes(draws: Draws) -> tuple[float, float, float]:
    """Bulk and tail effective sample size, and rank-normalised split R-hat, of one quantity.

    Args:
        draws: Draws of every chain.

    Returns:
        Bulk size, tail size, R-hat; NaN where four draws a chain are not there to tell.
    """
    if draws.shape[1] < 4 or np.ptp(draws) == 0:
        return np.nan, np.nan, np.nan
    arviz = import_arviz()
    draws = np.asarray(draws, np.float64)
    bulk = float(arviz.ess(draws, method="bulk"))
    tail = float(arviz.ess(draws, method="tail", prob=(0.05, 0.95)))
    return bulk, tail, float(arviz.rhat(draws))


def mean_error(draws: Draws) -> float:
    """Monte Carlo standard error of the mean of one quantity."""
    if draws.shape[1] < 4 or np.ptp(draws) == 0:
        return float("nan")
    return float(import_arviz().mcse(np.asarray(draws, np.float64), method="mean"))


def judge_draws(
    draws: Float[np.ndarray, "chains draws 2"],
) -> tuple[Status, str, dict[str, list[float]]]:
    """Says whether the draws of both working coordinates may be trusted.

    Args:
        draws: Working coordinates.

    Returns:
        Status, a line that says why it is not `converged`, and the diagnostics.
    """
    if not np.all(np.isfinite(draws)):
        return Status.FAILED, "the chains left the finite numbers", {}
    rows = [effective_sample_sizes(draws[..., i]) for i in range(draws.shape[-1])]
    bulk, tail, r_hat = (list(values) for values in zip(*rows, strict=True))
    diagnostics = {"ess_bulk": bulk, "ess_tail": tail, "r_hat": r_hat}
    needed = _SMALLEST_ESS_PER_CHAIN * draws.shape[0]
    smallest = min(bulk + tail)
    if max(r_hat) <= _LARGEST_R_HAT and smallest >= needed:
        return Status.CONVERGED, "", diagnostics
    message = (
        f"R-hat {max(r_hat):.3f} (want at most {_LARGEST_R_HAT}), smallest effective sample size "
        f"{smallest:.0f} (want at least {needed})"
    )
    return Status.NOT_CONVERGED, message, diagnostics
