"""What a person at a terminal sees of a study: one line a method, or setting and method."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from hierjax.experiment.study.record import StudyRecord
from hierjax.experiment.terminal import grid, number, printable

__all__ = ["overview"]

_COMPARED = {
    "data_sets_per_second": "data sets/s",
    "ess_per_second": "ESS/s",
    "compile_seconds": "compile s",
    "run_seconds": "run s",
    "peak_megabytes": "MB",
    "device_megabytes": "GPU MB",
    "largest_difference": "difference",
}


def overview(study: StudyRecord, out: Console) -> None:
    """Prints what came of a study.

    Args:
        study: What the study found.
        out: Where to print.
    """
    printers: Mapping[str, Callable[[StudyRecord, Console], None]] = {
        "calibration": _calibration,
        "coverage": _coverage,
        "misspecification": _coverage,
        "comparison": _comparison,
    }
    printers[study.config["kind"]](study, out)


def _columns(text: list[str], numbers: list[str], last: str | None = None) -> Grid:
    lines = grid(text)
    for column in numbers:
        lines.add_column(column, justify="right", no_wrap=True)
    if last is not None:
        lines.add_column(last, no_wrap=True)
    return lines


def _seconds(study: StudyRecord) -> dict[tuple[str, str], str]:
    """Of runs: seconds of compilation, which methods share, cannot be compared."""
    table = study.outcome.seconds
    if table is None:
        return {}
    return {(row["setting"], row["method"]): _second(row["run"]) for row in table.rows()}


def _second(value: float | int) -> str:
    return f"{value:.1f}"


def _percent(value: float | int, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}" if np.isfinite(value) else "-"


def _calibration(study: StudyRecord, out: Console) -> None:
    """The worst parameter of every method, and the verdict."""
    lines = _columns(["method"], ["data sets", "failed", "adjusted p", "run s"], "worst parameter")
    lines.add_column("verdict", no_wrap=True)
    seconds = {method: text for (_, method), text in _seconds(study).items()}
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in study.outcome.tables["p_values"].rows():
        rows.setdefault(row["method"], []).append(row)
    for entry in study.config["methods"]:
        name = entry["name"]
        if name not in rows:
            lines.add_row(name, *["-"] * 5, _verdict("failed"))
            continue
        worst = min(rows[name], key=lambda row: (np.isnan(row["adjusted"]), row["adjusted"]))
        cells = [f"{worst['data_sets']:,}", f"{worst['failed']:,}", number(worst["adjusted"], 2)]
        verdict = _verdict(worst["verdict"])
        lines.add_row(name, *cells, seconds.get(name, "-"), worst["parameter"], verdict)
    out.print(lines)
    out.print(
        "adjusted p: smallest over all parameters, Holm's; of uniform ranks at all levels at once",
        style="dim",
    )


def _verdict(text: str) -> Text:
    return Text(text, {"passed": "green", "failed": "red"}.get(text, "yellow"))


def _coverage(study: StudyRecord, out: Console) -> None:
    """Coverage and errors of every method in every setting."""
    several = len(study.settings) > 1
    numbers = ["data sets", "failed", "coverage %", "+-", "length", "rmse/raw %", "rmse/pooled %"]
    lines = _columns(["setting", "method"] if several else ["method"], [*numbers, "run s"])
    seconds, before, level = _seconds(study), None, study.config["level"]
    for row in study.outcome.tables["coverage"].rows():
        setting = "" if row["setting"] == before else printable(row["setting"])
        before = row["setting"]
        lines.add_row(
            *([setting] if several else []),
            row["method"],
            f"{row['data_sets']:,}",
            f"{row['failed']:,}",
            _judged(row["coverage"], row["coverage_mcse"], level),
            _percent(row["coverage_mcse"], 2),
            number(row["length"]),
            *(_percent(row[f"rmse_over_{name}"]) for name in ("raw", "pooled")),
            seconds.get((row["setting"], row["method"]), "-"),
        )
    out.print(lines)
    out.print(f"coverage of units' {100 * level:g} % intervals, +- its standard error", style="dim")


def _judged(value: float, error: float, level: float) -> Text:
    """A coverage, coloured where it is too low beyond the simulation's error."""
    low = np.isfinite(error) and value < level - 0.005 and value < level - 3 * error
    return Text(_percent(value, 2), "yellow" if low else "")


def _comparison(study: StudyRecord, out: Console) -> None:
    """Speed of every device, precision and method."""
    table = study.outcome.tables["comparison"]
    lines = _columns(["device", "precision", "method"], ["data sets", *_COMPARED.values()])
    for row in table.rows():
        text = [row[name] for name in ("device", "precision", "method")]
        cells = [number(float(row[name])) for name in _COMPARED]
        lines.add_row(*text, f"{row['data_sets']:,}", *cells)
    out.print(lines)
    out.print(
        "difference: largest of unit means from the CPU's in float64, in posterior sd", style="dim"
    )
