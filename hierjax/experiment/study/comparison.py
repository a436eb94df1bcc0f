"""Comparison: the same data sets on every device, in every precision."""

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

from hierjax.experiment.report_tables import Group
from hierjax.experiment.rounding import MISSING, number, seconds, whole
from hierjax.experiment.runner import Watch
from hierjax.experiment.study.record import Outcome, ReportTable, Section
from hierjax.experiment.study.runner import PreparedStudy
from hierjax.experiment.study.schema import ComparisonConfig, StudyEntry
from hierjax.experiment.study.words import study_label
from hierjax.fitted import Precision
from hierjax.plots.comparison import comparison_panels
from hierjax.plots.picture import Picture
from hierjax.plots.style import method_color
from hierjax.studies.comparison import COLUMNS, Compared, compare
from hierjax.studies.simulation import Simulated
from hierjax.table import Table

__all__ = ["comparison_outcome"]

_SECTIONS = (
    Section(
        "speed",
        "Speed, memory and agreement",
        "Each row is a process of its own, which compiles everything itself. Seconds of a run are "
        "those of a further call, from host arrays to host arrays.",
    ),
)
_DEVICES = {"cpu": "CPU", "gpu": "GPU"}

Found = dict[str, Any]


def comparison_outcome(
    prepared: PreparedStudy, watch: Watch, folder: Callable[[str], Path]
) -> Outcome:
    """Runs a comparison.

    Args:
        prepared: The study.
        watch: Is told of each method's progress.
        folder: Where what is known of a method is kept until all are done.

    Returns:
        What came of it: the table `comparison`.
    """
    config = prepared.config
    assert isinstance(config, ComparisonConfig)
    (setting,) = prepared.settings
    simulated = setting.simulate(config.data_sets)
    platforms: list[Literal["cpu", "gpu"]] = ["cpu"] if config.device == "cpu" else ["cpu", "gpu"]
    rows: list[dict[str, Any]] = []
    missing: dict[str, None] = {}
    hardware: dict[str, str] = {}
    for entry in config.methods:
        name = entry.display_name
        with watch(name) as progress:
            path = folder(f"{name}.json")
            found = _kept(path)
            if found is None:
                measure = partial(_measured, prepared, entry, simulated, platforms)
                found = _keep(path, measure(setting.key(name), progress))
        rows += found["rows"]
        hardware |= found["hardware"]
        missing |= dict.fromkeys(found["missing"])
        # What is not there need not be looked for again.
        platforms = [name for name in platforms if not _is_absent(name, found)]
    table = Table({column: [row[column] for row in rows] for column in COLUMNS})
    return Outcome(
        {"comparison": table},
        None,
        {entry.display_name: {"fits": _fits(rows, entry)} for entry in config.methods},
        _findings(table, hardware),
        _SECTIONS,
        (_report_table(table),) if rows else (),
        (_picture(table, config.methods),) if rows else (),
        tuple(f"not measured: {text}" for text in missing),
        not rows,
    )


def _measured(
    prepared: PreparedStudy,
    entry: StudyEntry,
    simulated: Simulated,
    platforms: list[Literal["cpu", "gpu"]],
    key: Any,
    progress: Any,
) -> Found:
    """What is found of one method on all devices."""
    config = prepared.config
    assert isinstance(config, ComparisonConfig)
    both: tuple[Precision, ...] = ("float64", "float32")
    precisions = both if config.precision == "both" else (config.precision,)
    size = entry.size(config.data_sets)
    asked = {entry.display_name: Compared(entry.settings(), size, entry.correction)}
    found = compare(
        simulated.data_sets,
        asked,
        prepared.model,
        key=key,
        platforms=platforms,
        precisions=precisions,
        level=config.level,
        chunk=config.chunk,
        progress=progress,
    )
    missing, hardware = list(found.missing), dict(found.hardware)
    return {"rows": list(found.table.rows()), "missing": missing, "hardware": hardware}


def _fits(rows: list[dict[str, Any]], entry: StudyEntry) -> list[str]:
    """Where a method was done."""
    mine = (row for row in rows if row["method"] == entry.display_name)
    return [f"{row['device']} {row['precision']}" for row in mine]


def _is_absent(platform: str, found: Found) -> bool:
    return any(text.startswith(f"{platform}: ") for text in found["missing"])


def _kept(path: Path) -> Found | None:
    return json.loads(path.read_text()) if path.exists() else None


def _keep(path: Path, found: Found) -> Found:
    """Writes what was found under a hidden name and renames it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.partial")
    hidden.write_text(json.dumps(found))
    os.replace(hidden, path)
    return found


def _findings(table: Table, hardware: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What the devices are, and each method's speeds on them."""
    found = [(_DEVICES.get(name, name), text) for name, text in hardware.items()]
    for method in dict.fromkeys(table["method"].tolist()):
        rows = [row for row in table.rows() if row["method"] == method]
        speeds = "; ".join(
            f"{_speed(row['data_sets_per_second'])} data sets a second on the "
            f"{_DEVICES.get(row['device'], row['device'])} in {row['precision']}"
            for row in rows
        )
        found.append((study_label(method), f"{speeds}.{_difference(rows)}"))
    return tuple(found)


def _speed(value: float | int) -> str:
    return number(float(f"{value:.3g}"), 0 if value >= 100 else 1)


def _difference(rows: list[dict[str, Any]]) -> str:
    """How far unit means are from those of the CPU in double precision."""
    others = [row for row in rows if (row["device"], row["precision"]) != ("cpu", "float64")]
    known = [row["largest_difference"] for row in others if np.isfinite(row["largest_difference"])]
    if not known:
        return ""
    return (
        f" Means of units differ by at most {max(known):.2g} posterior standard deviations from "
        "those of the CPU in float64."
    )


def _report_table(table: Table) -> ReportTable:
    def cells(row: dict[str, Any]) -> list[str]:
        def told(value: float, say: Callable[[float], str]) -> str:
            return say(value) if np.isfinite(value) else MISSING

        return [
            f"{_DEVICES.get(row['device'], row['device'])}, {row['precision']}",
            told(row["data_sets_per_second"], _speed),
            told(row["ess_per_second"], _speed),
            told(row["compile_seconds"], seconds),
            told(row["run_seconds"], seconds),
            told(row["peak_megabytes"], whole),
            told(row["device_megabytes"], whole),
            told(row["largest_difference"], lambda value: f"{value:.2g}"),
        ]

    groups = []
    for method in dict.fromkeys(table["method"].tolist()):
        rows = [row for row in table.rows() if row["method"] == method]
        sizes = " to ".join(dict.fromkeys(whole(row["data_sets"]) for row in rows))
        groups.append(Group(f"{study_label(method)}, {sizes} data sets", [cells(r) for r in rows]))
    return ReportTable(
        "speed",
        "Every method on every device, in every precision",
        ["Device", "Data sets/s", "ESS/s", "Compile s", "Run s", "MB", "GPU MB", "Difference"],
        groups,
        "ESS/s is the effective number of draws a second, of all data sets together, warm-up in "
        "the time. MB is the process's peak memory. The difference is the largest between units' "
        "means and those of the CPU in float64, in posterior standard deviations; a sampler's "
        "holds its Monte Carlo error. Draws a second and statuses are in comparison.csv.",
    )


def _picture(table: Table, methods: list[Any]) -> Picture:
    names = [entry.display_name for entry in methods]
    colors = {entry.display_name: method_color(entry.settings().name) for entry in methods}
    labels = {name: study_label(name) for name in names}

    def draw() -> Axes:
        return comparison_panels(table, colors=colors, labels=labels)[0, 0]

    return Picture(
        "comparison",
        "speed",
        "Devices and precisions side by side",
        "Round markers are the CPU's, square ones the GPU's; filled ones are in double precision, "
        "hollow ones in single. Axes are logarithmic.",
        "Dot plots of speed, compile time and memory by method, device and precision.",
        draw,
    )
