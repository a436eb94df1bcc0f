"""Evidences against brute force and closed forms, and the likelihood ratio against the maximum."""

import numpy as np
import numpyro.distributions as dist
import pytest
from hierarchy_oracle import log_marginal
from scipy.special import betaln, gammaln, logsumexp
from scipy.stats import beta, chi2, halfnorm, lognorm

import hierjax as hj

RATS = hj.datasets.rat_tumors(current=True)
FLAT = hj.MeanConcentration(dist.Uniform(0.0, 1.0), dist.LogNormal(2.0, 1.5))
SHAPES = hj.Shapes(dist.HalfNormal(10.0), dist.HalfNormal(10.0))
EQUAL = hj.Counts([2] * 19 + [3], [10] * 20)


def log_orders(counts):
    y, n = counts.successes, counts.trials
    return np.sum(gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1))


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        pytest.param(RATS, "mean and concentration", marks=pytest.mark.slow, id="rats"),
        pytest.param(EQUAL, "shapes", id="equal"),
    ],
)
def test_evidences_are_sums_over_a_plain_grid(counts, kind):
    u, w = np.linspace(-6, 4, 201), np.linspace(-12, 20, 129)
    cell = (u[1] - u[0]) * (w[1] - w[0])
    u, w = (values.ravel() for values in np.meshgrid(u, w, indexing="ij"))
    m, kappa = 1 / (1 + np.exp(-u)), np.exp(w)
    a, b = m * kappa, (1 - m) * kappa
    if kind == "shapes":
        hyperprior = SHAPES
        log_prior = halfnorm.logpdf(a, scale=10) + halfnorm.logpdf(b, scale=10) + np.log(a * b)
    else:
        hyperprior = hj.MeanConcentration(dist.Beta(2.0, 5.0), dist.LogNormal(2.0, 1.5))
        log_prior = beta.logpdf(m, 2, 5) + np.log(m * (1 - m))
        log_prior += lognorm.logpdf(kappa, 1.5, scale=np.exp(2.0)) + w
    y, f = counts.total_successes, counts.total_trials - counts.total_successes
    pooled = log_orders(counts) + y * np.log(m) + f * np.log1p(-m)
    grid = zip(u, w, strict=True)
    units = np.array([log_marginal(*eta, counts.successes, counts.trials) for eta in grid])
    expected = [np.log(cell) + logsumexp(logs + log_prior) for logs in (units, pooled)]
    found = hj.fit(counts, hj.Model(hyperprior=hyperprior), hj.Moments()).pooling()
    # NumPyro's constants are of float32, and log-betas of large arguments cancel.
    assert found.log_evidence_partial == pytest.approx(expected[0], abs=1e-5)
    assert found.log_evidence_complete == pytest.approx(expected[1], abs=1e-5)
    difference = found.log_evidence_partial - found.log_evidence_complete
    assert found.log_bayes_factor == difference
    assert (found.log_bayes_factor > 0) == (counts is RATS)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2.0, 71)])
def test_one_uniform_rate_has_its_closed_form(weights):
    counts = hj.Counts(RATS.successes, RATS.trials, weights=weights)
    fit = hj.fit(counts, hj.Model(hyperprior=FLAT))
    found = fit.pooling()
    a = np.ones(71) if weights is None else weights
    y, n = counts.successes, counts.trials
    orders = a @ (gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1))
    expected = orders + betaln(1 + a @ y, 1 + a @ (n - y))
    assert found.log_evidence_complete == pytest.approx(expected, abs=3e-6)
    assert found.log_evidence_partial == fit.info["log_evidence"]
    assert found.message == ""


def test_the_ratio_is_that_of_the_maxima():
    found = hj.fit(RATS).pooling()
    maximum = hj.fit(RATS, method=hj.Type2MLE())
    again = maximum.pooling()
    m = RATS.total_successes / RATS.total_trials
    pooled = log_orders(RATS) + RATS.successes.sum() * np.log(m)
    pooled += (RATS.trials - RATS.successes).sum() * np.log1p(-m)
    assert found.log_likelihood_complete == pytest.approx(pooled, rel=1e-11)
    assert found.log_likelihood_partial == pytest.approx(maximum.info["log_marginal"], rel=1e-13)
    ratio = 2 * (maximum.info["log_marginal"] - pooled)
    assert found.likelihood_ratio == pytest.approx(ratio, rel=1e-9)
    assert found.p_value == pytest.approx(0.5 * chi2(1).sf(ratio), rel=1e-7)
    assert again.likelihood_ratio == pytest.approx(found.likelihood_ratio, rel=1e-12)


def test_an_improper_hyperprior_has_no_bayes_factor_but_a_ratio():
    found = hj.fit(EQUAL).pooling()
    assert np.isnan([found.log_evidence_partial, found.log_bayes_factor]).all()
    assert found.message.startswith("no Bayes factor: under an improper hyperprior")
    assert (found.likelihood_ratio, found.p_value) == (0.0, 1.0)
    table = found.table
    assert table["model"].tolist() == ["complete_pooling", "partial_pooling"]
    assert table["log_likelihood"][0] == table["log_likelihood"][1]


def test_likelihoods_without_a_maximum_say_so():
    counts = hj.Counts([0, 0, 3], [5, 40, 3])
    found = hj.fit(counts, hj.Model(hyperprior=FLAT)).pooling()
    assert np.isfinite(found.log_bayes_factor)
    assert np.isnan([found.likelihood_ratio, found.p_value]).all()
    assert found.message.startswith("likelihood ratio: the likelihood has no maximum")
