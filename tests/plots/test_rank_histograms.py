"""Figures of calibration: heights, curves and bands are those of the ranks."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy.stats import binom

from hierjax.checks.uniformity import uniform_band
from hierjax.errors import ConfigError
from hierjax.plots.rank_histograms import ecdf_difference, rank_histogram, rank_panels
from hierjax.plots.style import method_color, new_panels
from hierjax.studies.ranks import Calibration, Verdict

NAMES = ("logit_mean", "alpha", "rate 3")


def ranked(size=400, draws=99, shape=1.0, method="gibbs", seed=0):
    rng = np.random.default_rng(seed)
    ranks = (rng.beta(shape, shape, (size, 3)) * (draws + 1)).astype(int)
    return Calibration(method, NAMES, ranks, draws, np.full(size, "ok"), np.full(size, np.nan))


def test_bars_are_counts_over_those_expected_between_binomial_limits():
    found = ranked()
    (ax,) = new_panels(1, 1, 5, 3)[0]
    assert rank_histogram(found, "alpha", ax) is ax
    heights, edges, _ = ax.patches[0].get_data()
    assert len(heights) == 20
    counts = [np.sum((found.of("alpha") >= a) & (found.of("alpha") < a + 5)) for a in edges[:-1]]
    assert np.allclose(heights, np.array(counts) / 20)
    for patch, tail in zip(ax.patches[1:], (0.025, 0.975), strict=True):
        assert np.allclose(patch.get_data()[0], binom.ppf(tail, 400, 0.05) / 20)
    assert ax.patches[0].get_facecolor()[:3] == pytest.approx(
        to_rgb(method_color("gibbs")), abs=1e-6
    )
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["400 data sets", "95% of bars"]


def test_curve_is_the_share_below_less_expected_and_bands_are_those_of_the_verdict():
    found = ranked(draws=19)
    ax = ecdf_difference(found, "rate 3", level=0.06)
    x, y = ax.lines[-1].get_data()
    at = np.arange(1, 20)
    share = [np.mean(found.of("rate 3") < rank) for rank in at]
    assert np.allclose(x, np.arange(21) / 20)
    assert np.allclose(y, [0, *(share - at / 20), 0])
    for band, probability in zip(ax.collections, (0.98, 0.95), strict=True):
        _, low, high = uniform_band(400, probability, at / 20)
        corners = band.get_paths()[0].vertices
        assert corners[:, 1].min() == pytest.approx((low - at / 20).min())
        assert corners[:, 1].max() == pytest.approx((high - at / 20).max())


@pytest.mark.parametrize("shape", [1.0, 0.8, 0.95])
def test_leaving_the_outer_band_is_failing(shape):
    found = ranked(1000, shape=shape)
    left = False
    levels = found.cuts() / 100
    for name in NAMES:
        y = ecdf_difference(found, name).lines[-1].get_ydata()[1:-1]
        _, low, high = uniform_band(1000, 1 - 0.01 / 3, levels)
        left |= bool(np.any((y < low - levels - 1e-12) | (y > high - levels + 1e-12)))
    assert left is (found.verdict() is Verdict.FAILED)
    assert left is (shape == 0.8)


def test_panels_have_a_row_a_parameter_and_their_p_values():
    found = ranked()
    panels = rank_panels(found, NAMES[1:])
    assert panels.shape == (2, 2)
    p = found.p_values()
    said = [ax.get_title(loc="right") for ax in panels.ravel()]
    values = [p[column][row] for row in (1, 2) for column in ("chi_square", "ecdf")]
    names = ("α", "α", "rate 3", "rate 3")  # noqa: RUF001
    assert said == [f"{name}:  p = {v:.2g}" for name, v in zip(names, values, strict=True)]
    assert [ax.get_legend() is not None for ax in panels[:, 0]] == [True, False]
    panels[0, 0].figure.savefig("/dev/null", format="png")


@pytest.mark.parametrize(("size", "draws"), [(1, 1), (15, 7), (30_000, 999)])
def test_few_and_many_are_drawn(size, draws):
    for ax in rank_panels(ranked(size, draws)).ravel():
        assert np.isfinite(ax.get_ylim()).all()


def test_what_has_no_draws_is_an_empty_figure_and_unknown_names_are_refused():
    found = ranked(5)
    empty = Calibration("gibbs", NAMES, np.full((5, 3), -1), 99, found.status, found.ess)
    panels = rank_panels(empty)
    assert panels[0, 1].get_title(loc="right").endswith("p = nan")
    with pytest.raises(ConfigError, match="found 'beta'"):
        rank_histogram(found, "beta")
    with pytest.raises(ConfigError, match="found 'beta'"):
        ecdf_difference(found, "beta")
