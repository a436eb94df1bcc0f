"""What the commands of ``hierjax`` do, once their arguments are parsed.

Imports stand where they are needed: input that is wrong in itself is refused before JAX is there.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from hierjax.errors import ConfigError, did_you_mean
from hierjax.experiment.runtime import cache_directory, prepare_jax, silence

if TYPE_CHECKING:
    from hierjax.experiment.record import RunRecord
    from hierjax.experiment.runner import Prepared
    from hierjax.experiment.table_file import UserTable
    from hierjax.table import Table
    from hierjax.table_columns import TableColumns

__all__ = ["fit", "info", "run", "schema"]

# What configurations call the size of every unit's next value.
_NEXT = {
    "beta_binomial": "next_trials",
    "gamma_poisson": "next_exposure",
    "normal_normal": "next_error",
}


def run(config: Path, out: Path | None, changes: Sequence[str], resume: bool) -> None:
    """Runs a configuration of any kind and prints one line a method.

    Args:
        config: The YAML file.
        out: The run's directory; ``runs/NAME`` by default.
        changes: Changes to the configuration, as ``seed=2``.
        resume: Whether to go on with a run that was cut short.

    Raises:
        HierjaxError: If the input is wrong.
        typer.Exit: If every method failed.
    """
    silence()
    from hierjax.experiment.config import analysis, load
    from hierjax.experiment.run_directory import require_directory_name

    if out is not None:
        require_directory_name(out)
    checked: Any = load(config, changes)
    path = out or Path("runs") / checked.name
    if hasattr(getattr(checked, "data", None), "group"):
        from hierjax.experiment.groups import commands as groups_commands

        groups_commands.run_and_print(checked, path, resume)
        return
    if checked.kind != "analysis":
        from hierjax.experiment.study import commands as study_commands

        study_commands.run_and_print(checked, path, resume)
        return
    from hierjax.experiment import decision_tables, terminal
    from hierjax.experiment.runner import prepare

    record = _written(prepare(analysis(checked)), path, resume)
    if record is not None:
        terminal.overview(record, terminal.console())
        decision_tables.later(record, terminal.console())
        _conclude(record, path)


def fit(
    file: str,
    columns: Mapping[str, str | None],
    method: str | None,
    new: Sequence[str],
    questions: Mapping[str, Any],
    out: Path | None,
    changes: Sequence[str],
    resume: bool,
    hyper_only: bool = False,
    family: str | None = None,
) -> None:
    """Fits one method to the units in a file and prints its answers.

    Args:
        file: The file, or a pattern of files.
        columns: Names of its columns by what configurations call them, such as `successes`,
            `trials` and `label`.
        method: The method's name; by default quadrature, before it type2_mle with `hyper_only`.
        new: Units to ask about, as ``4/14``.
        questions: What is asked of the units, by the configuration's names; `next` of the size
            of their next values.
        out: The run's directory, or a CSV or Parquet file for the table with its answers; none by
            default.
        changes: Changes to the configuration, as ``seed=2``.
        resume: Whether to go on with a run that was cut short.
        hyper_only: Whether to ask for no answers about the file's units.
        family: What the units are; by default what the columns are for.

    Raises:
        HierjaxError: If the input is wrong.
        typer.Exit: If the method failed.
    """
    silence()
    from hierjax.table_columns import table_columns

    if family is not None:
        _require_family(family)
    named = table_columns(family, **columns)
    grouped = columns.get("group") is not None
    asked = [_new_unit(text, named.family, grouped) for text in new]
    names: Any = {key: name for key, name in columns.items() if name is not None}
    from hierjax.experiment.groups.commands import (
        fit_and_print,
        fit_to_file,
        refuse_for_groups,
    )
    from hierjax.experiment.run_directory import require_directory_name
    from hierjax.experiment.table_file import is_table_file

    is_table = out is not None and is_table_file(out)
    if grouped:
        refuse_for_groups(questions, out, hyper_only, resume)
    questions = dict(questions)
    if (size := questions.pop("next", None)) is not None:
        whole = named.family == "beta_binomial" and float(size).is_integer()
        questions[_NEXT[named.family]] = int(size) if whole else size
    default = ["type2_mle", "quadrature"] if hyper_only else ["quadrature"]
    given: dict[str, Any] = {
        "name": "".join(c if c.isalnum() else "_" for c in Path(file).stem)[:80],
        "data": {"path": file, **names},
        "model": {"family": named.family},
        "methods": [{"method": name} for name in ([method] if method else default)],
        "new_units": asked,
    }
    if questions:
        given["questions"] = questions
    if grouped and is_table:
        assert out is not None
        fit_to_file(file, named, given, changes, out)
        return
    if hyper_only or is_table:
        _fit_tallied(file, named, given, changes, out, resume, hyper_only)
        return
    if out is not None:
        require_directory_name(out, "a directory, or a .csv or .parquet file")
    (fit_and_print if grouped else _fit_in_memory)(file, named, given, changes, out, resume)


def _fit_tallied(
    file: str,
    columns: "TableColumns",
    given: Mapping[str, Any],
    changes: Sequence[str],
    out: Path | None,
    resume: bool,
    hyper_only: bool,
) -> None:
    """Fits to a table that need not fit into memory."""
    from hierjax.experiment.fit_file import FileFit

    if hyper_only and out is not None:
        raise ConfigError(f"--hyper-only: expected no --out, as nothing is written, found {out}")
    if resume:
        raise ConfigError(f"--resume: expected a run's directory with --out, found {out or 'none'}")
    if "questions" in given:
        name = next(iter(given["questions"]))
        flag = "--next" if name in _NEXT.values() else f"--{name}"
        if hyper_only:
            raise ConfigError(f"{flag}: expected no --hyper-only, as it is asked of units")
        raise ConfigError(
            f"{flag}: expected no --out, or a run's directory, as the table takes no further "
            f"answers, found {out}"
        )
    if any(change.startswith("later") for change in changes):
        raise ConfigError(
            "later: expected no --hyper-only, and no file as --out, as it is asked of units"
        )
    fit = FileFit(file, columns, given, changes, _print_file_fit)
    if out is None:
        fit.hyperparameters()
    else:
        fit.to_file(out)
        print(f"table: {out}")


def _fit_in_memory(
    file: str,
    columns: "TableColumns",
    given: Mapping[str, Any],
    changes: Sequence[str],
    out: Path | None,
    resume: bool,
) -> None:
    """Fits to a table whose units are looked at one by one."""
    prepared = _prepared(file, columns, given, changes)
    if out is None:
        _print_fit(prepared)
    elif record := _written(prepared, out, resume):
        _print_tables(record)
        _conclude(record, out)


def _prepared(
    file: str, columns: "TableColumns", given: Mapping[str, Any], changes: Sequence[str]
) -> "Prepared":
    """A table and a model, checked; the table first, before anything heavy is imported."""
    from hierjax.experiment.loading import with_warnings
    from hierjax.reading import read_table

    loaded = with_warnings(lambda: read_table(file, columns))
    from hierjax.experiment.config import analysis, validated
    from hierjax.experiment.runner import prepare

    return prepare(analysis(validated(dict(given), "hierjax fit", changes)), loaded)


def schema() -> None:
    """Prints the JSON Schema of configurations of every kind."""
    import json

    from hierjax.experiment.kinds import json_schema

    print(json.dumps(json_schema(), indent=2))


def info() -> None:
    """Prints versions, devices, precision and where compiled code is kept."""
    silence()
    from hierjax.experiment.manifest import devices, versions

    prepare_jax("auto")
    lines = list(versions().items())
    for device in devices():
        lines.append(("device", f"{device['platform']}:{device['id']} ({device['kind']})"))
    lines.append(("precision", "float64 by default; float32 with --precision float32"))
    lines.append(("cache", str(cache_directory() or "none that can be written")))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value}")


def _new_unit(text: str, family: str, grouped: bool = False) -> dict[str, Any]:
    """What ``--new`` asks about: a unit's value and size, perhaps a label, perhaps its group."""
    from hierjax.containers import CONTAINERS

    rest, _, group = text.rpartition("@") if grouped else (text, "", "")
    if "/" not in rest:  # the label's own
        rest, group = text, ""
    label, _, pair = rest.rpartition("=")
    keys, cells = CONTAINERS[family].keys, [part.strip() for part in pair.split("/")]
    whole = {"beta_binomial": 2, "gamma_poisson": 1}.get(family, 0)
    numbers = [_number(cell, i < whole) for i, cell in enumerate(cells)]
    if len(cells) != 2 or None in numbers:
        expected, example = "/".join(keys), {0: "-2.5/10", 1: "3/12.5", 2: "4/14"}[whole]
        raise ConfigError(f"--new: expected {expected}, as {example}, found {text!r}")
    value, size = numbers
    if family == "beta_binomial" and value > size:  # type: ignore[operator]
        raise ConfigError(f"--new: expected no more successes than trials, found {text!r}")
    unit: dict[str, Any] = dict(zip(keys, numbers, strict=True))
    if group:
        unit["group"] = group.strip()
    return {"label": label, **unit} if label else unit


