"""The answers of a run as tables, computed once for the files, the report and the terminal."""

from collections.abc import Mapping
from typing import Any

from hierjax.checks import agreement, baselines, forecast
from hierjax.errors import InferenceError, ModelError
from hierjax.experiment.config import new_units, resolved
from hierjax.experiment.found import AGREEMENT, HYPER, MethodFits, disagreements, stacked
from hierjax.experiment.questions import decide, judge
from hierjax.experiment.record import NewUnits, RunRecord
from hierjax.experiment.runner import Prepared
from hierjax.experiment.schema import Config
from hierjax.fitting import Fit, fit
from hierjax.inference import Quadrature
from hierjax.inference.result import Progress
from hierjax.table import Table

__all__ = ["answer", "as_asked"]

_ABOUT_UNITS = "raw_rate,mean,sd,low,median,high,shrinkage"


def answer(
    prepared: Prepared,
    found: MethodFits[Fit],
    compare: bool = True,
    progress: Progress | None = None,
    with_units: bool = True,
) -> RunRecord:
    """Everything that is asked of the fits.

    Args:
        prepared: Data, model and configuration.
        found: What the methods found.
        compare: Whether to compare the methods with quadrature, and partial pooling with none
            and with complete pooling.
        progress: Called with steps done and steps in all of ranks and of contrasts.
        with_units: Whether to ask for the units one by one; without, the record's table of them
            has no rows.

    Returns:
        The record of the run.
    """
    config = prepared.config
    fits, asked, level = found.fits, new_units(config), config.level
    telling = {name: as_asked(each, config) for name, each in fits.items()}
    reference, notes = _reference(prepared, found) if compare else (None, [])
    compared = _agreement(fits, reference, asked)
    one_by_one = telling if with_units else {}
    answered_by, answers, refused = _questions(prepared, fits, reference, compare, progress)
    return RunRecord(
        name=config.name,
        config=resolved(config),
        counts=prepared.counts,
        fits=fits,
        failures=found.failures,
        new_units=asked,
        level=level,
        hyper=stacked({name: each.summary(level) for name, each in fits.items()}, HYPER),
        units=stacked(
            {name: each.unit_table(level, config.interval) for name, each in one_by_one.items()},
            _units_header(prepared),
        ),
        predictions=_predictions(telling, asked, prepared),
        agreement=compared,
        loo=_leave_one_out(prepared, fits, reference) if compare else None,
        answered_by=answered_by,
        **answers,
        regions=prepared.regions,
        warnings=(
            *prepared.warnings,
            *notes,
            *found.notes(),
            *_uncorrected(fits, config),
            *disagreements(compared),
            *refused,
        ),
        seconds=found.seconds,
    )


def _questions(
    prepared: Prepared,
    fits: Mapping[str, Fit],
    reference: Fit | None,
    judged: bool,
    progress: Progress | None,
) -> tuple[str, dict[str, Any], list[str]]:
    """Who answers questions about units, the answers, and why there are none."""
    candidates = {name: each for name, each in fits.items() if not each.is_point} or fits
    name, fit = next(
        ((name, each) for name, each in fits.items() if each is reference),
        next(iter(candidates.items()), ("", None)),
    )
    if fit is None:
        return "", {}, []
    asked = as_asked(fit, prepared.config)
    tables, refused = decide(prepared, asked, progress)
    answers: dict[str, Any] = dict(tables)
    answers |= judge(prepared, fit) if judged else {}
    if prepared.later is not None:
        answers["later"] = forecast(asked, prepared.later)
    return name, answers, [f"{name}: {why}" for why in refused]


def as_asked(fit: Fit, config: Config) -> Fit:
    """The fit that answers about units: of a point estimate, corrected for its error if asked.

    Args:
        fit: What a method found.
        config: The configuration.

    Returns:
        The fit itself, or `Fit.corrected`.
    """
    wanted = config.empirical_bayes == "corrected" and fit.is_point
    return fit.corrected() if wanted and _has_error(fit) else fit


def _has_error(fit: Fit) -> bool:
    """Whether a point estimate has an error to carry."""
    return fit.result.covariance is not None or fit.status == "boundary"


def _uncorrected(fits: Mapping[str, Fit], config: Config) -> list[str]:
    """Point estimates that have no error to carry, though it is asked for."""
    return [
        f"{name}: no standard errors, so its answers about units are plug-in"
        for name, fit in fits.items()
        if config.empirical_bayes == "corrected" and fit.is_point and not _has_error(fit)
    ]


def _predictions(fits: Mapping[str, Fit], asked: NewUnits, prepared: Prepared) -> Table:
    """What each method says of the units asked about."""
    header, config = _units_header(prepared), prepared.config
    if not len(asked):
        return stacked({}, header)
    tables = {
        name: each.predict(asked.values, asked.sizes, config.level, asked.labels, config.interval)
        for name, each in fits.items()
    }
    return stacked(tables, header)


def _units_header(prepared: Prepared) -> str:
    """Columns of tables of units, some of them called as the family calls its data."""
    return ",".join(("method", "label", *prepared.counts.columns, _ABOUT_UNITS))


def _reference(prepared: Prepared, found: MethodFits[Fit]) -> tuple[Fit | None, list[str]]:
    """The exact posterior: the run's own quadrature, or one made for comparison."""
    for result in found.fits.values():
        if isinstance(result.method, Quadrature) and result.status == "converged":
            return result, []
    try:
        result = fit(prepared.counts, prepared.model, precision=prepared.config.precision)
    except InferenceError as error:
        return None, [f"no quadrature to compare methods with: {error}"]
    return result, []


def _agreement(fits: Mapping[str, Fit], reference: Fit | None, asked: NewUnits) -> Table | None:
    """Every method but the reference itself against it."""
    if reference is None:
        return None
    pairs = list(zip(asked.values, asked.sizes, strict=True))
    tables = {
        name: agreement(result, reference, pairs)
        for name, result in fits.items()
        if result is not reference
    }
    return stacked(tables, AGREEMENT)


def _leave_one_out(
    prepared: Prepared, fits: Mapping[str, Fit], reference: Fit | None
) -> Table | None:
    """Partial pooling's leave-one-unit-out elpd beside the baselines'."""
    partial = reference or next((each for each in fits.values() if each.draws is not None), None)
    if partial is None:
        return None
    try:
        results = {**baselines(prepared.counts), "partial_pooling": partial.loo()}
    except ModelError:  # a single unit keeps the posterior proper
        return None
    return Table(
        {
            "model": list(results),
            "elpd": [loo.elpd for loo in results.values()],
            "se": [loo.se for loo in results.values()],
        }
    )
