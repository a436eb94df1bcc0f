"""Rank heat map: shares of draws in every cell."""

import jax
import numpy as np
import pytest
from figure_fits import point_fit

import hierjax as hj
from hierjax.plots import rank_heat_map
from hierjax.plots.rank_map import _shares
from hierjax.plots.style import new_panels

KEY = jax.random.key(5)


def cells(ax):
    return np.asarray(ax.collections[0].get_array()).reshape(
        ax.collections[0].get_coordinates().shape[0] - 1, -1
    )


def test_cells_are_the_probabilities_of_ranks_in_order():
    counts = hj.Counts([3, 12, 7], [30, 30, 30], ["low", "$high$", "middle"])
    fit = point_fit(counts)
    (ax,) = new_panels(1, 1, 6, 4)[0]
    assert rank_heat_map(fit, ax, key=KEY, draws=500) is ax
    probabilities = fit.rank_probabilities(key=KEY, draws=500)
    order = [1, 2, 0]
    assert np.allclose(cells(ax), probabilities[order], atol=1e-12)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["$high$", "middle", "low"]
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words[0] == "expected rank"
    assert words[1].startswith("probability 0.")
    expected = probabilities @ np.arange(1, 4)
    assert np.allclose(ax.lines[0].get_xdata(), expected[order])
    top, bottom = ax.get_ylim()
    assert top > bottom, "the highest is on top"
    ax.figure.savefig("/dev/null", format="png")


def test_groups_hold_what_single_ranks_hold():
    rng = np.random.default_rng(0)
    ranks = np.argsort(rng.normal(size=(40, 155)), axis=1) + 1
    edges = np.linspace(0, 155, 51).round().astype(int)
    single = _shares(ranks, np.arange(156))
    grouped = np.add.reduceat(np.add.reduceat(single, edges[:-1], 0), edges[:-1], 1)
    width = np.diff(edges)
    # Units of a group are averaged; groups of ranks are brought to their average width.
    expected = grouped / width[:, None] / (width / width.mean())
    assert np.allclose(_shares(ranks, edges), expected)


def test_many_units_are_drawn_in_groups_and_equal_ones_are_even():
    counts = hj.Counts([5] * 3000, [20] * 3000)
    ax = rank_heat_map(point_fit(counts), key=KEY, draws=60)
    shares = cells(ax)
    assert shares.shape == (50, 50)
    # Order by expected rank finds some even in noise; nothing is twice as likely as any other.
    assert shares.max() < 0.06
    assert ax.get_ylabel() == "3,000 units in order of expected rank"


def test_a_key_is_needed(exact):
    with pytest.raises(TypeError, match="key"):
        rank_heat_map(exact, key=3)
