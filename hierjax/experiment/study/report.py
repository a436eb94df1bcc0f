"""The report of a study: what was asked, what came of it, and the figures, on one page."""

from collections.abc import Mapping
from pathlib import Path

from hierjax.experiment import yaml_text
from hierjax.experiment.report_page import (
    figures_in,
    hyperprior_parts,
    images_of,
    page,
    write_page,
)
from hierjax.experiment.report_tables import first_line, in_words
from hierjax.experiment.rounding import number, whole
from hierjax.experiment.study.record import StudyRecord
from hierjax.experiment.study.words import study_label
from hierjax.families.unit_words import SUCCESSES
from hierjax.inference import METHODS

__all__ = ["render_study", "write_study_report"]

_LEADS = {
    "calibration": "Is each method's posterior the posterior? Simulation-based calibration on "
    "{data_sets} data sets of {units} units.",
    "coverage": "How far can each method's answers be trusted? {data_sets} simulated data "
    "sets{each}, of which the truth is known. Intervals are made to hold {level}.",
    "misspecification": "What still holds where the population is not the one that the model "
    "assumes? {data_sets} simulated data sets{each}, of which the truth is known. Intervals are "
    "made to hold {level}.",
    "comparison": "The same {data_sets} data sets of {units} units on every device, in every "
    "precision: how fast, and with what difference?",
}
_ELSEWHERE = ("name", "kind", "state", "methods", "warnings", "seconds", "git", "data")
_STATUSES = ("converged", "boundary", "not_converged", "failed")


def write_study_report(directory: Path, study: StudyRecord) -> Path:
    """Writes ``report.html``.

    Args:
        directory: The study's directory, with its figures in ``figures``.
        study: What the study found.

    Returns:
        The file, which is whole or not there.
    """
    return write_page(directory, render_study(study, images_of(directory)))


def render_study(study: StudyRecord, images: Mapping[str, bytes]) -> str:
    """The report as text.

    Args:
        study: What the study found.
        images: PNG files by the figures' names; figures without one are left out.

    Returns:
        A whole HTML page.
    """
    outcome, timed = study.outcome, study.config["kind"] == "comparison"
    sections = [section.name for section in outcome.sections]
    return page(
        "study/study.html.j2",
        run=study,
        lead=_lead(study),
        warnings=list(study.warnings),
        findings=outcome.findings,
        simulated=_simulated(study),
        settings=_settings(study),
        hyperprior=hyperprior_parts(study.model),
        words=SUCCESSES,
        method_columns=["Method", "What it does", *([] if timed else ["Data sets"])],
        methods=_methods(study, timed),
        sections=outcome.sections,
        report_tables=outcome.report_tables,
        figures=figures_in(outcome.pictures, images, sections),
        provenance=_provenance(study),
        timed=timed,
        config=yaml_text.dump(dict(study.config)),
    )


def _lead(study: StudyRecord) -> str:
    settings = list(study.settings.rows())
    return _LEADS[study.config["kind"]].format(
        data_sets=whole(study.config["data_sets"]),
        units=whole(settings[0]["units"]),
        each=f" of each of {len(settings)} settings" if len(settings) > 1 else "",
        level=f"{100 * study.config['level']:g}%",
    )


def _simulated(study: StudyRecord) -> list[tuple[str, str]]:
    """What was simulated, where there is one setting."""
    rows, size = list(study.settings.rows()), whole(study.config["data_sets"])
    if len(rows) > 1:
        return [("Settings", whole(len(rows))), ("Data sets of each", size)]
    row = rows[0]
    facts = [
        ("Data sets", size),
        ("Units of each", whole(row["units"])),
        ("Trials of a unit", row["trials"]),
        ("Population", row["population"]),
    ]
    if row["mean"] == row["mean"]:
        facts += [("Mean rate", f"{row['mean']:.4g}"), ("SD of rates", f"{row['sd']:.4g}")]
    return facts


def _settings(study: StudyRecord) -> list[list[str]]:
    rows = list(study.settings.rows())
    if len(rows) == 1:
        return []
    return [
        [row["setting"], row["population"], row["trials"], number(row["mean"], 4),
         number(row["sd"], 4)]
        for row in rows
    ]  # fmt: skip


def _methods(study: StudyRecord, timed: bool) -> list[list[str]]:
    """Every method: what it does, and how its data sets ended, all settings together."""
    rows = []
    for entry in study.config["methods"]:
        name = entry["name"]
        does = first_line(METHODS[entry["method"]])
        if entry.get("empirical_bayes") == "corrected":
            does += " Its error is carried into answers about units."
        counts = study.outcome.methods.get(name, {}).get("data_sets", {})
        ended = (
            f"{whole(counts[status])} {status.replace('_', ' ')}"
            for status in _STATUSES
            if counts.get(status)
        )
        rows.append([study_label(name), does, *([] if timed else [", ".join(ended) or "none"])])
    return rows


def _provenance(study: StudyRecord) -> list[tuple[str, str]]:
    rows = [
        (key.replace("_", " "), in_words(value))
        for key, value in study.manifest.items()
        if key not in _ELSEWHERE
    ]
    return [(key, text) for key, text in rows if text]
