"""Leave-one-unit-out prediction against refits, baselines against closed forms, and agreement."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import betaln, comb

import hierjax as hj
from hierjax import checks
from hierjax.errors import ModelError
from hierjax.inference.convergence import mean_error

RATS = hj.datasets.rat_tumors()


@pytest.fixture(scope="module")
def fit():
    return hj.fit(RATS)


def test_rats_have_the_published_elpd(fit):
    found = fit.loo()
    assert found.elpd == pytest.approx(-156.12045987666033, rel=1e-8)
    assert found.elpd == pytest.approx(found.pointwise.sum(), rel=1e-14)
    assert found.se == pytest.approx(np.sqrt(70) * found.pointwise.std(ddof=1), rel=1e-12)


@pytest.mark.parametrize("j", [0, 69])
def test_a_term_is_the_evidence_lost_with_its_unit(fit, j):
    without = hj.fit(RATS.select(np.arange(70) != j))
    expected = fit.info["log_evidence"] - without.info["log_evidence"]
    assert fit.loo().pointwise[j] == pytest.approx(expected, abs=1e-8)


def test_a_weighted_unit_is_left_out_altogether():
    """Its term is that of the same units without it, in which it is then predicted once."""
    counts = [1, 3, 2, 9], [9, 12, 8, 40]
    model = hj.Model(hyperprior=hj.MeanConcentration(dist.Beta(2.0, 6.0), dist.LogNormal(2.0, 1.0)))
    weighted = hj.fit(hj.Counts(*counts, weights=[2.5, 1, 1, 1]), model)
    once = hj.fit(hj.Counts(*counts), model)
    assert weighted.loo().pointwise[0] == pytest.approx(once.loo().pointwise[0], abs=1e-8)
    assert abs(weighted.loo().pointwise[1] - once.loo().pointwise[1]) > 1e-3


def test_an_improper_posterior_without_one_unit_is_refused():
    counts = hj.Counts([0, 3, 0], [5, 9, 8], labels=["a", "b", "c"])
    with pytest.raises(ModelError, match="without unit 'b' the posterior is improper"):
        hj.fit(counts).loo()


def test_how_many_units_must_stay_depends_on_the_hyperprior():
    """Under (alpha + beta)^(-4) three units with 0 < y < n are needed, and three are not enough."""
    counts = hj.Counts([1, 3, 2, 0], [5, 9, 8, 3])
    fit = hj.fit(counts, hj.Model(hyperprior=hj.PowerLaw(4.0)))
    with pytest.raises(ModelError, match="without unit '1' the posterior is improper"):
        fit.loo()
    more = hj.fit(counts.append("5", 2, 6), hj.Model(hyperprior=hj.PowerLaw(4.0)))
    assert np.all(np.isfinite(more.loo().pointwise))


def test_a_point_estimate_predicts_by_itself():
    fit = hj.fit(RATS, method=hj.Type2MLE())
    a, b = fit.estimate("alpha"), fit.estimate("beta")
    y, n = RATS.successes, RATS.trials
    expected = np.log(comb(n, y)) + betaln(a + y, b + n - y) - betaln(a, b)
    np.testing.assert_allclose(fit.loo().pointwise, expected, rtol=1e-9)


@pytest.mark.parametrize("weights", [None, np.linspace(0.0, 2.0, 70)])
def test_baselines_have_their_closed_forms(weights):
    y, n = RATS.successes.astype(float), RATS.trials.astype(float)
    found = checks.baselines(hj.Counts(y, n, weights=weights))
    np.testing.assert_allclose(found["no_pooling"].pointwise, -np.log(n + 1), rtol=1e-14)
    w = np.ones(70) if weights is None else weights
    pooled = found["complete_pooling"].pointwise
    for j in range(70):
        others = np.arange(70) != j
        a, b = 1 + (w * y)[others].sum(), 1 + (w * (n - y))[others].sum()
        expected = np.log(comb(n[j], y[j])) + betaln(a + y[j], b + n[j] - y[j]) - betaln(a, b)
        # SciPy's log-betas cancel from about 1,000 to a few: 1e-12 is their rounding.
        assert pooled[j] == pytest.approx(expected, abs=1e-11)


@pytest.mark.slow
def test_agreement_counts_monte_carlo_errors_from_the_exact_answer(fit):
    method = hj.Gibbs(warmup=500, draws=1500)
    sampled = hj.fit(RATS, method=method, key=jax.random.key(41))
    table = checks.agreement(sampled, fit, [(4, 14), (0, 0)])
    assert table["quantity"].tolist() == [
        "logit_mean", "log_concentration", "rate of 4 in 14", "rate of 0 in 0",
    ]  # fmt: skip
    summary = fit.summary()
    np.testing.assert_allclose(table["reference"][:2], summary["mean"][:2], rtol=1e-12)
    rates = fit.predict([4, 0], [14, 0])["mean"]
    np.testing.assert_allclose(table["reference"][2:], rates, rtol=1e-9)
    np.testing.assert_allclose(table["value"][:2], sampled.draws.mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(
        table["value"][2:], sampled.predict([4, 0], [14, 0])["mean"], rtol=1e-9
    )
    errors = [mean_error(sampled.draws[..., i]) for i in (0, 1)]
    np.testing.assert_allclose(table["mcse"][:2], errors, rtol=1e-12)
    z = (table["value"] - table["reference"]) / table["mcse"]
    np.testing.assert_allclose(table["z"], z, rtol=1e-12)
    # Of four normal errors one exceeds 4.5 for one seed in 37,000.
    assert np.max(np.abs(z)) < 4.5


def test_a_method_that_does_not_draw_has_no_monte_carlo_error(fit):
    table = checks.agreement(hj.fit(RATS, method=hj.Type2MLE()), fit)
    assert np.all(np.isnan(table["mcse"]))
    assert np.all(np.isnan(table["z"]))
    assert np.all(table["value"] != table["reference"])
