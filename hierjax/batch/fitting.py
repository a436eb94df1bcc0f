"""`fit_batch`: hyperparameters and units of many data sets, by any method."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Array, Float, Key

from hierjax.batch.data_sets import DataSets, SizeClass
from hierjax.batch.inferred import STATUSES
from hierjax.batch.result import UNIT_COLUMNS, BatchFit
from hierjax.batch.work import Found, Work, prepared
from hierjax.fitted import Precision
from hierjax.inference import Method
from hierjax.inference.result import Progress, Status
from hierjax.inference.stopwatch import Stopwatch
from hierjax.model import Model

__all__ = ["fit_batch"]


def fit_batch(
    data_sets: DataSets,
    model: Model | None = None,
    method: Method | None = None,
    *,
    key: Key[Array, ""] | None = None,
    level: float = 0.9,
    empirical_bayes: Literal["plug_in", "corrected"] = "plug_in",
    draws: int = 0,
    rates: Sequence[int] = (),
    precision: Precision = "float64",
    chunk: int | None = None,
    size_class: SizeClass | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> BatchFit:
    """Fits every data set of a batch, alike and in one compiled program.

    What is found for a data set depends on its counts, its place in the batch and the key; on a
    CPU neither on the chunk nor on the number of devices that share the work.

    Args:
        data_sets: Their counts, of any sizes.
        model: Family and hyperprior; by default beta-binomial under (alpha + beta)^(-5/2).
        method: Settings of any method; by default quadrature on a lean lattice, which is refined
            where its error estimate asks for it.
        key: Typed key, for samplers and for draws.
        level: Probability of all intervals.
        empirical_bayes: Whether a point estimate is plugged in, or its error carried into answers
            about units, as by `Fit.corrected`.
        draws: Draws of each data set's hyperparameters to keep: independent ones of quadrature,
            evenly spaced ones of a sampler.
        rates: Positions of units whose rates are drawn with them.
        precision: Floating type to compute in; JAX's own setting is left as it is.
        chunk: Data sets to do in one call, which bounds memory; by default 256 on every CPU device
            or fewer, of NUTS 4 and of Gibbs samplers 32, and on accelerators as many, as half of
            their memory holds.
        size_class: One that is to hold these data sets too, so that batches of different sizes are
            done by one program; by default the smallest that does. In a larger one samplers of
            rates draw others, and beside data sets of few units all units' quantiles are found by
            more nodes, which moves them by some 1e-3 standard deviations.
        progress: Called with data sets done and data sets in all.
        checkpoint: Folder that finished chunks are kept in, and that an interrupted call goes on
            from; the caller removes it.

    Returns:
        The fits. Look at `status`: trouble is reported there, not raised.

    Raises:
        ConfigError: If the level is not inside (0, 1), the chunk not a whole number above 0 or
            larger than memory, the precision unknown, or draws are asked of a method without.
        TypeError: If a method that draws, or draws, are given no typed key.
        DataError: If the precision has too few digits for the counts.
        InferenceError: If the checkpoint is that of another call.

    Example:
        >>> import numpy as np
        >>> import hierjax as hj
        >>> rats = hj.datasets.rat_tumors()
        >>> y = np.random.default_rng(0).binomial(rats.trials, 0.15, (20, 70))
        >>> fits = hj.fit_batch(hj.DataSets(y, np.tile(rats.trials, (20, 1))), method=hj.Moments())
        >>> fits.mean.shape, set(fits.status) <= {"converged", "boundary"}
        ((20, 70), True)
    """
    work = prepared(
        data_sets,
        model,
        method,
        key=key,
        level=level,
        empirical_bayes=empirical_bayes,
        draws=draws,
        rates=rates,
        precision=precision,
        chunk=chunk,
        size_class=size_class,
    )
    with work.precision(), Stopwatch() as watch:
        found = work.run(data_sets, progress, checkpoint)
    asked = {"level": float(level), "precision": precision, "empirical_bayes": empirical_bayes}
    return _result(data_sets, work, asked, found, watch.seconds)


def _result(
    data_sets: DataSets,
    work: Work,
    asked: dict[str, Any],
    found: Found,
    seconds: dict[str, float],
) -> BatchFit:
    """Everything in double precision, and nothing told where the method failed."""
    inferred, judged, summary = found
    status = np.array([str(status) for status in STATUSES])[inferred.status]
    failed, present = status == Status.FAILED, data_sets.present

    def told(values: Float[np.ndarray, "batch *rest"]) -> Float[np.ndarray, "batch *rest"]:
        values = values.astype(np.float64)
        values[failed] = np.nan
        return values

    units = (summary.mean, summary.sd, *np.moveaxis(summary.quantiles, -1, 0))
    answers: dict[str, Any] = {
        name: np.where(present, told(values), np.nan)
        for name, values in zip(UNIT_COLUMNS, units, strict=True)
    }
    low, median, high = np.moveaxis(told(inferred.quantiles), -1, 0)
    return BatchFit(
        data_sets,
        work.model,
        work.plan.method,
        **asked,
        status=status,
        coordinates=told(inferred.mean),
        coordinate_sd=told(inferred.sd),
        coordinate_low=low,
        coordinate_median=median,
        coordinate_high=high,
        ess=told(judged.ess),
        r_hat=told(judged.r_hat),
        log_evidence=told(inferred.log_evidence),
        error=told(inferred.error),
        **answers,
        draws=told(inferred.draws) if work.plan.draws else None,
        rate_draws=told(inferred.rates) if work.plan.draws and work.rates else None,
        seconds=seconds,
    )
