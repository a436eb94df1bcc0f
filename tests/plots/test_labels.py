"""Labels: short, apart, and never on one another."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.text import Text

from hierjax.plots.labels import beside_points, beside_rows, named_rows, positions_of, spread_apart
from hierjax.plots.style import new_axes


@pytest.mark.parametrize("wanted", [[5.0], [5.0, 5.0, 5.0], [0.0, 0.1, 9.9, 10.0], [9.8, 9.9, 10]])
def test_positions_are_apart_inside_and_in_order(wanted):
    found = spread_apart(np.array(wanted, float), 1.0, 0.0, 10.0)
    assert (np.diff(found) >= 1.0 - 1e-12).all()
    assert found.min() >= 0
    assert found.max() <= 10


def test_positions_far_apart_stay_and_near_ones_move_by_as_much_each():
    found = spread_apart(np.array([1.0, 4.0, 4.2, 9.0]), 1.0, 0.0, 10.0)
    assert np.allclose(found, [1.0, 3.6, 4.6, 9.0])


def test_without_room_the_gap_shrinks():
    found = spread_apart(np.full(11, 3.0), 5.0, 0.0, 10.0)
    assert np.allclose(found, np.arange(11))
    assert len(spread_apart(np.empty(0), 1.0, 0.0, 1.0)) == 0


def test_unknown_labels_are_refused_with_the_nearest():
    labels = np.array(["north", "south", "north"])
    assert positions_of(labels, ["north"]).tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"found 'nort'.*north"):
        positions_of(labels, ["nort"])


def test_rows_are_named_without_formulas():
    ax = new_axes(None)
    named_rows(ax, np.array(["$a$", "b" * 40]))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["$a$", "b" * 12 + "…" + "b" * 5]
    ax.figure.savefig("/dev/null", format="png")


def test_labels_beside_rows_do_not_touch():
    ax = new_axes(None)
    ax.set(xlim=(0, 1), ylim=(0, 3000))
    written = beside_rows(ax, np.array([10.0, 11, 12, 2999]), np.full(4, 0.5), list("abcd"))
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()
    # Of the text alone: that of an annotation holds its leading line too.
    boxes = [Text.get_window_extent(text) for text in written]
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))


def test_labels_that_would_cover_another_are_left_out():
    ax = new_axes(None)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    points = np.array([[0.5, 0.5]] * 12 + [[0.1, 0.1]])
    written = beside_points(ax, points, ["a long name"] * 13, points)
    assert written[0]
    assert written[-1]
    assert 1 < written.sum() < 13
    assert len(ax.texts) == written.sum()
