# ruff: noqa: RUF001 -- readers are shown Greek letters and true minus signs
"""The report of a run of three levels, on one page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hierjax.experiment import yaml_text
from hierjax.experiment.groups.record import GroupsRecord
from hierjax.experiment.groups.report_tables import (
    agreement,
    chains,
    evidence,
    groups,
    hyper,
    methods,
    predictions,
    units,
)
from hierjax.experiment.groups.terminal import evidence_sentence
from hierjax.experiment.report_page import figures_in, images_of, page, write_page
from hierjax.experiment.report_tables import in_words
from hierjax.experiment.rounding import decimals_for, interval, number, whole
from hierjax.families import FAMILIES
from hierjax.levels.typical import prior_of, typical
from hierjax.plots.group_pictures import group_pictures
from hierjax.plots.style import method_label

__all__ = ["render_groups", "write_groups_report"]

_ELSEWHERE = ("name", "state", "methods", "warnings", "seconds", "git")
# Jeffreys's words for a Bayes factor, in natural logarithms.
_STRENGTH = (
    (1.15, "hardly worth a mention"),
    (2.30, "substantial"),
    (3.45, "strong"),
    (4.61, "very strong"),
)


def write_groups_report(directory: Path, run: GroupsRecord) -> Path:
    """Writes ``report.html``.

    Args:
        directory: The run's directory, with its figures in ``figures``.
        run: What the run found.

    Returns:
        The file, which is whole or not there.
    """
    return write_page(directory, render_groups(run, images_of(directory)))


def render_groups(run: GroupsRecord, images: Mapping[str, bytes]) -> str:
    """The report as text.

    Args:
        run: What the run found.
        images: PNG files by the figures' names; figures without one are left out.

    Returns:
        A whole HTML page.
    """
    leading = run.leading
    family: Any = FAMILIES[run.data.family]
    return page(
        "groups/groups.html.j2",
        run=run,
        level=f"{100 * run.level:g}%",
        low=f"{50 * (1 - run.level):.4g}%",
        high=f"{50 * (1 + run.level):.4g}%",
        leading=method_label(leading or ""),
        group_count=len(_sizes(run)),
        figures=figures_in(group_pictures(run), images, ("model", "groups")),
        warnings=_warnings(run),
        findings=_findings(run),
        facts=_facts(run),
        words=family.unit_words,
        coordinates=[name.replace("_", " ") for name in family.coordinates],
        hyperprior=_hyperprior(run),
        methods=methods(run),
        evidence=evidence(run),
        hyper=hyper(run),
        groups=groups(run),
        units=units(run),
        predictions=predictions(run),
        pair=[name.capitalize() for name in run.data.columns],
        agreement=agreement(run),
        chains=chains(run),
        provenance=_provenance(run),
        config=yaml_text.dump(dict(run.config)),
    )


def _warnings(run: GroupsRecord) -> list[str]:
    """The run's warnings, and failures that none of them mentions."""
    given = list(run.warnings)
    for name, text in run.failures.items():
        if not any(text in warning for warning in given):
            given.append(f"{name} found nothing: {text}")
    return given


def _findings(run: GroupsRecord) -> list[tuple[str, str]]:
    """The answers in a few sentences, each with what it is about."""
    name = run.leading
    if name is None:
        return []
    words = run.fits[name].model.family.unit_words  # type: ignore[union-attr]
    table = run.of_method(run.groups, name)
    decimals = decimals_for(float(np.median(table["sd"])), 2)
    low, high = (int(at(table["mean"])) for at in (np.argmin, np.argmax))
    raw = table["raw"][np.isfinite(table["raw"])]
    found = [
        (
            "Groups",
            f"Means run from {_estimate(run, table, low, decimals)} of {table['group'][low]} to "
            f"{_estimate(run, table, high, decimals)} of {table['group'][high]}; what groups' "
            f"units say together from {interval(raw.min(), raw.max(), decimals)}.",
        ),
        (
            "A typical group",
            f"The mean {words.parameter} of a typical group is "
            f"{number(typical(run.fits[name]), decimals)}.",
        ),
    ]
    for method in dict.fromkeys(run.evidence["method"].tolist()):
        rows = run.of_method(run.evidence, method)
        sentence = evidence_sentence(rows)
        size = abs(float(rows["log_bayes_factor"][-1]))
        strength = next((word for most, word in _STRENGTH if size < most), "decisive")
        label = "Evidence" if method == name else f"Evidence, by {method_label(method)}"
        text = f"{sentence[:1].upper()}{sentence[1:]}: on Jeffreys's scale {strength}."
        found.append((label, text))
    return found


def _estimate(run: GroupsRecord, table: Mapping[str, np.ndarray], at: int, decimals: int) -> str:
    ends = interval(float(table["low"][at]), float(table["high"][at]), decimals)
    mean = number(float(table["mean"][at]), decimals)
    return f"{mean} ({100 * run.level:g}% interval {ends})"


def _facts(run: GroupsRecord) -> list[tuple[str, str]]:
    data, family = run.data, FAMILIES[run.data.family]
    sizes = _sizes(run)
    spread = f"{sizes.min():,} to {sizes.max():,}, median {np.median(sizes):,.6g}"
    told = family.on_host.statistic(*data.pair)[1]
    raw = data.raw[told > 0]
    words = family.unit_words
    facts = [
        ("Units", whole(len(data))),
        ("Groups", whole(len(sizes))),
        ("Units of a group", spread if sizes.min() < sizes.max() else f"{sizes.max():,}"),
        (
            f"{words.raw[:1].upper()}{words.raw[1:]}s",
            f"{raw.min():.3g} to {raw.max():.3g}, median {np.median(raw):.3g}",
        ),
    ]
    if data.weights is not None:
        facts.append(("Weights", f"{data.weights.min():g} to {data.weights.max():g}"))
    return facts


def _sizes(run: GroupsRecord) -> np.ndarray:
    """How many units each group has."""
    assert run.data.groups is not None
    return np.unique(run.data.groups, return_counts=True)[1]


def _hyperprior(run: GroupsRecord) -> list[tuple[str, str, str]]:
    """For each coordinate its letter, and the densities of its mean and standard deviation."""
    fit = next(iter(run.fits.values()), None)
    if fit is None:
        return []
    prior = prior_of(fit)
    return [
        (
            name,
            f"Normal({prior.centers[k]:.4g}, {prior.sds[k]:.4g})".replace("-", "−"),
            f"half-Normal({prior.scales[k]:.4g})",
        )
        for k, name in enumerate("uw")
    ]


def _provenance(run: GroupsRecord) -> list[tuple[str, str]]:
    rows = [
        (key.replace("_", " "), in_words(value))
        for key, value in run.manifest.items()
        if key not in _ELSEWHERE
    ]
    return [(key, text) for key, text in rows if text]
