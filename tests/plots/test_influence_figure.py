"""Influence figure: the largest changes, equal units in one row, all others below."""

from itertools import pairwise

import numpy as np
import pytest
from figure_fits import point_fit
from matplotlib.figure import Figure

import hierjax as hj
from hierjax.plots import influence
from hierjax.plots.style import new_panels


def made(successes, trials, slopes):
    size = len(successes)
    return hj.Table(
        {
            "label": [f"${i}$" for i in range(size)],
            "successes": successes,
            "trials": trials,
            "logit_mean": np.zeros(size),
            "log_concentration": np.asarray(slopes, float),
        }
    )


@pytest.fixture(scope="module")
def two():
    return point_fit(hj.Counts([3, 9], [20, 30]))


def test_rows_are_changes_when_left_out_the_largest_named(two):
    table = made([0, 0, 5, 7, 9], [20, 20, 20, 20, 20], [-0.3, -0.3, 0.1, 0.2, -0.01])
    (ax,) = new_panels(1, 1, 6, 4)[0]
    assert influence(two, ax, most=3, table=table) is ax
    assert ax.lines[0].get_xdata().tolist() == [-0.2, -0.1, 0.3]
    assert ax.lines[1].get_xdata().tolist() == [0.01]
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "1 other", "$3$, 7/20", "$2$, 5/20", "2 units, each 0/20",
    ]  # fmt: skip
    bars = [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()]
    assert bars == [[0, -0.2], [0, -0.1], [0, 0.3]]
    ax.figure.savefig("/dev/null", format="png")


def test_the_fit_is_asked_where_there_is_no_table(exact, rats):
    table = exact.influence()
    ax = influence(exact, answer="mean", most=70)
    assert ax.get_title(loc="left") == "mean rate"
    distinct = len(np.unique(np.stack([rats.successes, rats.trials]), axis=1).T)
    drawn = ax.lines[0].get_xdata()
    assert len(drawn) == distinct
    assert drawn.max() == (-table["mean"]).max()
    assert (np.diff(drawn) >= 0).all()


def test_many_units(two):
    rng = np.random.default_rng(0)
    trials = np.arange(1, 10_001)
    table = made(trials // 3, trials, rng.normal(size=10_000))
    ax = influence(two, table=table)
    assert ax.get_yticklabels()[0].get_text() == "9,988 others"
    assert len(ax.lines[1].get_xdata()) == 2000


def test_answers_that_do_not_move_stay_at_zero(two):
    ax = influence(two, table=made([3, 9], [20, 30], [np.nan, np.nan]))
    assert not ax.lines[0].get_xdata().any()


def test_unknown_answers_are_refused(two):
    with pytest.raises(ValueError, match=r"expected one of logit_mean, log_conc.* found 'kappa'"):
        influence(two, answer="kappa", table=made([3, 9], [20, 30], [0.1, 0.2]))


@pytest.mark.parametrize("most", [10, 30])
def test_names_fit_a_figure_without_layout_and_keep_their_counts(two, most):
    trials = np.append(np.arange(1_001, 1_041), [1_040] * 6)
    table = made(trials // 3, trials, np.linspace(1, 2, 46) * np.where(trials % 2, 1, -1))
    ax = Figure(figsize=(7, 5)).subplots()
    table = hj.Table({**table, "label": [f"Mecklenburg {i}" for i in range(46)]})
    influence(two, ax, most=most, table=table)
    ax.figure.draw_without_rendering()
    names = ax.get_yticklabels()
    boxes = [name.get_window_extent() for name in names]
    assert all(box.x0 >= 0 for box in boxes)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    texts = [name.get_text() for name in names]
    assert len(texts) == most + 1
    assert all(text.endswith("others") or "/1,0" in text for text in texts)
    assert any("\n" in text for text in texts) == (most == 10)
