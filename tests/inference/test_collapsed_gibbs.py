"""Collapsed Gibbs sampling agrees with quadrature, and kernels that are wrong do not."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from interruption import Interruption, interrupting
from monte_carlo import errors, exact, rate_given_draws, require_agreement
from scipy import stats

import hierjax as hj
from hierjax.errors import ModelError
from hierjax.inference.collapsed_gibbs import Proposal, bivariate_t_draws
from hierjax.inference.gibbs import GibbsData

RATS = hj.datasets.rat_tumors()
KEY = jax.random.key(1)
METHOD = hj.CollapsedGibbs(chains=16, warmup=500, draws=1500, store_units=True)
PROPOSAL = Proposal(*(jnp.asarray(x) for x in (2.7, 0.5, 0.3, -1.8, -0.2, 0.1)))


@pytest.fixture(scope="module")
def fit():
    return hj.fit(RATS, method=METHOD, key=KEY)


def test_draws_agree_with_quadrature(fit):
    assert (fit.status, fit.message) == ("converged", "")
    require_agreement(fit, exact())


def test_most_proposals_are_accepted_and_draws_are_nearly_independent(fit):
    assert fit.info["acceptance"].shape == (16,)
    assert fit.info["acceptance"].min() > 0.65
    assert min(fit.info["ess_bulk"]) > 0.4 * 16 * 1500
    per_draw = fit.info["per_draw"]["acceptance_rate"]
    np.testing.assert_allclose(per_draw.mean(axis=1), fit.info["acceptance"])


def test_acceptance_rates_are_shares_of_proposals_accepted(fit):
    moved = np.any(np.diff(fit.draws, axis=1) != 0, axis=-1)
    # Averages of the same 24,000 proposals, of acceptances and of acceptance probabilities: their
    # difference has a standard error below 0.5 / sqrt(24,000) = 0.0032.
    assert abs(moved.mean() - fit.info["acceptance"].mean()) < 4 * 0.0032


def test_rates_are_drawn_given_the_hyperparameters(fit):
    table = exact().units()
    found = [errors(fit.unit_draws[..., j], mean) for j, mean in enumerate(table["mean"])]
    # Of 70 normal errors one exceeds 4.8 for one seed in 9,000.
    assert np.max(np.abs(found)) < 4.8
    concentration = fit.draws[..., 1] - fit.draws[..., 1].mean()
    for j in (0, 69):
        given = rate_given_draws(fit, int(RATS.successes[j]), int(RATS.trials[j]))
        residual = fit.unit_draws[..., j] - given
        assert abs(errors(residual, 0.0)) < 4
        assert abs(errors(residual * concentration, 0.0)) < 4


def test_proposals_have_the_density_that_they_are_corrected_by():
    """The density of a transformed variable: that of the standard one over the Jacobian."""
    with jax.enable_x64(True):
        proposal = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), PROPOSAL)
        standard = bivariate_t_draws(KEY, 200, jnp.dtype("float64"))

        @jax.jit
        def placed(z):
            jacobian = jax.vmap(jax.jacfwd(lambda z: proposal.place(z[None])[0]))(z)
            return proposal.log_density(proposal.place(z)), jacobian

        log_density, jacobian = map(np.asarray, placed(standard))
        log_volume = np.log(np.linalg.det(jacobian))
        degrees, place = 5, np.zeros(2)
        expected = stats.multivariate_t(place, np.eye(2), degrees).logpdf(standard) - log_volume
        difference = log_density - expected
    # Equal up to a constant.
    np.testing.assert_allclose(difference, difference[0], atol=1e-9)


def test_standard_proposals_are_bivariate_t():
    draws = np.asarray(bivariate_t_draws(KEY, 50_000, jnp.dtype("float32")), np.float64)
    # Each of three correct tests fails for one seed in a million.
    half_square = (draws**2).sum(axis=1) / 2
    assert stats.kstest(half_square, stats.f(2, 5).cdf).pvalue > 1e-6
    angle = np.arctan2(draws[:, 1], draws[:, 0])
    assert stats.kstest(angle, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-6
    assert stats.kstest(draws[:, 0], stats.t(5).cdf).pvalue > 1e-6


def test_the_key_alone_decides_the_draws(fit):
    again = hj.fit(RATS, method=METHOD, key=KEY)
    np.testing.assert_array_equal(again.draws, fit.draws)
    np.testing.assert_array_equal(again.unit_draws, fit.unit_draws)
    other = hj.fit(RATS, method=METHOD, key=jax.random.key(2))
    assert not np.any(other.draws == fit.draws)


def test_an_interrupted_run_goes_on_to_the_same_draws(fit, tmp_path):
    path, (interrupt, calls) = tmp_path / "collapsed.npz", interrupting(after=2)
    with pytest.raises(Interruption):
        hj.fit(RATS, method=METHOD, key=KEY, progress=interrupt, checkpoint=path)
    assert calls == [(500, 2000), (1000, 2000)]
    resumed = hj.fit(RATS, method=METHOD, key=KEY, checkpoint=path)
    np.testing.assert_array_equal(resumed.draws, fit.draws)
    np.testing.assert_array_equal(resumed.unit_draws, fit.unit_draws)


@pytest.mark.slow
def test_neither_the_chunk_nor_thinning_nor_rates_change_a_draw(fit):
    method = hj.CollapsedGibbs(chains=16, warmup=500, draws=300, thinning=5, chunk=777)
    thinned = hj.fit(RATS, method=method, key=KEY)
    np.testing.assert_array_equal(thinned.draws, fit.draws[:, ::5])
    assert thinned.unit_draws is None


def simulated(units, alpha, beta, trials, seed):
    generator = np.random.default_rng(seed)
    n = 1 + generator.poisson(trials, units)
    return hj.Counts(generator.binomial(n, generator.beta(alpha, beta, units)), n)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("counts", "hyperprior", "precision"),
    [
        # Few units: the right tail of log-concentration falls like exp(-w / 2).
        (simulated(10, 2.4, 14.0, 20, 1), hj.PowerLaw(), "float64"),
        (hj.Counts([2] * 30, [10] * 30), hj.PowerLaw(), "float64"),
        (hj.Counts([0, 0, 0, 0, 1], [9] * 5), hj.PowerLaw(), "float32"),
        (simulated(1000, 2.4, 14.0, 20, 2), hj.PowerLaw(), "float32"),
        (simulated(50_000, 0.3, 60.0, 300, 3), hj.PowerLaw(), "float64"),
        # Weights need no rates; the tally counts them.
        (
            hj.Counts(RATS.successes, RATS.trials, weights=np.arange(70) % 3 + 1),
            hj.MeanConcentration(dist.Beta(1.0, 3.0), dist.HalfCauchy(5.0)),
            "float64",
        ),
    ],
)
def test_other_posteriors_agree_with_quadrature(counts, hyperprior, precision):
    model = hj.Model(hyperprior=hyperprior)
    method = hj.CollapsedGibbs(chains=32, draws=2000)
    fit = hj.fit(counts, model, method, key=KEY, precision=precision)
    assert fit.status == "converged"
    assert min(fit.info["ess_bulk"]) > 0.3 * 64_000
    require_agreement(fit, hj.fit(counts, model))


@pytest.mark.slow
def test_a_kernel_without_the_proposals_density_is_caught(monkeypatch):
    monkeypatch.setattr(Proposal, "log_density", lambda self, eta: jnp.zeros(len(eta), eta.dtype))
    method = hj.CollapsedGibbs(chains=16, draws=2000, chunk=499)
    fit = hj.fit(RATS, method=method, key=KEY)
    # What it draws in warm-up widens what it draws from, so that few proposals are any good.
    with pytest.raises(AssertionError, match=r"effective sample size|standard errors"):
        require_agreement(fit, exact())


def test_a_tally_of_other_counts_is_caught(fit, monkeypatch):
    """One success in ten taken for a failure, through the compiled kernel of the other tests."""
    right = GibbsData.of

    def wrong(model, tally, units):
        tally = tally._replace(
            successes_above=0.9 * tally.successes_above,
            failures_above=tally.failures_above + 0.1 * tally.successes_above,
        )
        return right(model, tally, units)

    monkeypatch.setattr(GibbsData, "of", wrong)
    other = hj.fit(RATS, method=METHOD, key=KEY)
    with pytest.raises(AssertionError, match="standard errors from the exact posterior"):
        require_agreement(other, exact())


def test_what_it_cannot_do_is_refused():
    with pytest.raises(TypeError, match=r"key: expected a typed key, .* found NoneType"):
        hj.fit(RATS, method=METHOD)
    with pytest.raises(ModelError, match="posterior is improper"):
        hj.fit(hj.Counts([0, 5], [5, 5]), method=METHOD, key=KEY)
    weighted = hj.Counts([1, 2, 3], [5, 5, 5], labels=["a", "b", "c"], weights=[1, 2, 1])
    with pytest.raises(ModelError, match=r"unit 'b': .*weights of 1, found 2"):
        hj.fit(weighted, method=METHOD, key=KEY)


@pytest.mark.parametrize(
    "setting",
    [{"draws": 0}, {"chains": 0}, {"warmup": -1}, {"thinning": 0}, {"chunk": 0}, {"samples": 100}],
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises((ValueError, TypeError), match=next(iter(setting))):
        hj.CollapsedGibbs(**setting)
