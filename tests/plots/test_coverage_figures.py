"""Figures of coverage studies: every number is where it says, at few methods and at many."""

import numpy as np
import pytest
from figure_fits import point_fit
from matplotlib.colors import same_color

from hierjax.plots.coverage import (
    by_setting,
    by_size,
    coverage_by_method,
    hyper_coverage,
    relative_rmse,
    top_recovery,
)
from hierjax.plots.coverage_marks import Marks, limits
from hierjax.plots.style import method_color, method_styles, new_panels, styles_of
from hierjax.table import Table

NAMES = ["type2_mle", "corrected", "quadrature", "no_pooling", "complete_pooling"]
KINDS = {"corrected": "type2_mle"}
COVERAGE = {
    "type2_mle": 0.85,
    "corrected": 0.89,
    "quadrature": 0.9,
    "no_pooling": 0.91,
    "complete_pooling": 0.11,
}


def unit_rows(shift=0.0, names=NAMES):
    count = len(names)
    return Table(
        {
            "method": names,
            "level": [0.9] * count,
            "coverage": [COVERAGE.get(name, 0.895) + shift for name in names],
            "coverage_mcse": [0.002] * count,
            "length": 0.16 + 0.01 * np.arange(count),
            "rmse_over_raw": 0.7 + 0.1 * np.arange(count),
            "rmse_over_raw_mcse": [0.003] * count,
            "rmse_over_pooled": 0.6 + 0.1 * np.arange(count),
            "rmse_over_pooled_mcse": [np.nan] * count,
        }
    )


def points(ax):
    """Where markers are, in the order in which they were drawn."""
    found = [line for line in ax.lines if line.get_marker() not in ("None", "", "|")]
    return np.array([np.array(line.get_data(), float).T for line in found if len(line.get_xdata())])


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def names_of_rows(ax):
    return [text.get_text() for text in ax.get_yticklabels()][::-1]


def test_methods_are_rows_at_their_coverage():
    (ax,) = new_panels(1, 1, 6, 4)[0]
    table = unit_rows()
    assert coverage_by_method(table, ax, methods=KINDS) is ax
    at = points(ax)[:, 0]
    assert np.allclose(at[:, 0], table["coverage"][:4])
    assert at[:, 1].tolist() == [4, 3, 2, 1]
    assert names_of_rows(ax) == [
        "Type-2 MLE",
        "corrected",
        "Quadrature",
        "No pooling",
        "Complete pooling",
    ]
    texts = [text.get_text() for text in ax.texts]
    assert texts[0] == "◂ 11%"
    assert ax.texts[0].xy == (0.0, 0)
    assert texts[1:] == ["0.16", "0.17", "0.18", "0.19", "0.2", "mean length"]
    # 95% of the simulation's error, to either side.
    reach = ax.collections[0].get_segments()[0][:, 0]
    assert np.allclose(reach, 0.85 + 1.96 * 0.002 * np.array([-1, 1]))
    assert [line.get_xdata()[0] for line in ax.lines if line.get_color() == "#222222"] == [0.9]


def test_one_method_alone_is_drawn():
    ax = coverage_by_method(unit_rows(names=["quadrature"]))
    assert np.allclose(points(ax), [[[0.9, 0]]])
    ax.figure.savefig("/dev/null", format="png")


def test_errors_are_relative_to_both_simple_estimates():
    table = unit_rows()
    ax = relative_rmse(table, methods=KINDS)
    at = points(ax)[:, 0]
    assert np.allclose(at[:5, 0], table["rmse_over_raw"])
    assert np.allclose(at[5:, 0], table["rmse_over_pooled"])
    assert np.array_equal(at[:, 1].round(), [4, 3, 2, 1, 0] * 2)
    assert legend(ax) == ["relative to raw rates", "relative to the pooled rate"]


def size_rows():
    names, low, high = ["quadrature", "complete_pooling"], [1, 10, 90], [9, 89, 400]
    return Table(
        {
            "method": np.repeat(names, 3),
            "trials_low": low * 2,
            "trials_high": high * 2,
            "level": [0.9] * 6,
            "coverage": [0.89, 0.9, 0.91, 0.1, 0.11, 0.14],
            "coverage_mcse": [0.001] * 6,
            "length": [0.3, 0.2, 0.1, 0.02, 0.02, 0.02],
            "rmse": [0.1, 0.07, 0.03, 0.09, 0.09, 0.09],
        }
    )


def test_coverage_by_size_of_unit():
    ax = by_size(size_rows())
    (found,) = points(ax)
    assert np.allclose(found[:, 1], [0.89, 0.9, 0.91])
    # Moved apart by a part of the distance between sizes.
    assert np.abs(np.log(found[:, 0]) - np.log([3, np.sqrt(890), np.sqrt(36000)])).max() < 0.5
    assert ax.get_xscale() == "log"
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names == ["1\N{EN DASH}9", "10\N{EN DASH}89", "90\N{EN DASH}400"]
    assert legend(ax) == ["Quadrature", "Complete pooling (10 to 14%, not shown)"]
    assert np.allclose(ax.lines[0].get_ydata(), 0.9)


@pytest.mark.parametrize("value", ["length", "rmse"])
def test_other_numbers_by_size_of_unit(value):
    table = size_rows()
    ax = by_size(table, value=value)
    assert np.allclose([found[:, 1] for found in points(ax)], table[value].reshape(2, 3))
    low, high = ax.get_ylim()
    assert low < table[value].min() < table[value].max() < high


