"""What a run found, as its report and its figures see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierjax.checks import Forecast, LooPit, PredictiveCheck
    from hierjax.fitting import Fit
    from hierjax.regions import Regions
    from hierjax.table import Table


@dataclass(frozen=True)
class NewUnits:
    """Units that are asked about without being part of the data, in columns of one length.

    Attributes:
        labels: What they are called.
        values: What was observed of them: successes, events or measurements.
        sizes: Their trials, exposures or standard errors.

    Examples:
        >>> len(NewUnits(("experiment 71",), (4,), (14,)))
        1
    """

    labels: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    sizes: tuple[Any, ...] = ()

    def __len__(self) -> int:
        """Number of new units, which may be none."""
        return len(self.labels)


@dataclass(frozen=True)
class RunRecord:
    """All answers of a run, computed once, before anything is drawn or laid out.

    The tables are those of the run's files, in long form: one after another in the order of the
    configuration's methods, the first column `method` (of `loo`: `model`). Methods that failed
    have no rows and no fit.

    Attributes:
        name: Name of the run.
        config: The configuration with every default resolved, as ``config.yaml`` holds it.
        counts: The data.
        fits: What each method found, by its display name, in the configuration's order.
        failures: The error's text for each method that found nothing, by its display name.
        new_units: Units asked about.
        level: Probability of every interval.
        hyper: `Fit.summary` of every method.
        units: `Fit.units` of every method.
        predictions: `Fit.predict` of every method for the new units; no rows if there are none.
        agreement: Every method against quadrature, columns ``method, quantity, value, reference,
            mcse, z``; None where no quadrature succeeded.
        loo: Leave-one-unit-out, columns ``model, elpd, se``, for no pooling, complete pooling and
            partial pooling; None where no method that averages over the hyperparameters succeeded.
        answered_by: The method that answers the questions below, the exact one where there is one.
        exceedance: `Fit.exceedance`; None where not asked, as of the next three.
        ranks: `Fit.ranks`.
        contrasts: `Fit.contrasts`.
        next_counts: `Fit.predictions`.
        checks: Posterior predictive checks and the likelihood ratio of complete pooling, columns
            ``check, observed, mean, low, high, tail_probability, mcse``.
        influence: `Fit.influence`; None for a method that has none.
        predictive: The posterior predictive checks with their replicates, for figures.
        loo_pit: `Fit.loo_pit`, for figures.
        later: How well a later period is predicted; None where there is none.
        regions: Outlines of the units; None where there are none.
        warnings: What a reader should know before trusting the answers, one sentence or two each.
        seconds: Wall seconds of each stage of the run so far, by the stage's name.
        manifest: As ``manifest.json`` holds it: versions, device, precision, seed, status and
            message of each method.
    """

    name: str
    config: Mapping[str, Any]
    counts: Any
    fits: Mapping[str, "Fit"]
    failures: Mapping[str, str]
    new_units: NewUnits
    level: float
    hyper: "Table"
    units: "Table"
    predictions: "Table"
    agreement: "Table | None" = None
    loo: "Table | None" = None
    answered_by: str = ""
    exceedance: "Table | None" = None
    ranks: "Table | None" = None
    contrasts: "Table | None" = None
    next_counts: "Table | None" = None
    checks: "Table | None" = None
    influence: "Table | None" = None
    predictive: "PredictiveCheck | None" = None
    loo_pit: "LooPit | None" = None
    later: "Forecast | None" = None
    regions: "Regions | None" = None
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
