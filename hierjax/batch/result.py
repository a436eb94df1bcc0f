"""BatchFit: fits of many data sets by one method, as arrays and as tables."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Array, Float, Key, Shaped

from hierjax.asked import whole_number
from hierjax.batch.data_sets import DataSets
from hierjax.fitted import Precision
from hierjax.fitting import Fit, fit
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
        precision: Floating type of the computation.
        empirical_bayes: Whether a point estimate was plugged in, or its error carried into answers
            about units.
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
    precision: Precision
    empirical_bayes: Literal["plug_in", "corrected"]
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
        return f"BatchFit({self.method.name}, data_sets={len(self)}: {found})"

    def __len__(self) -> int:
        return len(self.data_sets)

    def alone(self, data_set: int, *, key: Key[Array, ""] | None = None) -> Fit:
        """One of the data sets, fitted again by itself for all that a batch does not keep.

        A `Fit` answers any question: new units, other levels, ranks, checks. Its method and model
        are the batch's, in the same precision.

        Args:
            data_set: Its position.
            key: Typed key, for samplers, which draw anew.

        Returns:
            The fit, corrected where the batch's answers are.

        Raises:
            ConfigError: If there is no such data set.
            ModelError: If the posterior would be improper, which a batch reports by its status.
            InferenceError: If an estimate has no error to correct answers by.
            TypeError: If a sampler is given no typed key.

        Example:
            >>> import hierjax as hj
            >>> fits = hj.fit_batch(hj.DataSets.of([hj.datasets.rat_tumors()] * 2))
            >>> print(f"{fits.alone(1).predict(4, 14)['mean'][0]:.6f}")
            0.210205
        """
        position = whole_number("data_set", data_set, 0, most=len(self) - 1)
        counts = self.data_sets.counts(position)
        found = fit(counts, self.model, self.method, key=key, precision=self.precision)
        return found.corrected() if self.empirical_bayes == "corrected" else found

    def summary(self) -> Table:
        """One row a data set and working coordinate."""
        batch, names = len(self), self.model.family.coordinates
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
