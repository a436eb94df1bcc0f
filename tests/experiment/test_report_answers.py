# ruff: noqa: RUF001 -- readers are shown true minus signs
"""The report's answers to questions: what the tables say, rounded, and nothing unescaped."""

import dataclasses

import numpy as np
import pytest
from figure_fits import point_fit, record

import hierjax as hj
from hierjax.experiment.report import render
from hierjax.experiment.report_answers import checks, questions

NASTY = "<b>&control"


@pytest.fixture(scope="module")
def run():
    counts = hj.Counts([3, 9, 40], [20, 30, 50], ["a", "b", NASTY])
    given = {"label": counts.labels, "successes": counts.successes, "trials": counts.trials}
    answers = {
        "exceedance": hj.Table(
            {
                **given,
                "threshold": [0.2] * 3,
                "probability_above": [0.2, 0.97, 0.999],
                "pep": [0.8, 0.03, 0.001],
                "q_value": [0.277, 0.0155, 0.001],
                "selected": [False, True, True],
            }
        ),
        "ranks": hj.Table(
            {
                **given,
                "expected_rank": [2.95, 2.04, 1.01],
                "low": [2, 2, 1],
                "high": [3, 3, 1],
                "p_best": [0.0, 0.004, 0.996],
                "p_top_k": [0.06, 0.94, 1.0],
                "in_top_k": [False, True, True],
            }
        ),
        "contrasts": hj.Table(
            {
                "label": ["a", "b"],
                "control": [NASTY, NASTY],
                "p_greater": [0.001, 0.2],
                "difference_mean": [-0.6123, -0.1234],
                "difference_low": [-0.7, -0.3],
                "difference_high": [-0.5, 0.1],
                "ratio_low": [0.1, 0.5],
                "ratio_high": [0.4, 1.2],
                "expected_loss": [0.6, 0.13],
            }
        ),
        "next_counts": hj.Table(
            {
                **given,
                "new_trials": [10] * 3,
                "mean": [1.51, 3.02, 7.88],
                "sd": [1.2, 1.5, 1.4],
                "low": [0.0, 1.0, 5.0],
                "median": [1.0, 3.0, 8.0],
                "high": [4.0, 6.0, 10.0],
            }
        ),
        "checks": hj.Table(
            {
                "check": ["zeros", "likelihood_ratio_of_complete_pooling"],
                "observed": [0.0, 12.346],
                "mean": [0.5, np.nan],
                "low": [0.0, np.nan],
                "high": [2.0, np.nan],
                "tail_probability": [0.8, 0.0002],
                "mcse": [0.01, np.nan],
            }
        ),
    }
    asked = {"above": 0.2, "fdr": 0.05, "top": 2, "control": NASTY, "next_trials": 10}
    config = {"name": "asked", "seed": 7, "questions": asked}
    fits = {"type2_mle": point_fit(counts)}
    return record(counts, fits, config=config, answered_by="type2_mle", **answers)


def test_lists_hold_what_was_selected_the_surest_first(run):
    part = questions(run)[0]
    assert part.title == "Which units are above 0.2?"
    assert part.text.startswith("2 of 3 units are listed, of which 0.03 are expected not to be")
    assert "more than 5% of such units" in part.text
    assert part.rows == [
        [NASTY, "40", "50", "0.999", "0.001"],
        ["b", "9", "30", "0.970", "0.015"],
    ]


def test_the_top_is_in_order_with_its_expected_members(run):
    part = questions(run)[1]
    assert "; 1.9 of them are expected to" in part.text
    assert [row[0] for row in part.rows] == [NASTY, "b"]
    assert part.rows[0] == [NASTY, "40", "50", "1.0", "1", "1", "0.996", "1.000"]


def test_contrasts_are_counted_and_in_order(run):
    part = questions(run)[2]
    assert "0 have a higher rate" in part.text
    assert "and 1 a lower one" in part.text
    assert part.rows == [
        ["b", "0.200", "−0.123", "−0.300", "0.100", "0.50", "1.20"],
        ["a", "0.001", "−0.612", "−0.700", "−0.500", "0.10", "0.40"],
    ]


def test_next_counts_begin_with_the_most(run):
    part = questions(run)[3]
    assert part.title == "What will the next 10 trials bring?"
    assert part.rows[0] == [NASTY, "40", "50", "7.9", "1.4", "5", "8", "10"]


def test_checks_leave_what_does_not_exist_empty(run):
    assert checks(run) == [
        ["Units without a success", "0.00", "0.50", "0.00", "2.00", "0.800"],
        ["Likelihood ratio of complete pooling", "12.35", "—", "—", "—", "<0.001"],
    ]


def test_the_page_has_a_section_of_them_only_where_asked(run):
    page = render(run, {"contrasts": b"\x89PNG", "exceedance": b"\x89PNG"})
    assert page.index('id="questions"') < page.index("Which units are above 0.2?")
    assert page.count("<img") == 2
    assert page.index('id="figure-exceedance"') < page.index("Which units are the top 2?")
    assert NASTY not in page
    assert "&lt;b&gt;&amp;control" in page
    assert "Likelihood ratio of complete pooling" in page
    names = ("exceedance", "ranks", "contrasts", "next_counts", "checks")
    nothing = dataclasses.replace(run, **dict.fromkeys(names))
    page = render(nothing, {})
    assert "questions" not in page.split("<details>")[0]
    assert "Tail probability" not in page


def test_long_lists_are_cut_and_say_where_the_rest_is(run):
    size = 100
    table = hj.Table(
        {
            "label": [f"u{i}" for i in range(size)],
            "successes": np.arange(size),
            "trials": np.full(size, 200),
            "threshold": np.full(size, 0.2),
            "probability_above": np.full(size, 0.99),
            "pep": np.full(size, 0.01),
            "q_value": np.full(size, 0.01),
            "selected": np.full(size, True),
        }
    )
    part = questions(dataclasses.replace(run, exceedance=table))[0]
    assert len(part.rows) == 25
    assert part.note.endswith("75 more are in exceedance.csv.")