def _require_family(name: str) -> None:
    from hierjax.containers import CONTAINERS

    if name not in CONTAINERS:
        near = did_you_mean(name, CONTAINERS)
        raise ConfigError(
            f"--family: expected one of {', '.join(CONTAINERS)}, found {name!r}{near}"
        )


def _number(cell: str, whole: bool) -> int | float | None:
    """The number that is written in a cell, if one is."""
    if whole:
        return int(cell) if cell.isdecimal() else None
    try:
        return float(cell)
    except ValueError:
        return None


def _written(prepared: "Prepared", out: Path, resume: bool) -> "RunRecord | None":
    """Runs and writes; says so if there is nothing to do."""
    from hierjax.experiment.analysis import run as run_analysis
    from hierjax.experiment.terminal import watch

    record = run_analysis(prepared, out, watch, resume)
    if record is None:
        print(f"this run is finished already\nreport: {out / 'report.html'}")
    return record


def _print_fit(prepared: "Prepared") -> None:
    """Fits and prints, writing nothing."""
    from hierjax.experiment.answers import answer
    from hierjax.experiment.runner import fit_all
    from hierjax.experiment.terminal import watch

    found = fit_all(prepared, watch, needed_later=["arviz"])
    with watch("answers") as progress:
        record = answer(prepared, found, compare=False, progress=progress)
    _print_tables(record)
    _conclude(record, None)