def hyper_rows():
    names, parameters = ["type2_mle", "quadrature"], ["mean", "concentration", "alpha"]
    return Table(
        {
            "method": np.repeat(names, 3),
            "parameter": parameters * 2,
            "level": [0.9] * 6,
            "coverage": [0.85, 0.86, np.nan, 0.9, 0.91, np.nan],
            "coverage_mcse": [0.005] * 6,
        }
    )


def test_hyperparameters_are_groups_of_rows():
    ax = hyper_coverage(hyper_rows())
    at = points(ax)[:, 0]
    assert np.allclose(at[:, 0], [0.85, 0.86, 0.9, 0.91])
    assert np.array_equal(at[:, 1].round(), [1, 0, 1, 0])
    assert names_of_rows(ax) == ["mean", "concentration"]
    assert legend(ax) == ["Type-2 MLE", "Quadrature"]
    with pytest.raises(ValueError, match="expected intervals of alpha, found none"):
        hyper_coverage(hyper_rows(), parameters=["alpha"])


def test_highest_rates_found_and_those_found_by_chance():
    table = Table(
        {
            "method": ["quadrature"] * 2 + ["no_pooling"] * 2,
            "k": [1, 5] * 2,
            "recovered": [0.4, 0.5, 0.35, 0.45],
            "recovered_mcse": [0.01] * 4,
            "by_chance": [0.05, 0.25] * 2,
        }
    )
    ax = top_recovery(table)
    assert np.allclose(points(ax)[:, 0, 0], [0.4, 0.5, 0.35, 0.45])
    assert names_of_rows(ax) == ["highest", "5 highest"]
    ticks = ax.collections[-1].get_segments()
    assert [tick[0, 0] for tick in ticks] == [0.05, 0.25]
    assert [round(tick[:, 1].mean()) for tick in ticks] == [1, 0]
    assert legend(ax) == ["Quadrature", "No pooling", "by chance"]


def settings(column, values):
    shifts = np.linspace(-0.03, 0.0, len(values))
    return Table.stack(
        [
            unit_rows(shift).with_columns(**{column: value})
            for shift, value in zip(shifts, values, strict=True)
        ]
    )


def test_settings_that_are_numbers_are_an_axis():
    table = settings("units", [1000, 5, 70])
    ax = by_setting(table, methods=KINDS)
    found = points(ax)
    assert len(found) == 4
    for name, line in zip(NAMES, found, strict=False):
        rows = table["method"] == name
        order = np.argsort(table["units"][rows])
        assert np.allclose(line[:, 1], table["coverage"][rows][order])
        assert np.abs(np.log(line[:, 0] / [5, 70, 1000])).max() < 0.5
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["5", "70", "1,000"]
    assert legend(ax)[-1] == "Complete pooling (8 to 11%, not shown)"


def test_settings_that_are_names_are_groups_of_rows():
    table = settings("population", ["beta", "two clusters"])
    ax = by_setting(table, setting="population", value="rmse_over_raw", methods=KINDS)
    assert names_of_rows(ax) == ["beta", "two clusters"]
    assert np.allclose(points(ax)[:, 0, 0], np.repeat(table["rmse_over_raw"][:5], 2))
    assert ax.get_xlabel() == "RMSE over that of raw rates"


def test_columns_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"column: expected one of method, .*, found 'mode'"):
        by_size(size_rows(), value="mode")
    with pytest.raises(ValueError, match="found 'population'"):
        by_setting(unit_rows(), setting="population")


@pytest.mark.parametrize("methods", [2, 12])
@pytest.mark.parametrize("places", [1, 8])
def test_few_and_many_are_drawn_within_their_figures(methods, places):
    long = [f"a method of a long name, {i}" for i in range(9)]
    names = ["quadrature", *long, *NAMES[-2:]][:methods]
    units = [5, 10, 20, 50, 100, 200, 500, 1000][:places]
    table = Table.stack([unit_rows(names=names).with_columns(units=j) for j in units])
    ax = by_setting(table)
    figure = ax.figure
    figure.savefig("/dev/null", format="png", dpi=figure.dpi)
    box = ax.get_legend().get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1
    named = Table({**table, "units": [f"{j:,} units" for j in table["units"]]})
    ax = by_setting(named)
    ax.figure.savefig("/dev/null", format="png", dpi=ax.figure.dpi)
    if places > 1:
        assert ax.get_legend().get_window_extent().x1 <= ax.figure.bbox.x1
    at = points(ax)[:, 0, 1]
    # No two methods share a row.
    assert np.diff(np.sort(at)).min() > 0.02


def test_baselines_far_away_do_not_squeeze_the_others():
    styles = styles_of({name: KINDS.get(name, name) for name in NAMES})
    values = np.array([[COVERAGE[name]] for name in NAMES])
    marks = Marks(NAMES, values, np.full((5, 1), 0.001), styles)
    low, high = limits(marks, 0.9)
    assert 0.8 < low < 0.85
    assert 0.91 < high < 0.95
    # Where there is nothing else, they are what is shown.
    alone = Marks(NAMES[3:], values[3:], np.full((2, 1), np.nan), styles)
    low, high = limits(alone)
    assert low < 0.11 < 0.91 < high


def test_methods_keep_their_color_under_other_names(rats):
    fits = {"first": point_fit(rats), "second": point_fit(rats), "moments": point_fit(rats)}
    assert styles_of({name: fit.method.name for name, fit in fits.items()}) == method_styles(fits)
    marks = Marks.of(unit_rows(), "coverage", None, kinds=KINDS)
    first, second = (marks.look(name) for name in NAMES[:2])
    assert first["color"] == second["color"] == method_color("type2_mle")
    assert first["marker"] != second["marker"]
    assert same_color(second["markerfacecolor"], "white")
    assert same_color(first["markerfacecolor"], first["color"])
