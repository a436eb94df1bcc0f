"""Colors, choices among fits, and what is no fit at all."""

import numpy as np
import pytest
from figure_fits import point_fit, sampled_fit

import hierjax as hj
from hierjax.inference.result import Result, Status
from hierjax.plots.style import (
    leading,
    method_styles,
    named,
    new_panels,
    point_estimate,
    reference,
    rows_shown,
)


class Stranger(hj.Moments):
    """A method that the figures know nothing about."""

    name = "stranger"


def test_methods_keep_their_color_whatever_is_drawn_beside_them(fits):
    every, alone = method_styles(fits), method_styles({"gibbs": fits["gibbs"]})
    assert alone["gibbs"] == every["gibbs"]
    assert len({style.color for style in every.values()}) == 5
    assert len({style.dash for style in every.values()}) == 5


def test_two_fits_of_one_method_share_its_color_and_differ_in_dash(rats):
    styles = method_styles({"gibbs": sampled_fit(rats), "gibbs, alpha": sampled_fit(rats)})
    first, second = styles.values()
    assert first.color == second.color
    assert first.dash != second.dash
    assert (first.label, second.label) == ("Gibbs", "gibbs, alpha")


def test_a_new_method_gets_a_color_of_its_own(rats, fits):
    stranger = point_fit(rats, method=Stranger())
    styles = method_styles({**fits, "stranger": stranger})
    assert len({style.color for style in styles.values()}) == 6
    assert styles["stranger"].label == "stranger"


def test_full_bayes_is_quadrature_and_empirical_bayes_is_maximum_likelihood(fits):
    assert reference(fits) == leading(fits) == "quadrature"
    assert point_estimate(fits) == "type2_mle"
    samplers = {name: fits[name] for name in ("gibbs", "nuts")}
    assert reference(samplers) == "gibbs"
    assert point_estimate(samplers) is None
    points = {"moments": fits["moments"]}
    assert reference(points) is None
    assert point_estimate(points) == leading(points) == "moments"


def test_fits_that_found_nothing_are_left_out(rats):
    failed = hj.Fit(rats, hj.Model(), hj.Moments(), "float64", Result(None, Status.FAILED, "why"))
    good = point_fit(rats)
    assert named({"moments": failed, "mle": good}) == {"mle": good}
    assert named(good) == {"type2_mle": good}
    with pytest.raises(ValueError, match=r"found \['moments'\]"):
        named(failed)


def test_rows_shown_are_even_and_hold_both_ends():
    assert rows_shown(3, 10).tolist() == [0, 1, 2]
    shown = rows_shown(1000, 10)
    assert shown[[0, -1]].tolist() == [0, 999]
    assert np.ptp(np.diff(shown)) <= 1
    assert rows_shown(1, 10).tolist() == [0]


def test_figures_are_registered_nowhere():
    import sys

    new_panels(1, 1, 2, 2)
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )
