"""The report of a run: one page that holds what was asked, the answers, and how far to trust them.

The page needs nothing beside itself: figures are inside it, and there is no script. What it says
is put together here, in `report_tables` and in `report_answers`; how it looks is in
``report.html.j2``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hierjax.experiment import report_answers, yaml_text
from hierjax.experiment import report_tables as tables
from hierjax.experiment.per import as_shown, per_of
from hierjax.experiment.record import RunRecord
from hierjax.experiment.report_page import figures_in, hyperprior_parts, images_of, page, write_page
from hierjax.experiment.rounding import decimals_for, interval, number, seconds, whole
from hierjax.families import FAMILIES, AnyFamily
from hierjax.families.unit_words import per_text
from hierjax.fitting import Fit
from hierjax.observations import Observations
from hierjax.plots.figures import estimates, pictures
from hierjax.plots.pooling import width_ratio
from hierjax.plots.style import is_complete_pooling, method_styles, point_estimate, reference

__all__ = ["render", "write_report"]

_SECTIONS = ("model", "units", "questions", "hyperparameters", "checks")


def write_report(
    directory: Path, run: RunRecord, figures: Mapping[str, Path] | None = None
) -> Path:
    """Writes ``report.html``.

    Args:
        directory: The run's directory.
        run: What the run found.
        figures: Files of the figures by name, as `write_figures` returns them; by default those
            in the directory's ``figures``.

    Returns:
        The file, which is whole or not there.
    """
    if figures is None:
        images = images_of(directory)
    else:
        images = {name: path.read_bytes() for name, path in figures.items()}
    return write_page(directory, render(run, images))


def render(run: RunRecord, images: Mapping[str, bytes]) -> str:
    """The report as text.

    Args:
        run: What the run found.
        images: PNG files by the figures' names; figures without one are left out.

    Returns:
        A whole HTML page.
    """
    drawn = figures_in(pictures(run), images, _SECTIONS)
    run, per = as_shown(run), per_text(per_of(run))
    labels = tables.method_labels(run)
    return page(
        "report.html.j2",
        run=run,
        level=f"{100 * run.level:g}%",
        low=f"{50 * (1 - run.level):.4g}%",
        high=f"{50 * (1 + run.level):.4g}%",
        leading=labels.get(leading_fit(run) or ""),
        figures=drawn,
        per=per,
        warnings=_warnings(run, labels),
        findings=_findings(run),
        facts=_data_facts(run),
        words=FAMILIES[run.counts.family].unit_words,
        unit_columns=tables.unit_columns(run),
        raw_columns=tables.raw_columns(run),
        family=run.counts.family,
        hyperprior=hyperprior_parts(next(iter(run.fits.values())).model if run.fits else None),
        methods=tables.methods(run, labels),
        chains=tables.chains(run, labels),
        predictions=tables.predictions(run, labels),
        hyper=tables.hyper(run, labels),
        agreement=tables.agreement(run, labels),
        loo=tables.loo(run),
        units=tables.units(run),
        answering=labels.get(run.answered_by, run.answered_by),
        questions=report_answers.questions(run),
        checks=report_answers.checks(run),
        missing=_missing_means(run),
        provenance=tables.provenance(run),
        seconds={labels.get(name, name): seconds(value) for name, value in run.seconds.items()},
        config=yaml_text.dump(dict(run.config)),
    )


def _warnings(run: RunRecord, labels: Mapping[str, str]) -> list[str]:
    """The run's warnings, and failures that none of them mentions."""
    given = list(run.warnings)
    for name, text in run.failures.items():
        if not any(text in warning for warning in given):
            given.append(f"{labels[name]} found nothing: {text}")
    return given


def leading_fit(run: RunRecord) -> str | None:
    """Name of the method whose answers are quoted: full Bayes, or else a point estimate."""
    return (reference(run.fits) or point_estimate(run.fits)) if run.fits else None


def _findings(run: RunRecord) -> list[tuple[str, str]]:
    """The answers in a few sentences, each with what it is about."""
    name, per = leading_fit(run), per_text(per_of(run))
    if name is None:
        return []
    fit = run.fits[name]
    family = fit.model.family
    words = family.unit_words
    rows = {row["parameter"]: row for row in tables.rows_of(run.hyper, name)}
    mean = rows["mean"]
    decimals = decimals_for(tables.spread(mean), 2)
    found = [
        (
            "Population",
            f"The units' {words.parameter}s{per} have mean {number(mean['median'], decimals)}"
            f"{_bracketed(run, mean, decimals)}.",
        ),
        ("Pooling", _pooling_sentence(run, fit, rows)),
    ]
    units = tables.rows_of(run.units, name)
    raw = [unit["raw_rate"] for unit in units if np.isfinite(unit["raw_rate"])]
    means = [unit["mean"] for unit in units]
    found.append(
        (
            "Units",
            f"{words.raw[:1].upper()}{words.raw[1:]}s{per} run from "
            f"{interval(min(raw), max(raw), decimals)}; estimates from "
            f"{interval(min(means), max(means), decimals)}.",
        )
    )
    for row in tables.rows_of(run.predictions, name):
        places = decimals_for(row["sd"], 2)
        pair = tables.pair_of(family, row)
        raw_text = tables.raw_text(family, row, places, " (", ")")
        found.append(
            (
                str(row["label"]),
                f"{pair}{raw_text}: estimated {words.parameter}{per} "
                f"{number(row['mean'], places)}{_bracketed(run, row, places)}.",
            )
        )
    return found + _empirical_bayes_sentence(run)


