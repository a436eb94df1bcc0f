"""What a person at a terminal sees: progress while sampling, then aligned tables."""

import math
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

if TYPE_CHECKING:
    from hierjax.experiment.record import RunRecord
    from hierjax.observations import Observations
    from hierjax.table import Table

__all__ = [
    "coloured",
    "console",
    "grid",
    "hyperparameters",
    "largest_z",
    "number",
    "overview",
    "printable",
    "quantity",
    "size",
    "units",
    "warn",
    "watch",
]

_WIDEST = 1000
_MOST_UNITS, _SHOWN_UNITS = 40, 10


def console(stderr: bool = False) -> Console:
    """Where to print: as wide as the terminal, and of any width and without colours in a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDEST
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def number(value: float, digits: int = 3) -> str:
    """A number in a table, to some significant digits; a dash where there is none.

    Examples:
        >>> number(0.21), number(14.0798), number(1234.5), number(float("nan"))
        ('0.210', '14.1', '1234', '-')
    """
    if math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 10**digits and abs(value) < 10**7:
        return f"{value:.0f}"
    return f"{value:#.{digits}g}".removesuffix(".")


def quantity(value: Any) -> str:
    """What was observed of a unit, as it was given.

    Examples:
        >>> quantity(1725), quantity(94.3), quantity(12500000.0), quantity(-2.75)
        ('1,725', '94.3', '12,500,000', '-2.75')
    """
    if abs(value) < 10**15 and float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.0f}" if 10**6 < abs(value) < 10**15 else f"{value:.6g}"


@contextmanager
def watch(name: str) -> Iterator[Callable[[int, int], None] | None]:
    """Shows a bar while a method or another stage runs, if somebody can see it.

    Args:
        name: What runs.

    Yields:
        What takes the number of steps done and their total.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=None, state="working")

        def update(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, state=f"{done:,} of {total:,}")

        yield update


def warn(texts: Sequence[str], out: Console) -> None:
    """Prints warnings, one a line."""
    for text in texts:
        out.print(Text("warning: ", "yellow") + Text(printable(text)))


def size(data: "Observations", units: int, sums: Sequence[int | float]) -> None:
    """Prints how many units there are, and what they come to together."""
    value, total = map(quantity, sums)
    more = {
        "beta_binomial": f", {value} successes of {total} trials",
        "gamma_poisson": f", {value} events in an exposure of {total}",
    }
    print(f"{units:,} units{more.get(data.family, '')}")


def overview(record: "RunRecord", out: Console) -> None:
    """Prints one line a method: estimates, the first new unit, agreement, seconds, status."""
    from hierjax.experiment.per import as_shown, per_of
    from hierjax.families.unit_words import per_text

    lines = grid(["method"])
    parameters = _headline(record)
    names = [*parameters]
    if len(record.new_units):
        names.append(textwrap.shorten(printable(record.new_units.labels[0]), 24, placeholder="..."))
    for column in [*names, "max |z|", "seconds"]:
        lines.add_column(column, justify="right", no_wrap=True)
    lines.add_column("status", no_wrap=True)
    record, per = as_shown(record), per_text(per_of(record))
    hyper = {(row["method"], row["parameter"]): row for row in record.hyper.rows()}
    first: dict[str, dict[str, Any]] = {}
    for row in record.predictions.rows():
        first.setdefault(row["method"], row)
    for name in [entry["name"] for entry in record.config["methods"]]:
        cells = [name]
        if name in record.fits:
            cells += [number(hyper[name, p]["median"]) for p in parameters]
            if len(record.new_units):
                cells.append(_interval(first[name]))
            cells.append(largest_z(record.agreement, name))
            status = str(record.fits[name].status).replace("_", " ")
        else:
            cells += ["-"] * (len(names) + 1)
            status = "failed"
        seconds = record.seconds.get(name, math.nan)
        lines.add_row(*cells, f"{seconds:.1f}", coloured(status))
    out.print(lines)
    points = [name for name, fit in record.fits.items() if fit.is_point]
    of_mean = f"; the mean{per}" if per else ""
    estimates = f" ({' and '.join(points)}: estimates)" if points else ""
    out.print(f"{', '.join(parameters)}: posterior medians{estimates}{of_mean}", style="dim")
    if len(record.new_units):
        word = "effect" if record.counts.family == "normal_normal" else "rate"
        text = f"{word}{per}: posterior mean and {100 * record.level:g} % interval"
        out.print(text, style="dim")
    out.print(
        "max |z|: largest difference from quadrature, in Monte Carlo standard errors", style="dim"
    )


