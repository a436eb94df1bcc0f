# ruff: noqa: RUF001 -- readers are shown Greek letters and true minus signs
"""Traces, ranks and agreement."""

import numpy as np
import pytest
from figure_fits import sampled_fit

import hierjax as hj
from hierjax.plots import agreement, method_styles, ranks, trace
from hierjax.plots.style import new_panels


@pytest.mark.parametrize(("parameter", "k"), [("logit_mean", 0), ("log_concentration", 1)])
def test_trace_draws_every_chain(rats, parameter, k):
    fit = sampled_fit(rats, chains=3)
    (ax,) = new_panels(1, 1, 6, 3)[0]
    assert trace(fit, parameter, ax) is ax
    for chain, line in zip(fit.draws, ax.lines, strict=True):
        assert np.array_equal(line.get_xdata(), np.arange(1, 301))
        assert np.array_equal(line.get_ydata(), chain[:, k])
    assert len({line.get_color() for line in ax.lines}) == 3


def test_long_chains_are_thinned_from_first_to_last(rats):
    fit = sampled_fit(rats, chains=1, draws=5000)
    (line,) = trace(fit).lines
    assert len(line.get_xdata()) == 800
    assert line.get_xdata()[[0, -1]].tolist() == [1, 5000]
    assert line.get_ydata()[-1] == fit.draws[0, -1, 1]


def test_ranks_count_every_draw_once(rats):
    fit = sampled_fit(rats, chains=3)
    (ax,) = new_panels(1, 1, 6, 3)[0]
    assert ranks(fit, "logit_mean", ax) is ax
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(3, 20)
    # A flat chain of 300 draws has 15 in each bin, and the height one half.
    counts = heights * 30
    assert counts.sum() == pytest.approx(900)
    order = np.argsort(np.argsort(fit.draws[..., 0], axis=None)).reshape(3, 300)
    assert counts[1, 0] == pytest.approx((order[1] < 45).sum())


def test_ranks_show_a_chain_that_stays_apart(rats):
    fit = sampled_fit(rats, chains=2)
    fit.draws[1] += 10
    heights = np.array([bar.get_height() for bar in ranks(fit).patches]).reshape(2, 20)
    assert np.all(heights[0, 10:] == 0)
    assert np.all(heights[1, :10] == 0)
    assert heights.max() < 1


def test_only_some_of_many_chains_are_drawn(rats):
    ax = ranks(sampled_fit(rats, chains=40, draws=50))
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert len(labels) == 12
    assert labels[0] == "1"
    assert labels[-1] == "40"


@pytest.mark.parametrize("draw", [trace, ranks])
def test_what_is_no_chain_is_refused(exact, rats, draw):
    with pytest.raises(ValueError, match="found quadrature, which has no draws"):
        draw(exact)
    with pytest.raises(ValueError, match="found 'alpha'"):
        draw(sampled_fit(rats), "alpha")


def test_agreement_draws_finite_differences(fits):
    table = hj.Table(
        {
            "method": ["moments", "nuts", "gibbs", "nuts", "gibbs"],
            "quantity": ["logit_mean"] * 3 + ["rate of 4 in 14"] * 2,
            "z": [np.nan, -0.5, 6.25, 1.5, 0.0],
        }
    )
    (ax,) = new_panels(1, 1, 6, 3)[0]
    assert agreement(table, method_styles(fits), ax) is ax
    drawn = {line.get_label(): line.get_xdata().tolist() for line in ax.lines[1:]}
    assert drawn == {"NUTS": [-0.5, 1.5], "Gibbs": [6.25, 0.0]}
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == ["rate of 4 in 14", "log(α / β)"]
    assert ax.get_xlim()[1] > 6.25


def test_agreement_of_nothing_is_an_empty_figure():
    ax = agreement(hj.Table({"method": ["a"], "quantity": ["b"], "z": [np.nan]}))
    assert len(ax.lines) == 1
    ax.figure.savefig("/dev/null", format="png")
