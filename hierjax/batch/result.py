"""BatchFit: fits of many data sets by one method, as arrays and as tables."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Shaped

from hierjax.batch.data_sets import DataSets
from hierjax.inference import Method
from hierjax.model import Model
from hierjax.table import Table

__all__ = ["UNIT_COLUMNS", "BatchFit"]

UNIT_COLUMNS = ("mean", "sd", "low", "median", "high")


@dataclass(frozen=True, eq=False, repr=False)
class BatchFit:
    """Fits of many data sets by one method: arrays with a leading batch axis.

    Where a method failed, numbers are NaN; so they are beyond a data set's units.

    Attributes:
        data_sets: The counts.
        model: Family and hyperprior.
        method: Settings of the method.
        level: Probability of all intervals.
        status: How far each data set's numbers may be trusted.
        coordinates: Posterior means of (logit_mean, log_concentration), or the point estimate.
        coordinate_sd: Their standard deviations, or standard errors.
        coordinate_low: Lower ends of their central intervals; Wald's of a point estimate.
        coordinate_median: Their medians.
        coordinate_high: Upper ends.
        ess: Effective sample sizes of their means; NaN but for samplers, as of the next.
        r_hat: Their split R-hat.
        log_evidence: Log of the evidence; of point estimates, the log-likelihood.
        error: Quadrature's error estimates.
        mean: Units' posterior means.
        sd: Units' posterior standard deviations.
        low: Lower ends of units' equal-tailed intervals.
        median: Units' posterior medians.
        high: Upper ends.
        draws: Draws of the working coordinates, where asked for.
        rate_draws: Rates of the units asked for that go with them.
        seconds: Wall seconds of `compile`, the first call's excess over the next, and of `run`.
    """

    data_sets: DataSets
    model: Model
    method: Method
    level: float
    status: Shaped[np.ndarray, "batch"]
    coordinates: Float[np.ndarray, "batch 2"]
    coordinate_sd: Float[np.ndarray, "batch 2"]
    coordinate_low: Float[np.ndarray, "batch 2"]
    coordinate_median: Float[np.ndarray, "batch 2"]
    coordinate_high: Float[np.ndarray, "batch 2"]
    ess: Float[np.ndarray, "batch 2"]
    r_hat: Float[np.ndarray, "batch 2"]
    log_evidence: Float[np.ndarray, "batch"]
    error: Float[np.ndarray, "batch"]
    mean: Float[np.ndarray, "batch units"]
    sd: Float[np.ndarray, "batch units"]
    low: Float[np.ndarray, "batch units"]
    median: Float[np.ndarray, "batch units"]
    high: Float[np.ndarray, "batch units"]
    draws: Float[np.ndarray, "batch draws 2"] | None = None
    rate_draws: Float[np.ndarray, "batch draws rates"] | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        statuses, counts = np.unique(self.status, return_counts=True)
        found = ", ".join(f"{n} {status}" for status, n in zip(statuses, counts, strict=True))
        return f"BatchFit({self.method.name}, data_sets={len(self.data_sets)}: {found})"

    def hyperparameters(self) -> Table:
        """One row a data set and working coordinate."""
        batch, names = len(self.data_sets), self.model.family.coordinates
        columns = {"mean": self.coordinates, "sd": self.coordinate_sd, "low": self.coordinate_low}
        columns |= {"median": self.coordinate_median, "high": self.coordinate_high}
        columns |= {"ess": self.ess, "r_hat": self.r_hat}
        return Table(
            {
                "data_set": np.repeat(np.arange(batch), 2),
                "parameter": np.tile(names, batch),
                **{name: values.ravel() for name, values in columns.items()},
                "status": np.repeat(self.status, 2),
            }
        )

    def units(self) -> Table:
        """One row a unit, data set by data set."""
        present, y, n = self.data_sets.present, self.data_sets.successes, self.data_sets.trials
        data_set, unit = np.nonzero(present)
        with np.errstate(invalid="ignore"):
            raw = y[present] / n[present]
        answers = {name: getattr(self, name)[present] for name in UNIT_COLUMNS}
        return Table(
            {
                "data_set": data_set,
                "unit": unit,
                "successes": y[present],
                "trials": n[present],
                "raw_rate": raw,
                **answers,
            }
        )