def _headline(record: "RunRecord") -> tuple[str, str]:
    """The two hyperparameters that say most of a population."""
    names = list(dict.fromkeys(record.hyper["parameter"].tolist()))
    if record.counts.family == "beta_binomial" or not names:
        return "alpha", "beta"
    return "mean", names[-1]


def hyperparameters(table: "Table", level: float, out: Console) -> None:
    """Prints the summary of the hyperparameters of one method."""
    columns = {name: table[name] for name in ("mean", "sd", "median", "low", "high", "r_hat")}
    columns["ess"] = np.minimum(table["ess_bulk"], table["ess_tail"])
    shown = [name for name in columns if not np.isnan(columns[name]).all()]
    out.print("\nHyperparameters", style="bold")
    lines = grid(["parameter"])
    for name in shown:
        lines.add_column(_heading(name, level), justify="right", no_wrap=True)
    for row, parameter in enumerate(table["parameter"].tolist()):
        cells = [_hyper_cell(name, float(columns[name][row])) for name in shown]
        lines.add_row(parameter, *cells)
    out.print(lines)


def units(table: "Table", level: float | None, out: Console, title: str) -> None:
    """Prints units, of many only those with the lowest and the highest rates.

    Without a level the ends of intervals are no quantiles, and are called low and high.
    """
    rows = list(table.rows())
    cut = len(rows) > _MOST_UNITS
    if cut:
        rows.sort(key=lambda row: row["mean"])
        title += f" ({_SHOWN_UNITS} lowest and {_SHOWN_UNITS} highest means of {len(rows):,})"
    out.print(f"\n{title}", style="bold")
    columns = list(table)
    words = ["label", *(["group"] if "group" in columns else [])]
    lines = grid(words)
    data = columns[columns.index(words[-1]) + 1 : columns.index("mean")]
    # A measurement is its own raw value.
    raw = [] if "values" in data else data[2:]
    data, real = data[:2], [*raw, "mean", "sd", "low", "high", "shrinkage"]
    for name in [*data, *real]:
        lines.add_column(_heading(name, level), justify="right", no_wrap=True)
    for position, row in enumerate(rows):
        if cut and position == _SHOWN_UNITS:
            lines.add_row("...")
        if not cut or position < _SHOWN_UNITS or position >= len(rows) - _SHOWN_UNITS:
            cells = [quantity(row[name]) for name in data] + [number(row[name]) for name in real]
            lines.add_row(*(printable(str(row[name])) for name in words), *cells)
    out.print(lines)


def grid(text_columns: Sequence[str]) -> Grid:
    """A table without lines, two spaces between columns."""
    table = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in text_columns:
        table.add_column(name, overflow="fold")
    return table


def _hyper_cell(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    if name in ("ess", "r_hat"):
        return f"{value:.0f}" if name == "ess" else f"{value:.3f}"
    return number(value, 3 if name == "sd" else 4)


def _heading(name: str, level: float | None) -> str:
    if level is None:
        return name.replace("_", " ")
    quantiles = {"low": (1 - level) / 2, "high": (1 + level) / 2}
    return f"{100 * quantiles[name]:g} %" if name in quantiles else name.replace("_", " ")


def _interval(row: Mapping[str, Any]) -> str:
    mean, low, high = (number(row[name]) for name in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def largest_z(agreement: "Table | None", method: str) -> str:
    """The largest difference of a method from quadrature, in standard errors."""
    if agreement is None:
        return "-"
    sizes = [abs(row["z"]) for row in agreement.rows() if row["method"] == method]
    finite = [size for size in sizes if math.isfinite(size)]
    return f"{max(finite):.1f}" if finite else "-"


def coloured(status: str) -> Text:
    """A method's status in the color of good or bad news."""
    return Text(status, {"converged": "green", "failed": "red"}.get(status, "yellow"))


def printable(text: str) -> str:
    """Text from a data file, without what could command a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
