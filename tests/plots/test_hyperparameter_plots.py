"""Contours of the posterior and the optimizer's path."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from figure_fits import five_fits, point_fit, sampled_fit

import hierjax as hj
from hierjax.plots import contours, optimizer_path
from hierjax.plots.hyperparameters import log_marginal
from hierjax.plots.style import new_panels
from hierjax.plots.surface import Surface, density_levels, evaluate, weighted_quantiles


def lines_drawn(ax):
    """The last set of contour lines, as its levels and their paths."""
    found = ax.collections[-1]
    return found.levels, found.get_paths()


def test_regions_hold_what_they_say(exact):
    ax = contours(exact)
    levels, paths = lines_drawn(ax)
    assert np.all(np.isfinite(levels))
    assert np.all(np.diff(levels) > 0)
    points, weights = exact.posterior.points.reshape(-1, 2), exact.posterior.weights.ravel()
    held = [weights[path.contains_points(points)].sum() for path in paths]
    # Nodes near an edge count wholly or not at all, which moves these by up to a few percent.
    assert held == pytest.approx([0.99, 0.9, 0.5], abs=0.04)


def test_draws_and_point_estimates_are_marked(fits):
    (ax,) = new_panels(1, 1, 6, 5)[0]
    assert contours(fits, ax) is ax
    drawn = [np.stack(each.get_data(), axis=1) for each in ax.lines]
    nuts, gibbs, moments, mle = drawn
    for points, name in ((nuts, "nuts"), (gibbs, "gibbs")):
        draws = {tuple(row) for row in fits[name].draws.reshape(-1, 2).tolist()}
        assert len(points) == 1000
        assert {tuple(row) for row in points.tolist()} <= draws
    assert moments.tolist() == [[-1.85, 2.32]]
    assert mle.tolist() == [[-1.81, 2.796]]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[0] == "exact posterior: 50, 90, 99%"
    assert labels[1:] == ["NUTS, draws", "Gibbs, draws", "Moments", "Type-2 MLE"]


def test_infinite_concentration_is_an_arrow_at_the_edge(rats, exact):
    infinite = point_fit(rats, (-1.8, np.inf))
    ax = contours({"quadrature": exact, "type2_mle": infinite})
    arrow = ax.lines[-1]
    assert arrow.get_marker() == "^"
    low, high = ax.get_ylim()
    assert high - 0.05 * (high - low) < arrow.get_ydata()[0] < high
    assert ax.get_legend().get_texts()[-1].get_text() == "Type-2 MLE, infinite"


def test_a_sampler_alone_has_regions_too(rats):
    levels, paths = lines_drawn(contours(sampled_fit(rats)))
    assert len(levels) == len(paths) == 3


def test_a_point_alone_has_no_regions(rats):
    with pytest.raises(
        ValueError, match=r"averages over the hyperparameters, found \['type2_mle'\]"
    ):
        contours(point_fit(rats))


def test_other_sides_of_the_axes_are_in_natural_units(exact):
    ax = contours(exact)
    ax.figure.savefig("/dev/null", format="png")
    top, right = ax.child_axes
    for side, ends in ((top, ax.get_xlim()), (right, ax.get_ylim())):
        ticks = side.get_xticks() if side is top else side.get_yticks()
        back = np.log(ticks / (1 - ticks)) if side is top else np.log(ticks)
        assert 2 <= len(ticks) <= 10
        assert np.all((ends[0] < back) & (back < ends[1]))


def test_path_ends_where_the_optimizer_did(rats, exact):
    fit = five_fits(rats, exact)["type2_mle"]
    (ax,) = new_panels(1, 1, 6, 5)[0]
    assert optimizer_path(fit, ax) is ax
    assert np.array_equal(ax.lines[0].get_xydata(), fit.info["path"])
    assert np.array_equal(ax.lines[1].get_xydata(), fit.info["path"][:1])
    assert np.array_equal(ax.lines[2].get_xydata(), fit.info["path"][-1:])
    levels, _ = lines_drawn(ax)
    drops = levels.max() - levels[::-1]
    assert np.allclose(drops, 0.5 * (np.arange(1, 13) ** 2 - 1))


def test_path_of_another_method_is_refused(exact):
    with pytest.raises(ValueError, match="Type-2 maximum likelihood, found quadrature"):
        optimizer_path(exact)


def test_log_marginal_has_its_maximum_at_the_type_2_mle(rats):
    # alpha 2.3047833121243348, beta 14.079809031547965, the maximum of an independent program.
    alpha, beta = 2.3047833121243348, 14.079809031547965
    top = np.array([np.log(alpha / beta), np.log(alpha + beta)])
    fit, step = point_fit(rats), 1e-5
    around = top + step * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1.0]])
    values = log_marginal(fit, around)
    slopes = np.array([values[1] - values[2], values[3] - values[4]]) / (2 * step)
    # Rounding leaves 154 * 2e-16 / 2e-5 = 2e-9 of the quotient, and the step as much.
    assert np.abs(slopes).max() < 1e-7
    assert values.argmax() == 0


def test_surfaces_are_accurate_between_their_points(rats):
    fit = point_fit(rats)
    surface = evaluate(fit.log_posterior, ((-2.3, -1.3), (1.5, 4.5)))
    grid = np.stack(np.meshgrid(surface.logit_mean, surface.log_concentration), axis=-1)
    assert np.abs(surface.values - fit.log_posterior(grid)).max() < 1e-6


def test_densities_that_end_inside_the_box_have_contours(rats):
    with jax.enable_x64(True):
        hyperprior = hj.MeanConcentration(dist.Uniform(0.0, 0.15), dist.LogNormal(2.0, 1.0))
    fit = sampled_fit(rats)
    bounded = hj.Fit(rats, hj.Model(hyperprior=hyperprior), fit.method, "float64", fit.result)
    ax = contours(bounded)
    _, paths = lines_drawn(ax)
    edge = np.log(0.15 / 0.85)
    step = np.diff(ax.get_xlim())[0] / 80
    assert all(path.vertices[:, 0].max() < edge + step for path in paths)


def test_levels_of_a_density_that_one_cell_holds_are_one():
    values = np.full((5, 5), -500.0)
    values[2, 2] = 0.0
    axis = np.arange(5.0)
    assert density_levels(Surface(axis, axis, values), (0.5, 0.9, 0.99)).tolist() == [0.0]


def test_weighted_quantiles_of_equal_weights_are_ordinary_ones():
    values = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    assert weighted_quantiles(values, np.ones(5), (0.2, 0.5, 1.0)) == (1.0, 2.5, 5.0)
    assert weighted_quantiles(values, np.array([0, 0, 0, 0, 2.0]), (0.5,))[0] <= 3.0
