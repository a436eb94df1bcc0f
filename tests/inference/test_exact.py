"""Quadrature as a method: its settings, its refinement, and what it reports."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from compilation import compilations
from monte_carlo import exact

import hierjax as hj
from hierjax.errors import ModelError

RATS = hj.datasets.rat_tumors()


@pytest.mark.parametrize(
    ("current", "logit_mean", "log_concentration", "log_evidence"),
    [
        (
            False,
            (-1.7973332035662517, 0.1101019010522519),
            (2.7501206496977355, 0.34423969504821106),
            -159.11064629783897,
        ),
        (
            True,
            (-1.7842523984978649, 0.10883185644850697),
            (2.755596133217193, 0.3442009480745899),
            -161.5442118964298,
        ),
    ],
)
def test_rats_have_the_published_posterior(current, logit_mean, log_concentration, log_evidence):
    fit = exact(current=current)
    assert (fit.status, fit.message) == ("converged", "")
    summary = fit.summary()
    for row, expected in enumerate((logit_mean, log_concentration)):
        found = summary["mean"][row], summary["sd"][row]
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert fit.info["log_evidence"] == pytest.approx(log_evidence, rel=1e-12)
    assert fit.info["nodes"] == (72, 64)
    assert fit.info["error_estimate"] < 1e-4
    assert fit.info["edge_mass"] < 1e-12


def test_a_coarse_rule_is_refined_until_its_error_is_small():
    coarse = hj.fit(RATS, method=hj.Quadrature(rows=36, columns=32, max_refinements=0))
    assert coarse.status == "not_converged"
    assert coarse.info["nodes"] == (36, 32)
    assert "error estimate" in coarse.message
    assert "with 36 x 32 nodes" in coarse.message
    refined = hj.fit(RATS, method=hj.Quadrature(rows=36, columns=32, max_refinements=4))
    assert refined.status == "converged"
    assert refined.info["nodes"] == (72, 64)
    np.testing.assert_array_equal(refined.posterior.weights, exact().posterior.weights)
    # The estimate is of the rule with half as many rows and columns; this rule is much better.
    summary, reference = coarse.summary(), exact().summary()
    error = np.abs(summary["mean"][:2] - reference["mean"][:2]) / reference["sd"][:2]
    assert error.max() < 0.01 * coarse.info["error_estimate"]


@pytest.mark.slow
def test_single_precision_is_close():
    single, double = hj.fit(RATS, precision="float32"), exact()
    assert single.status == "converged"
    assert single.posterior.points.dtype == single.posterior.weights.dtype == np.float32
    for column in ("mean", "sd"):
        np.testing.assert_allclose(
            single.summary()[column][:3], double.summary()[column][:3], rtol=1e-4
        )
    np.testing.assert_allclose(single.units()["mean"], double.units()["mean"], rtol=1e-4)


def test_a_weight_of_two_is_a_unit_listed_twice():
    times = np.resize([1, 2, 1], len(RATS))
    weighted = hj.fit(hj.Counts(RATS.successes, RATS.trials, weights=times))
    listed = hj.fit(hj.Counts(np.repeat(RATS.successes, times), np.repeat(RATS.trials, times)))
    for column in ("mean", "sd", "low", "high"):
        np.testing.assert_allclose(weighted.summary()[column], listed.summary()[column], rtol=1e-10)
    assert weighted.info["log_evidence"] == pytest.approx(listed.info["log_evidence"], rel=1e-12)


def test_weights_of_zero_are_units_left_out():
    kept = np.arange(len(RATS)) % 2 == 0
    weighted = hj.fit(hj.Counts(RATS.successes, RATS.trials, weights=kept * 1.0))
    alone = hj.fit(RATS.select(kept))
    assert weighted.info["log_evidence"] == pytest.approx(alone.info["log_evidence"], rel=1e-12)


@pytest.mark.parametrize(
    "counts",
    [
        hj.Counts([0, 40], [5, 40]),
        hj.Counts([0, 0], [5, 40]),
        hj.Counts([2, 0], [5, 40], weights=[0, 1]),
    ],
)
def test_improper_posteriors_are_refused_and_proper_hyperpriors_are_not(counts):
    with pytest.raises(ModelError, match=r"posterior is improper: .*Use a proper hyperprior"):
        hj.fit(counts)
    hyperprior = hj.MeanConcentration(dist.Uniform(0.0, 1.0), dist.LogNormal(2.0, 1.5))
    assert hj.fit(counts, hj.Model(hyperprior=hyperprior)).status == "converged"


@pytest.mark.parametrize("method", [hj.Quadrature(), hj.Type2MLE(), hj.Moments()])
def test_other_data_of_the_same_size_need_no_compilation(method):
    def everything(counts):
        fit = hj.fit(counts, method=method)
        fit.summary(), fit.units(), fit.predict([1, 2], [3, 4])

    everything(RATS)
    other = hj.Counts(RATS.successes[::-1].copy(), RATS.trials[::-1] + 1)
    with compilations() as found:
        everything(other)
    assert found == []
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize(
    "setting",
    [
        {"rows": 7},
        {"rows": 97},
        {"columns": 0},
        {"columns": 47},
        {"tolerance": 0.0},
        {"tolerance": np.inf},
        {"max_refinements": -1},
        {"nodes": 100},
    ],
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises((ValueError, TypeError), match=next(iter(setting))):
        hj.Quadrature(**setting)