def _bracketed(run: RunRecord, row: Mapping[str, Any], decimals: int) -> str:
    """The interval of a row, where it has one."""
    if not (np.isfinite(row["low"]) and np.isfinite(row["high"])):
        return ""
    return f" ({100 * run.level:g}% interval {interval(row['low'], row['high'], decimals)})"


def _pooling_sentence(run: RunRecord, fit: Fit, rows: Mapping[str, Mapping[str, Any]]) -> str:
    family = fit.model.family
    words, is_real = family.unit_words, family.support == "reals"
    # A precision is told by the standard deviation that it belongs to.
    row = rows["tau" if is_real else "concentration"]
    if is_complete_pooling(fit) or not np.isfinite(row["median"]):
        what = "measurements" if is_real else words.data
        return (
            f"The {what} differ no more than chance would make them: all units get one "
            f"{words.parameter}."
        )
    decimals = decimals_for(row["median"], 2)
    return (
        "In each unit's estimate, what the other units say weighs as much as "
        f"{words.weighs.format(number(row['median'], decimals))}{_bracketed(run, row, decimals)}."
    )


def _empirical_bayes_sentence(run: RunRecord) -> list[tuple[str, str]]:
    full, empirical = reference(run.fits), point_estimate(run.fits)
    if full is None or empirical is None:
        return []
    label = method_styles(run.fits)[empirical].label
    words = run.fits[full].model.family.unit_words
    if is_complete_pooling(run.fits[empirical]):
        text = f"{label} takes it for certain that all units have one {words.parameter}:"
        return [("Empirical Bayes", f"{text} its intervals have no width.")]
    tables_by_name = estimates(run)
    ratio = width_ratio(tables_by_name[empirical], tables_by_name[full])
    return [
        (
            "Empirical Bayes",
            f"{label}'s intervals for units are {100 * float(np.mean(ratio)):.1f}% as wide as "
            f"those that allow for not knowing {words.population}; the shortest are "
            f"{100 * float(np.min(ratio)):.1f}% as wide.",
        )
    ]


def _data_facts(run: RunRecord) -> list[tuple[str, str]]:
    counts = run.counts
    family = FAMILIES[counts.family]
    words, (value, size) = family.unit_words, counts.pair
    weight = family.on_host.statistic(value, size)[1]
    per = per_of(run)
    raw = counts.raw[weight > 0] * (per or 1.0)
    fewest, most = size.min().item(), size.max().item()
    spread = f"{fewest:,} to {most:,}, median {np.median(size):,.6g}"
    facts = [
        ("Units", whole(len(counts))),
        *_totals(counts, family, per),
        (words.size_of_unit, spread if fewest < most else f"{most:,}"),
        (
            f"{words.raw[:1].upper()}{words.raw[1:]}s{per_text(per)}",
            f"{raw.min():.3g} to {raw.max():.3g}, median {np.median(raw):.3g}",
        ),
    ]
    if empty := int(np.sum(weight == 0)):
        facts.append(("Units without trials", f"{empty:,}, which get the population's rate"))
    if counts.weights is not None:
        facts.append(("Weights", f"{counts.weights.min():g} to {counts.weights.max():g}"))
    return facts


def _totals(
    counts: Observations, family: AnyFamily, per: float | int | None
) -> list[tuple[str, str]]:
    """What all units have together."""
    value, size = counts.pair
    statistic, weight = family.on_host.statistic(value, size)
    together = f"{statistic.sum() / weight.sum() * (per or 1.0):.4g}"
    if family.support == "reals":
        return [("Mean of all, weighted by precision", together)]
    joined, names = (
        ("of", "Successes among trials")
        if family.limits[1] == 1
        else (
            "in",
            "Events in all exposure",
        )
    )
    total = size.sum().item()
    exposure = f"{total:,}" if isinstance(total, int) else f"{total:,.6g}"
    return [
        (names, f"{value.sum():,} {joined} {exposure}"),
        (f"Rate of all together{per_text(per)}", together),
    ]


def _missing_means(run: RunRecord) -> str | None:
    """Why means or standard deviations of the concentration are not given."""
    if not run.fits or reference(run.fits) is None:
        return None
    model = next(iter(run.fits.values())).model
    moments = model.hyperprior.concentration_moments()
    if moments >= 2:
        return None
    absent = "neither mean nor standard deviation" if moments == 0 else "no standard deviation"
    symbols = [each.symbol for each in model.family.hyperparameters.each if each.grows]
    named = " and ".join(filter(None, (", ".join(symbols[:-1]), symbols[-1])))
    have = "have" if len(symbols) > 1 else "has"
    return (
        f"Under this hyperprior the posterior of {symbols[0]} has a tail so heavy that {named} "
        f"{have} {absent}: the integral diverges, and an average of draws would settle nowhere. "
        "Those cells are left empty. Medians and quantiles exist, as do all moments of the "
        "logarithms and of the mean rate."
    )
