"""The report's answers to what was asked of the units, and its checks: rows of rounded text."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from hierjax.checks import Forecast
from hierjax.experiment.per import per_of
from hierjax.experiment.record import RunRecord
from hierjax.experiment.report_tables import unit_cells, unit_columns
from hierjax.experiment.rounding import common_decimals, decimals_for, number
from hierjax.families import FAMILIES
from hierjax.families.unit_words import UnitWords, per_text
from hierjax.plots.contrasts import probability
from hierjax.table import Table

__all__ = ["Part", "checks", "questions"]

_MOST_ROWS = 25
PREDICTIONS = {
    "partial_pooling": "Shrunken rates (partial pooling)",
    "no_pooling": "Raw rates (no pooling)",
    "complete_pooling": "One rate for all (complete pooling)",
}
_CHECKS = {
    "zeros": "Units without {}",
    "largest_rate": "Largest raw rate",
    "variance_of_rates": "Variance of raw rates",
    "smallest": "Smallest measurement",
    "largest": "Largest measurement",
    "variance": "Variance of measurements",
    "likelihood_ratio_of_complete_pooling": "Likelihood ratio of complete pooling",
}


class Part(NamedTuple):
    """A question with its answer.

    Attributes:
        title: What was asked.
        text: The answer in a sentence.
        columns: Headings of the table.
        rows: Its rows, of which there may be none.
        note: What else a reader should know.
        figure: Names of the figures that show it, if there are any, with blanks between.
    """

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]
    note: str
    figure: str = ""


def questions(run: RunRecord) -> list[Part]:
    """What was asked of the units, in the order of the files.

    Args:
        run: What the run found.

    Returns:
        The questions that have an answer.
    """
    makers: dict[str, Callable[[RunRecord, Any], Part]] = {
        "exceedance": _exceedance,
        "ranks": _ranks,
        "contrasts": _contrasts,
        "next_counts": _next_counts,
        "later": _later,
    }
    tables = ((make, getattr(run, name)) for name, make in makers.items())
    return [make(run, table) for make, table in tables if table is not None]


def _words(run: RunRecord) -> UnitWords:
    return FAMILIES[run.counts.family].unit_words


def _left_out(rows: list[dict[str, Any]], file: str) -> str:
    more = f"{len(rows) - _MOST_ROWS:,} more" if len(rows) > _MOST_ROWS else "All units"
    return f"{more} are in {file}."


def _ends(run: RunRecord) -> tuple[str, str]:
    return f"{50 * (1 - run.level):.4g}%", f"{50 * (1 + run.level):.4g}%"


def _exceedance(run: RunRecord, table: Table) -> Part:
    asked = run.config["questions"]
    rows = sorted((row for row in table.rows() if row["selected"]), key=lambda row: row["pep"])
    per = per_of(run)
    cut = f"{asked['above'] * (per or 1.0):g}{per_text(per)}"
    wrong = sum(row["pep"] for row in rows)
    text = (
        f"{len(rows):,} of {len(table):,} units are listed, of which {number(wrong, 2)} are "
        f"expected not to be above {cut}. A longer list would be expected to have "
        f"more than {100 * asked['fdr']:g}% of such units."
    )
    cells = [
        [*unit_cells(run, row), probability(row["probability_above"]), probability(row["q_value"])]
        for row in rows[:_MOST_ROWS]
    ]
    columns = [*unit_columns(run), "P(above)", "Wrong up to it"]
    title = f"Which units are above {cut}?"
    note = "The last column is the expected share of wrong units in the list up to there (q-value)."
    return Part(title, text, columns, cells, f"{note} {_left_out(rows, 'exceedance.csv')}",
                "exceedance")  # fmt: skip


def _ranks(run: RunRecord, table: Table) -> Part:
    top = run.config["questions"]["top"]
    chosen = [row for row in table.rows() if row["in_top_k"]]
    rows = sorted(chosen, key=lambda row: row["expected_rank"])
    members = sum(row["p_top_k"] for row in rows)
    text = (
        f"These {len(rows):,} units are the likeliest to have the {top:,} highest "
        f"{_words(run).parameter}s; "
        f"{number(members, 1)} of them are expected to."
    )
    places = (("expected_rank", 1), ("low", 0), ("high", 0))
    cells = [
        [
            *unit_cells(run, row),
            *(number(row[key], decimals) for key, decimals in places),
            *(probability(row[key]) for key in ("p_best", "p_top_k")),
        ]
        for row in rows[:_MOST_ROWS]
    ]
    columns = [*unit_columns(run), "Expected rank", *_ends(run), "P(best)", "P(top)"]
    note = (
        f"Rank 1 is the highest {_words(run).parameter}. Ranks of all units are in ranks.csv, "
        f"{len(table):,} in all."
    )
    return Part(f"Which units are the top {top:,}?", text, columns, cells, note, "extremes ranks")


def _contrasts(run: RunRecord, table: Table) -> Part:
    control = run.config["questions"]["control"]
    greater = np.asarray(table["p_greater"])
    text = (
        f"Of {len(table):,} units, {int(np.sum(greater > 0.95)):,} have a higher "
        f"{_words(run).parameter} than "
        f"{control} with a probability above 95%, and {int(np.sum(greater < 0.05)):,} a lower one."
    )
    rows = sorted(table.rows(), key=lambda row: -abs(row["p_greater"] - 0.5))[:_MOST_ROWS]
    rows.sort(key=lambda row: -row["difference_mean"])
    names = ("difference_mean", "difference_low", "difference_high")
    # Effects of either sign have no ratios.
    ratios = [name for name in ("ratio_low", "ratio_high") if name in table]
    widths = (0.3 * (row["difference_high"] - row["difference_low"]) for row in rows)
    places = common_decimals(widths)
    cells = [
        [str(row["label"]), probability(row["p_greater"])]
        + [number(row[name], places) for name in names]
        + [number(row[name], 2) for name in ratios]
        for row in rows
    ]
    low, high = _ends(run)
    difference = f"Difference{per_text(per_of(run))}"
    columns = ["Unit", "P(greater)", difference, low, high]
    columns += [f"Ratio, {low}", high] if ratios else []
    note = "The most certain comparisons. " if len(table) > _MOST_ROWS else ""
    note += f"The expected loss of choosing a unit over {control} is in contrasts.csv."
    return Part(f"How do units compare with {control}?", text, columns, cells, note, "contrasts")


def _next_counts(run: RunRecord, table: Table) -> Part:
    asked = run.config["questions"]
    size = next(
        asked[key] for key in ("next_trials", "next_exposure", "next_error") if asked.get(key)
    )
    is_real, words = FAMILIES[run.counts.family].support == "reals", _words(run)
    rows = sorted(table.rows(), key=lambda row: -row["mean"])
    ends = 1 if is_real else 0
    keys = (("mean", 1), ("sd", 1), ("low", ends), ("median", ends), ("high", ends))
    cells = [
        [*unit_cells(run, row), *(number(row[key], places) for key, places in keys)]
        for row in rows[:_MOST_ROWS]
    ]
    low, high = _ends(run)
    headings = [*unit_columns(run), "Mean", "SD", low, "Median", high]
    text = (
        f"{words.next_value.format(size)} of each unit, with the chance of the {words.chance} "
        f"{'itself' if words.chance != 'trials' else 'themselves'}."
    )
    title = words.next_title.format(size)
    return Part(title, text, headings, cells, _left_out(rows, "predictions.csv"))


def _later(run: RunRecord, found: Forecast) -> Part:
    rows = {row["quantity"]: row for row in found.scores.rows()}
    errors = {name: rows[f"rmse_{name}"]["value"] for name in PREDICTIONS}
    places = decimals_for(min(errors.values()))
    best = min(errors, key=errors.__getitem__)
    text = (
        "The model was fitted to the earlier data alone. "
        f"{PREDICTIONS[best]} predict the units' later values best: their root mean squared error "
        f"is {number(errors[best], places)}. Intervals of "
        f"partial pooling that are to hold 90% of later values hold "
        f"{100 * rows['coverage_90']['value']:.1f}%."
    )
    cells = [
        [PREDICTIONS.get(name.removeprefix("rmse_"), name), number(row["value"], places), "", ""]
        for name, row in rows.items()
        if name.startswith("rmse")
    ]
    lean = rows["mean_error"]
    cells.append(
        ["Mean of later value less prediction"]
        + [number(lean[key], places) for key in ("value", "expected", "se")]
    )
    for name, row in rows.items():
        if name.startswith("coverage"):
            shares = [100 * row[key] for key in ("value", "expected", "se")]
            level = name.removeprefix("coverage_")
            cells.append([f"Share inside {level}% intervals, %", *(number(x, 1) for x in shares)])
    note = (
        "Errors are in the unit of the values. Where a count lies on an interval's edge, the share "
        "of it that is inside counts, so that calibrated intervals hold their nominal share "
        "however coarse the counts. The standard error is that of independent units. Every unit's "
        "predictions are in later_units.csv."
    )
    columns = ["Score", "Found", "Expected", "Standard error"]
    title = "How well is the later period predicted?"
    return Part(title, text, columns, cells, note, "later")


def checks(run: RunRecord) -> list[list[str]]:
    """Posterior predictive checks, and the likelihood ratio of complete pooling.

    Args:
        run: What the run found.

    Returns:
        One row a check: what, observed, mean, low, high, tail probability.
    """
    rows = [] if run.checks is None else run.checks.rows()
    return list(_check_rows(rows, _words(run).one, per_text(per_of(run))))


def _check_rows(rows: Iterable[dict[str, Any]], one: str, per: str) -> Iterator[list[str]]:
    for row in rows:
        width = 0.3 * (row["high"] - row["low"])
        places = common_decimals([width], 2) if width > 0 else 2
        names = ("observed", "mean", "low", "high")
        yield [
            _CHECKS.get(row["check"], str(row["check"])).format(one)
            + (per if "rate" in row["check"].removeprefix("likelihood_ratio") else ""),
            *(number(row[name], places) for name in names),
            probability(row["tail_probability"]),
        ]