def _print_file_fit(record: "RunRecord", table: "UserTable") -> None:
    """The answers of the only method, units excepted: those are written to a file."""
    from hierjax.experiment.terminal import size

    sums = [math.fsum(each * table.multiplicity) for each in table.pairs]
    size(record.counts, table.units, sums)
    _print_tables(record, with_units=False)
    _conclude(record, None)


def _print_tables(record: "RunRecord", with_units: bool = True) -> None:
    """The answers of every method, of which there is mostly one."""
    from hierjax.experiment import terminal
    from hierjax.experiment.decision_tables import decisions
    from hierjax.experiment.per import as_shown, per_of
    from hierjax.families.unit_words import per_text

    record, per = as_shown(record), per_text(per_of(record))
    out, counts = terminal.console(), record.counts
    level = record.level if record.config["interval"] == "equal_tailed" else None
    if with_units:
        terminal.size(counts, len(counts), [*counts.totals().values()] or [0, 0])
    for index, (name, found) in enumerate(record.fits.items()):
        print(("\n" if index else "") + f"{name}: {str(found.status).replace('_', ' ')}")
        hyper = _of_method(record.hyper, name)
        terminal.hyperparameters(hyper, record.level, out)
        if per:
            out.print(f"mean:{per}; the others of rates per unit of exposure", style="dim")
        if not found.is_point and np.isnan(hyper["mean"]).any():
            out.print("-: does not exist, the posterior's tail is too heavy", style="dim")
        if with_units:
            terminal.units(record.units, level, out, f"Units{', rates' + per if per else ''}")
        if len(record.new_units):
            title = f"New units{', rates' + per if per else ''}"
            terminal.units(_of_method(record.predictions, name), level, out, title)
    decisions(record, out)


def _of_method(table: "Table", name: str) -> "Table":
    from hierjax.table import Table

    of_method = table["method"] == name
    return Table({column: table[column][of_method] for column in table})


def _conclude(record: "RunRecord", out: Path | None) -> None:
    """Warnings, where the results are, and an exit code that tells of total failure."""
    from hierjax.experiment import terminal

    terminal.warn(record.warnings, terminal.console(stderr=True))
    if out is not None:
        print(f"report: {out / 'report.html'}")
    if not record.fits:
        raise typer.Exit(1)
