"""Figures of three levels: what they show is what the fit says."""

import numpy as np
import pytest
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

import hierjax as hj
from hierjax.levels.typical import prior_of, typical
from hierjax.plots import group_caterpillar, group_plate, group_shrinkage
from hierjax.plots.style import new_panels


def counts(groups, units):
    generator = np.random.default_rng(3)
    names = [f"lab ${g}" for g in range(groups) for _ in range(units)]
    trials = generator.integers(5, 40, groups * units)
    trials[0] = 0
    rate = np.repeat(generator.uniform(0.05, 0.4, groups), units)
    return hj.Counts(generator.binomial(trials, rate), trials, groups=names)


@pytest.fixture(scope="module")
def few():
    return hj.fit_groups(counts(5, 4), method=hj.GroupType2MLE())


@pytest.fixture(scope="module")
def many():
    return hj.fit_groups(counts(70, 5), method=hj.GroupType2MLE())


def test_lines_lead_from_raw_rates_by_estimates_to_means(few):
    axes = new_panels(1, 2, 7, 4)[0]
    left, right = group_shrinkage(few, axes)
    assert (left, right) == tuple(axes)
    units, groups = few.units(), few.groups()
    paths = [line.get_ydata() for line in left.lines if len(line.get_ydata()) == 3]
    known = np.isfinite(units["raw_rate"])
    assert len(paths) == known.sum() == len(units) - 1
    np.testing.assert_array_equal([path[1] for path in paths], units["mean"][known])
    ends = groups["mean"][few.labs.group][known]
    np.testing.assert_array_equal([path[2] for path in paths], ends)
    pairs = [line.get_ydata() for line in right.lines if line.get_marker() == "o"]
    np.testing.assert_array_equal([pair[1] for pair in pairs], groups["mean"])
    low, high = left.get_ylim()
    np.testing.assert_array_equal([pair[0] for pair in pairs], np.clip(groups["raw"], low, high))
    assert (low, high) == right.get_ylim()
    dashed = [line for line in left.lines if len(set(line.get_ydata())) == 1][-1]
    assert dashed.get_ydata()[0] == typical(few)
    left.figure.savefig("/dev/null", format="png")


@pytest.mark.slow
def test_of_very_many_units_some_are_drawn(many):
    left, right = group_shrinkage(many)
    assert sum(len(line.get_ydata()) == 3 for line in left.lines) == 300
    assert sum(line.get_marker() == "o" for line in right.lines) == 70
    left.figure.savefig("/dev/null", format="png")


def test_rows_are_groups_in_order_of_their_means(few):
    (ax,) = new_panels(1, 1, 6, 4)[0]
    assert group_caterpillar(few, ax, level=0.5) is ax
    table = few.groups(0.5)
    order = np.argsort(table["mean"])
    named = [label.get_text() for label in ax.get_yticklabels()]
    assert named == [f"{table['group'][i]} (4)" for i in order]
    points = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_xdata(), table["mean"][order])
    segments = np.array(ax.collections[0].get_segments())[:, :, 0]
    np.testing.assert_array_equal(segments, np.stack([table["low"], table["high"]], 1)[order])
    ax.figure.savefig("/dev/null", format="png")


@pytest.mark.slow
def test_of_many_groups_the_ends_are_named(many):
    ax = group_caterpillar(many)
    assert ax.get_ylabel() == "70 groups in order of their means"
    table = many.groups()
    named = {text.get_text() for text in ax.texts}
    lowest = table["group"][np.argmin(table["mean"])]
    assert len(named) == 6
    assert f"{lowest} (5)" in named


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        hj.Events([1, 2, 5, 6], [20.0] * 4, groups=list("aabb")),
        hj.Measurements([1.0, 2, 5, 6], [1.0] * 4, groups=list("aabb")),
    ],
)
def test_plates_of_other_families(data):
    assert_is_a_plate_in_a_plate(hj.fit_groups(data, method=hj.GroupType2MLE()))


def test_a_plate_of_units_is_inside_a_plate_of_groups(few):
    assert_is_a_plate_in_a_plate(few)


def assert_is_a_plate_in_a_plate(fit):
    ax = group_plate(fit)
    kinds = [type(patch) for patch in ax.patches]
    # mu and tau of both coordinates, u, w, theta and y; n; each mean and spread to its
    # coordinate, both of these to theta, theta to y, n to y.
    assert kinds.count(Circle) == 8
    assert kinds.count(Rectangle) == 1
    assert kinds.count(FancyArrowPatch) == 8
    inner, outer = (
        patch.get_window_extent() for patch in ax.patches[::-1] if type(patch) is FancyBboxPatch
    )
    assert outer.x0 < inner.x0 < inner.x1 < outer.x1
    assert outer.y0 < inner.y0 < inner.y1 < outer.y1
    texts = [text.get_text() for text in ax.texts]
    assert {f"g = 1, …, {len(fit.labs)}", f"j = 1, …, {len(fit.data)}"} <= set(texts)
    assert fit.model.family.diagram.in_group in texts
    scale = prior_of(fit).scales[0]
    assert any(rf"\tau_u \sim \mathrm{{N}}^+(0, {scale:.3g})" in text for text in texts)
    ax.figure.savefig("/dev/null", format="png")
