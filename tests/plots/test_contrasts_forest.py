"""Contrasts forest: differences in order, and which exclude zero."""

from itertools import pairwise

import numpy as np
import pytest
from figure_fits import point_fit
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.text import Text

import hierjax as hj
from hierjax.plots import contrasts_forest
from hierjax.plots.contrasts import probability
from hierjax.plots.style import MUTED, new_panels


def made(means, half, control="$c$", labels=None):
    means = np.asarray(means, float)
    size = len(means)
    return hj.Table(
        {
            "label": labels or [f"u{i}" for i in range(size)],
            "control": [control] * size if isinstance(control, str) else control,
            "p_greater": 1 / (1 + np.exp(-4 * means / half)),
            "difference_mean": means,
            "difference_low": means - half,
            "difference_high": means + half,
        }
    )


@pytest.fixture(scope="module")
def two():
    return point_fit(hj.Counts([3, 9], [20, 30]))


def test_rows_are_the_intervals_in_order_with_probabilities(two):
    table = made([0.3, -0.25, 0.05], 0.1)
    (ax,) = new_panels(1, 1, 6, 4)[0]
    assert contrasts_forest(two, ax, table=table) is ax
    sure, unsure = (
        np.array([segment[:, 0] for segment in each.get_segments()]) for each in ax.collections
    )
    assert np.allclose(sure, [[-0.35, -0.15], [0.2, 0.4]])
    assert np.allclose(unsure, [[-0.05, 0.15]])
    assert same_color(ax.collections[1].get_color()[0][:3], MUTED)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["u1", "u2", "u0"]
    order = [1, 2, 0]
    shown = [probability(p) for p in table["p_greater"][order]]
    assert [text.get_text() for text in ax.texts] == [*shown, "P(greater)"]
    assert ax.get_xlabel() == "rate less that of $c$"
    ax.figure.savefig("/dev/null", format="png")


def test_pairs_are_named_by_both(two):
    ax = contrasts_forest(two, table=made([0.1, 0.2], 0.3, ["b", "c"], ["a", "a"]))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a − b", "a − c"]  # noqa: RUF001
    assert ax.get_xlabel() == "difference of rates"


def test_of_many_differences_the_telling_are_named_and_very_many_are_a_band(two):
    rng = np.random.default_rng(0)
    means = rng.normal(0, 0.1, 500)
    some = contrasts_forest(two, table=made(means, 0.1))
    order = np.argsort(means)
    clear = [
        np.argmin(np.where(means > 0.1, means, np.inf)),
        np.argmax(np.where(means < -0.1, means, -np.inf)),
    ]
    expected = {*order[:3], *order[-3:], np.argmin(np.abs(means)), *clear}
    assert {text.get_text() for text in some.texts} == {f"u{i}" for i in expected}
    assert len(some.texts) == 9
    assert sum(len(each.get_segments()) for each in some.collections) == 500
    means = rng.normal(0, 0.1, 9_999)
    ax = contrasts_forest(two, table=made(means, 0.1))
    wide = ax.collections[0].get_paths()[0].vertices[:, 0]
    assert wide.min() == pytest.approx(means.min() - 0.1)
    assert wide.max() == pytest.approx(means.max() + 0.1)
    assert ax.get_ylabel() == "9,999 units in order of the difference"


def test_the_fit_is_asked_where_there_is_no_table(two):
    ax = contrasts_forest(two, control="1", level=0.5)
    table = two.contrasts(control="1", level=0.5)
    drawn = [each.get_segments() for each in ax.collections if len(each.get_segments())]
    assert drawn[0][0][:, 0].tolist() == [table["difference_low"][0], table["difference_high"][0]]


def test_probabilities_are_never_certain_by_rounding():
    assert [probability(p) for p in (0.0, 1.0, 0.9996, 0.0004, 0.9994)] == [
        "0.000", "1.000", ">0.999", "<0.001", ">0.999",
    ]  # fmt: skip


@pytest.mark.parametrize("size", [12, 70])
def test_all_text_is_inside_a_figure_without_layout_and_apart(two, size):
    ax = Figure(figsize=(7, 5)).subplots()
    labels = [f"a county of name {i}" for i in range(size)]
    contrasts_forest(two, ax, table=made(np.linspace(-0.3, 0.2, size), 0.1, labels=labels))
    ax.figure.draw_without_rendering()
    # Of the text alone: that of an annotation holds its leading line too.
    written = [Text.get_window_extent(text) for text in [*ax.texts, *ax.get_yticklabels()]]
    assert len(written) >= 8
    width, height = ax.figure.bbox.size
    assert all(box.x0 >= 0 and box.x1 <= width and box.y1 <= height for box in written)
    boxes = sorted(written[: len(ax.texts)], key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    # None on the frame's right edge.
    edge = ax.get_window_extent().x1
    assert all(box.x1 < edge or box.x0 > edge for box in written)
