"""Rates shown per so many units of exposure: tables, words and axes, and files as they were."""

import jax
import numpy as np
import pytest

import hierjax as hj
from hierjax.errors import ConfigError
from hierjax.experiment import commands, terminal
from hierjax.experiment.answers import answer
from hierjax.experiment.config import resolved, validated
from hierjax.experiment.per import as_shown, shown_check
from hierjax.experiment.report import render
from hierjax.experiment.runner import fit_all, prepare
from hierjax.plots.figures import pictures
from hierjax.plots.per import rates_per

PUMPS = {
    "data": {"dataset": "pumps"},
    "per": 1000,
    "methods": [{"method": "moments"}],
    "new_units": [{"events": 3, "exposure": 12.5}],
    "questions": {"control": "4"},
}


@pytest.fixture(scope="module")
def run():
    prepared = prepare(validated(PUMPS, "c.yaml"))
    return answer(prepared, fit_all(prepared, terminal.watch), compare=False)


def test_only_rates_and_their_differences_are_multiplied(run):
    shown = as_shown(run)
    for name in ("units", "predictions"):
        found, before = getattr(shown, name), getattr(run, name)
        for column in ("raw_rate", "mean", "sd", "low", "median", "high"):
            np.testing.assert_allclose(found[column], 1000 * before[column])
        for column in ("label", "events", "exposures", "shrinkage"):
            np.testing.assert_array_equal(found[column], before[column])
    is_mean = run.hyper["parameter"] == "mean"
    factor = np.where(is_mean, 1000.0, 1.0)
    np.testing.assert_allclose(shown.hyper["median"], factor * run.hyper["median"])
    difference = shown.contrasts["difference_mean"] / run.contrasts["difference_mean"]
    np.testing.assert_allclose(difference, 1000)
    np.testing.assert_array_equal(shown.contrasts["ratio_low"], run.contrasts["ratio_low"])


def test_a_variance_of_rates_is_multiplied_twice():
    fit = hj.fit(hj.datasets.pumps(), method=hj.Moments())
    check = fit.posterior_predictive(jax.random.key(0), 50)
    shown = shown_check(check, 10.0)
    np.testing.assert_allclose(shown["observed"], check["observed"] * [1, 10, 100])
    for name, factor in zip(check["statistic"], (1, 10, 100), strict=True):
        np.testing.assert_allclose(shown.replicates[name], factor * check.replicates[name])


def test_the_report_and_the_terminal_say_per_what(run, capsys):
    page = render(run, {})
    assert "Rates are per 1,000 units of exposure." in page
    raw = run.counts.raw
    assert f"{1000 * raw.min():.3g} to {1000 * raw.max():.3g}" in page
    terminal.overview(run, terminal.console())
    said = capsys.readouterr().out
    assert "rate per 1,000: posterior mean" in said
    mean = 1000 * run.predictions["mean"][0]
    assert terminal.number(mean) in said


def test_axes_of_rates_are_relabelled_and_what_is_drawn_is_not(run):
    (picture,) = (each for each in pictures(run) if each.name == "shrinkage")
    ax = picture.draw()
    assert ax.get_xlabel() == "raw rate per 1,000"
    assert ax.get_ylabel() == "posterior mean of the rate per 1,000"
    assert ax.get_xlim()[1] < 5
    ax.figure.canvas.draw()
    shown = [float(text.get_text().replace(",", "")) for text in ax.get_xticklabels()]
    np.testing.assert_allclose(shown, 1000 * ax.get_xticks(), rtol=1e-5)


def test_axes_of_other_things_stay():
    ax = hj.plots.funnel(hj.fit(hj.datasets.pumps(), method=hj.Moments()))
    assert rates_per(ax, 1e5).get_xlabel() == "exposure of the unit"
    assert ax.get_ylabel() == "rate per 100,000"


def test_it_is_for_rates_by_exposure_alone():
    assert resolved(validated(PUMPS, "c.yaml"))["per"] == 1000
    assert "per" not in resolved(validated({"data": {"dataset": "pumps"}}, "c.yaml"))
    with pytest.raises(ConfigError, match="per: expected the family gamma_poisson, whose rates a"):
        validated({"data": {"dataset": "rat_tumors"}, "per": 1000}, "c.yaml")
    with pytest.raises(ConfigError, match="per: expected a number"):
        validated({**PUMPS, "per": -1}, "c.yaml")


def test_the_command_line_prints_rates_per_exposure(tmp_path, capsys):
    rows = [f"{y},{e}" for y, e in zip(*hj.datasets.pumps().pair, strict=True)]
    (tmp_path / "pumps.csv").write_text("\n".join(["y,e", *rows]) + "\n")
    columns = {"events": "y", "exposure": "e"}
    commands.fit(str(tmp_path / "pumps.csv"), columns, "moments", [], {}, None, ["per=1000"], False)
    said = capsys.readouterr().out
    assert "Units, rates per 1,000" in said
    assert "mean: per 1,000" in said
