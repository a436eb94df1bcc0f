"""What is asked of units, on the terminal: lists, ranks, contrasts and predictions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from hierjax.containers import CONTAINERS
from hierjax.experiment.terminal import grid, number, printable, quantity

if TYPE_CHECKING:
    from hierjax.experiment.record import RunRecord

__all__ = ["decisions", "later"]

_DATA = {name for container in CONTAINERS.values() for name in container.columns}
# Rows shown of a table that is longer.
_SHOWN = 20


def decisions(record: "RunRecord", out: Console) -> None:
    """Prints the answers to the questions of a run.

    Args:
        record: The run.
        out: Where to print.
    """
    from hierjax.experiment.per import per_of
    from hierjax.families.unit_words import per_text

    questions = record.config["questions"]
    names: tuple[str, ...]
    data = record.counts.columns
    if (table := record.exceedance) is not None:
        chosen = table["selected"]
        count, rate, share = int(chosen.sum()), questions["above"], 100 * questions["fdr"]
        per = per_of(record)
        title = f"Above {rate * (per or 1.0):g}{per_text(per)}: {count} of {len(table)} units"
        rows = [row for row in table.rows() if row["selected"]]
        rows.sort(key=lambda row: row["pep"])
        names = (*data, "probability_above", "pep", "q_value")
        _print(out, title, rows, names)
        note = f"expected false discoveries among them: at most {share:g} %"
        out.print(note, style="dim")
    if (table := record.ranks) is not None:
        rows = sorted(table.rows(), key=lambda row: (not row["in_top_k"], row["expected_rank"]))
        top = questions["top"]
        names = (*data, "expected_rank", "low", "high", "p_best", "p_top_k")
        _print(out, f"Ranks: the likeliest top {top}", rows[:top], names)
        members = float(np.sum(table["p_top_k"][table["in_top_k"]]))
        out.print(f"expected number of true members: {members:.1f} of {top}", style="dim")
    if (table := record.contrasts) is not None:
        rows = sorted(table.rows(), key=lambda row: -row["p_greater"])
        wanted = ("p_greater", "difference_mean", "difference_low", "difference_high",
                  "ratio_low", "ratio_high", "expected_loss")  # fmt: skip
        names = tuple(name for name in wanted if name in list(table))
        per = per_of(record)
        title = f"Against {printable(str(questions['control']))}"
        title += "" if per is None else f", differences and loss{per_text(per)}"
        _print(out, title, rows, names)
    if (table := record.next_counts) is not None:
        names = (*data, "mean", "sd", "low", "median", "high")
        title = _next_title(questions)
        _print(out, title, list(table.rows()), names)
    later(record, out)


def later(record: "RunRecord", out: Console) -> None:
    """Prints how well a later period is predicted, where a run has one.

    Args:
        record: The run.
        out: Where to print.
    """
    if record.later is None:
        return
    rows = {row["quantity"]: row for row in record.later.scores.rows()}
    out.print(f"\nLater period, predicted by {record.answered_by}", style="bold")
    errors = grid(["root mean squared error"])
    errors.add_column(record.counts.columns[0], justify="right", no_wrap=True)
    names = {"partial_pooling": "shrunken", "no_pooling": "raw", "complete_pooling": "pooled"}
    for name, word in names.items():
        text = f"{word} ({name.replace('_', ' ')})"
        errors.add_row(text, number(rows[f"rmse_{name}"]["value"]))
    out.print(errors)
    shares = grid(["predictive intervals"])
    shares.add_column("inside, %", justify="right", no_wrap=True)
    shares.add_column("standard error", justify="right", no_wrap=True)
    for name, row in rows.items():
        if name.startswith("coverage"):
            level = f"{100 * row['expected']:g} %"
            shares.add_row(level, f"{100 * row['value']:.1f}", f"{100 * row['se']:.1f}")
    out.print(shares)


def _next_title(questions: Mapping[str, Any]) -> str:
    """What is predicted of every unit."""
    if (trials := questions.get("next_trials")) is not None:
        return f"Successes in the next {trials:,} trials"
    if (exposure := questions.get("next_exposure")) is not None:
        return f"Events in the next exposure of {quantity(exposure)}"
    return f"The next measurement, with standard error {quantity(questions['next_error'])}"


def _print(
    out: Console, title: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> None:
    out.print(f"\n{title}", style="bold")
    table = grid(["label"])
    for name in names:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for row in rows[:_SHOWN]:
        cells = (_cell(row[name], name in _DATA) for name in names)
        table.add_row(printable(str(row["label"])), *cells)
    if rows:
        out.print(table)
    if len(rows) > _SHOWN:
        out.print(f"... and {len(rows) - _SHOWN:,} more", style="dim")


def _cell(value: Any, is_data: bool) -> str:
    whole = isinstance(value, int | np.integer)
    return quantity(value) if is_data or whole else number(value)
