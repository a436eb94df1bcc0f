"""A new unit: its likelihood, its population and its posterior."""

import numpy as np
import pytest
from figure_fits import point_fit, sampled_fit

from hierjax.plots import new_unit
from hierjax.plots.density import rate_grid
from hierjax.plots.style import new_panels


def curves(ax):
    return {str(each.get_label()): each for each in ax.lines}


def integral(curve):
    rates, density = curve.get_data()
    return np.trapezoid(density, rates)


def test_every_method_has_its_curve(fits):
    (ax,) = new_panels(1, 1, 6, 4)[0]
    assert new_unit(fits, 4, 14, ax, label="experiment 71") is ax
    assert list(curves(ax)) == [
        "population (Quadrature)",
        "likelihood, scaled",
        "Moments",
        "Type-2 MLE",
        "Quadrature",
        "NUTS",
        "Gibbs",
    ]
    assert ax.get_legend().get_title().get_text() == "experiment 71: 4 of 14"


def test_curves_are_the_fits_densities(exact):
    drawn = curves(new_unit({"quadrature": exact}, 4, 14))
    rates, density = drawn["Quadrature"].get_data()
    assert np.array_equal(density, exact.unit_density(4, 14, rates))
    assert np.array_equal(
        drawn["population (Quadrature)"].get_ydata(), exact.unit_density(0, 0, rates)
    )
    # What the limits leave out, and the trapezoidal rule on 401 rates, are less than these.
    assert integral(drawn["Quadrature"]) == pytest.approx(1, abs=0.01)
    assert integral(drawn["likelihood, scaled"]) == pytest.approx(1, abs=0.03)
    peak = rates[np.argmax(drawn["likelihood, scaled"].get_ydata())]
    assert peak == pytest.approx(4 / 14, abs=0.005)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (0, 50), (50, 50), (3, 10**9)])
def test_units_at_the_extremes_stay_in_the_picture(exact, successes, trials):
    ax = new_unit(exact, successes, trials)
    low, high = ax.get_xlim()
    assert 0 <= low < high <= 1
    assert np.isfinite(ax.get_ylim()).all()
    if trials:
        assert low <= successes / trials <= high
    else:
        assert "likelihood, scaled" not in curves(ax)
        assert ax.get_legend().get_title().get_text() == "new unit: no trials"


def test_complete_pooling_is_a_vertical_line(rats):
    fit = point_fit(rats, (0.0, np.inf))
    drawn = curves(new_unit(fit, 4, 14))
    assert np.allclose(drawn["Type-2 MLE"].get_xdata(), 0.5)


def test_a_spike_of_one_method_does_not_flatten_the_others(rats, exact):
    spike = point_fit(rats, (-1.8, 14.0))
    ax = new_unit({"quadrature": exact, "type2_mle": spike}, 4, 14)
    bounded = max(each.get_ydata().max() for each in ax.lines[:-2])
    assert curves(ax)["Type-2 MLE"].get_ydata().max() > 10 * ax.get_ylim()[1]
    assert ax.get_ylim()[1] < 2 * bounded


def test_grids_have_one_size_and_see_narrow_densities(rats):
    narrow = point_fit(rats, (-1.8, 14.0))
    row = narrow.predict(4, 14)
    grid = rate_grid({"": narrow}, 4, 14, (0.0, 1.0))
    assert len(grid) == 401
    assert np.all(np.diff(grid) > 0)
    within = np.abs(grid - row["mean"][0]) < 2 * row["sd"][0]
    assert within.sum() > 30


def test_an_average_with_a_pole_at_zero_is_drawn_without_a_kink(exact):
    """A few populations have alpha < 1: at a rate of 10^-9 their average shoots up again."""
    assert exact.unit_density(0, 0, np.array([1e-9]))[0] > exact.unit_density(
        0, 0, np.array([1e-5])
    )
    rates, density = curves(new_unit(exact, 4, 14))["population (Quadrature)"].get_data()
    rising = rates < 0.05
    assert rising.sum() > 10
    assert np.all(np.diff(density[rising]) > 0)
    # Within less than a pixel of zero, and of one.
    assert rates[0] < 1e-3 * np.ptp(rates) * 1.01
    assert rate_grid({"": exact}, 0, 0, (0.0, 1.0))[[0, -1]] == pytest.approx([1e-3, 1 - 1e-3])


def test_densities_next_to_zero_are_seen(rats):
    rare = point_fit(rats, (-16.0, 18.0))
    grid = rate_grid({"": rare}, 0, 0, (0.0, 1.0))
    center = rare.predict(0, 0)["mean"][0]
    assert grid[0] < 0.1 * center
    assert np.sum((grid > 0.5 * center) & (grid < 2 * center)) > 5


def test_a_dollar_sign_in_a_label_is_not_a_formula(rats):
    ax = new_unit(sampled_fit(rats), 4, 14, label="$x_$1")
    ax.figure.savefig("/dev/null", format="png")
    assert ax.get_legend().get_title().get_text() == "$x_$1: 4 of 14"
