"""Empirical Bayes corrected at complete pooling, against brute force."""

import numpy as np
import pytest
from scipy.special import betaln, expit, logsumexp
from scipy.stats import beta

import hierjax as hj
from hierjax.errors import InferenceError

POOLED = hj.Counts([2] * 12 + [3, 1], [10] * 12 + [14, 6])


@pytest.fixture(scope="module")
def corrected():
    plug_in = hj.fit(POOLED, method=hj.Type2MLE(optimizer="newton"))
    assert plug_in.status == "boundary"
    return plug_in.corrected()


@pytest.fixture(scope="module")
def brute_force():
    """Shapes and weights on a grid of (u, rho), by log-beta functions; rho is uniform."""
    u = np.log(29 / 111) + np.linspace(-2.5, 2.5, 401)[:, None]
    rho = np.geomspace(1e-7, 0.999, 3000)[None]
    concentration = 1 / rho - 1
    a, b = expit(u) * concentration, expit(-u) * concentration
    y, n = POOLED.successes, POOLED.trials
    logs = sum(betaln(a + s, b + t - s) - betaln(a, b) for s, t in zip(y, n, strict=True))
    logs = logs + np.log(rho)  # of steps that are equal in log rho
    return a, b, np.exp(logs - logsumexp(logs))


@pytest.mark.parametrize(("y", "n"), [(2, 10), (3, 14), (0, 0), (9, 20)])
def test_units_have_the_mixture_over_the_likelihood(corrected, brute_force, y, n):
    """To what 48 rows leave between them."""
    a, b, weights = brute_force
    row = corrected.predict(y, n, level=0.9)
    mean = np.sum(weights * (a + y) / (a + b + n))
    sd = float(row["sd"][0])
    assert abs(row["mean"][0] - mean) < 1e-3 * sd
    for name, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
        below = np.sum(weights * beta.cdf(row[name][0], a + y, b + n - y))
        assert below == pytest.approx(level, abs=2e-3)


def test_the_estimate_stays(corrected, tmp_path):
    plug_in = hj.fit(POOLED, method=hj.Type2MLE(optimizer="newton"))
    for fit in (corrected, _saved(corrected, tmp_path)):
        assert fit.status == "boundary"
        assert repr(fit.summary()) == repr(plug_in.summary())
        assert np.all(fit.unit_table()["high"] > fit.unit_table()["low"] + 0.01)
    assert np.all(plug_in.unit_table()["high"] == plug_in.unit_table()["low"])


def _saved(fit, tmp_path):
    fit.save(tmp_path / "fit.hierjax")
    return hj.Fit.load(tmp_path / "fit.hierjax")


def test_what_cannot_be_differentiated_is_refused(corrected):
    with pytest.raises(InferenceError, match="found complete pooling"):
        corrected.influence()
    with pytest.raises(InferenceError, match="hyperprior does not enter"):
        corrected.sensitivity()
    with pytest.raises(InferenceError, match="expected a point estimate"):
        corrected.corrected()


def test_batches_do_the_same(corrected):
    fits = hj.fit_batch(
        hj.DataSets.of([POOLED, POOLED]),
        method=hj.Type2MLE(optimizer="newton"),
        empirical_bayes="corrected",
        chunk=4,
    )
    alone = corrected.unit_table()
    assert fits.status.tolist() == ["boundary"] * 2
    for name, close in (("mean", 1e-4), ("low", 0.01), ("median", 0.01), ("high", 0.01)):
        away = np.abs(getattr(fits, name)[0] - alone[name]) / alone["sd"]
        assert np.max(away) < close, name
