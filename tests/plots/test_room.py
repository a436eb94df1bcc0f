"""Room beside axes, and text that keeps to it."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from hierjax.plots.room import (
    SMALLEST,
    column_right,
    elided,
    fitted,
    free_beside,
    shortened,
    width_of,
)
from hierjax.plots.style import new_axes


def test_neighbours_and_the_edge_bound_the_room_but_a_layout_does_not():
    figure = Figure(figsize=(10, 4))
    left, right = figure.add_axes((0.1, 0.1, 0.3, 0.8)), figure.add_axes((0.6, 0.1, 0.2, 0.8))
    figure.add_axes((0.45, 0.95, 0.1, 0.04))
    assert np.allclose(free_beside(left), (1.0, 2.0))
    assert np.allclose(free_beside(right), (2.0, 2.0))
    assert free_beside(new_axes(None)) == (np.inf, np.inf)


def test_widths_are_those_that_are_drawn():
    figure = Figure(figsize=(7, 5))
    text = figure.text(0, 0, "Mecklenburg, 44/21,588", fontsize=8.5, family="DejaVu Sans")
    drawn = text.get_window_extent().width / figure.dpi
    # Drawn letters stand on whole pixels.
    assert width_of(text.get_text(), 8.5) == pytest.approx(drawn, rel=0.06)
    assert width_of("a\nlonger", 8.0) == width_of("longer", 8.0)


def test_text_is_made_smaller_before_it_is_shortened():
    names = ["Mecklenburg", "Wake"]
    whole = width_of(names[0], 8.5)
    assert fitted(names, whole, 8.5) == (names, 8.5)
    assert fitted(names, np.inf, 8.5) == (names, 8.5)
    kept, size = fitted(names, 0.9 * whole, 8.5)
    assert kept == names
    assert SMALLEST < size < 8.5
    kept, size = fitted([*names, "Mecklenburg\nWake"], 0.4 * whole, 8.5)
    assert size == SMALLEST
    assert kept[1] == "Wake"
    assert kept[2] == f"{kept[0]}\nWake"
    assert len(kept[0]) < len(names[0])
    assert kept[0] == elided(names[0], len(kept[0]))
    assert width_of(kept[0], size) <= 0.4 * whole
    assert shortened("a", 0.0, 8.5) == "a"


def test_names_that_differ_at_their_ends_stay_apart_when_they_are_cut():
    names = [f"Riverside Medical Centre, ward {ward}" for ward in range(10, 20)]
    for most in (18, 10, 7):
        cut = [elided(name, most) for name in names]
        assert {len(name) for name in cut} == {most}
        assert len(set(cut)) == len(names)
    assert [elided("abc", most) for most in (1, 2, 3)] == ["…", "a…", "abc"]


def test_a_column_without_room_outside_extends_the_axes():
    ax = Figure(figsize=(10, 4)).add_axes((0.1, 0.1, 0.8, 0.8))
    ax.set_xlim(0, 1)
    assert column_right(ax, 0.5).begin > 1
    assert ax.get_xlim() == (0, 1)
    column = column_right(ax, 2.0)
    high = ax.get_xlim()[1]
    assert column.begin * high > 1
    assert (1 - column.begin) * 8 > 2.0
    assert column.inches == pytest.approx(2.0)
    assert column_right(ax, 20.0).begin > 0.5
