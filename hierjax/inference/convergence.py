"""Judging draws: split R-hat and effective sample sizes, by ArviZ; and a sampler's result."""

import warnings
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from hierjax.inference.result import Result, Status
from hierjax.posterior import HyperPosterior

__all__ = [
    "LARGEST_R_HAT",
    "SMALLEST_ESS_PER_CHAIN",
    "after_warmup",
    "arviz_of",
    "effective_sample_sizes",
    "import_arviz",
    "judge_draws",
    "mean_error",
    "result_of_draws",
]

# Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), "Rank-normalization, folding, and
# localization: an improved R-hat", sec. 4.
LARGEST_R_HAT = 1.01
SMALLEST_ESS_PER_CHAIN = 100

Draws = Float[np.ndarray, "chains draws"]


def import_arviz() -> Any:
    """ArviZ, without the announcement that it prints once a day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import arviz
    return arviz


def arviz_of(
    groups: Mapping[str, Mapping[str, Any]],
    coords: Mapping[str, Any],
    dims: Mapping[str, list[str]],
) -> Any:
    """ArviZ's container: InferenceData under ArviZ 0.23, a DataTree under 1.x.

    Args:
        groups: Arrays by group and name.
        coords: Labels along each named dimension.
        dims: Names of an array's dimensions beyond chain and draw.

    Returns:
        The container.
    """
    arviz = import_arviz()
    if int(arviz.__version__.split(".")[0]) == 0:
        return arviz.from_dict(**groups, coords=coords, dims=dims)
    return arviz.from_dict(groups, coords=coords, dims=dims)


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
    bulk = _scalar(arviz.ess(draws, method="bulk"))
    tail = _scalar(arviz.ess(draws, method="tail", prob=(0.05, 0.95)))
    return bulk, tail, _scalar(arviz.rhat(draws))


def _scalar(value: Any) -> float:
    """ArviZ's answer, an array of one number where Numba is installed."""
    return float(np.asarray(value).item())


def mean_error(draws: Draws) -> float:
    """Monte Carlo standard error of the mean of one quantity."""
    if draws.shape[1] < 4 or np.ptp(draws) == 0:
        return float("nan")
    return _scalar(import_arviz().mcse(np.asarray(draws, np.float64), method="mean"))


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
    needed = SMALLEST_ESS_PER_CHAIN * draws.shape[0]
    smallest = min(bulk + tail)
    if max(r_hat) <= LARGEST_R_HAT and smallest >= needed:
        return Status.CONVERGED, "", diagnostics
    message = (
        f"R-hat {max(r_hat):.3f} (want at most {LARGEST_R_HAT}), smallest effective sample size "
        f"{smallest:.0f} (want at least {needed})"
    )
    return Status.NOT_CONVERGED, message, diagnostics


def after_warmup(
    outputs: Mapping[str, Shaped[np.ndarray, "steps chains *rest"]], warmup: int, thinning: int = 1
) -> dict[str, Shaped[np.ndarray, "chains draws *rest"]]:
    """What a sampler keeps of its steps, chains first.

    Args:
        outputs: What each step put out, by name.
        warmup: Steps that are dropped.
        thinning: Of the others every so many, the first of them first.

    Returns:
        The draws by the same names.
    """
    return {name: np.swapaxes(values[warmup::thinning], 0, 1) for name, values in outputs.items()}


def result_of_draws(
    kept: Mapping[str, Shaped[np.ndarray, "chains draws *rest"]],
    info: Mapping[str, Any],
    seconds: dict[str, float],
    trouble: str = "",
) -> Result:
    """A sampler's draws, judged.

    Args:
        kept: Working coordinates as ``eta``, and rates as ``theta`` where they are stored.
        info: The sampler's own diagnostics.
        seconds: Time to compile and to run.
        trouble: What keeps the draws from being trusted, whatever they look like.

    Returns:
        The result: `failed` if a draw is not finite.
    """
    status, message, diagnostics = judge_draws(kept["eta"])
    if trouble:
        message = f"{trouble}; {message}" if message else trouble
        status = status if status is Status.FAILED else Status.NOT_CONVERGED
    found = None
    if status is not Status.FAILED:
        found = HyperPosterior.from_draws(jnp.asarray(kept["eta"]))
    return Result(
        found,
        status,
        message,
        draws=kept["eta"],
        unit_draws=kept.get("theta"),
        info={**info, **diagnostics},
        seconds=seconds,
    )
