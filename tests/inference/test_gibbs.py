"""Gibbs sampling agrees with quadrature, and kernels that are wrong do not."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from compilation import compilations
from interruption import Interruption, interrupting
from monte_carlo import errors, exact, rate_given_draws, require_agreement

import hierjax as hj
from hierjax.errors import InferenceError, ModelError
from hierjax.inference import gibbs

RATS = hj.datasets.rat_tumors()
METHOD = hj.Gibbs(warmup=1000, draws=5000, store_units=True)
KEY = jax.random.key(1)


@pytest.fixture(scope="module")
def sampled():
    """A fit by the default sampler, and everything that its kernel put out."""
    outputs = {}

    def spy(*arguments):
        outputs.update(sample(*arguments))
        return outputs

    sample = gibbs.sample
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gibbs, "sample", spy)
        return hj.fit(RATS, method=METHOD, key=KEY), outputs


@pytest.fixture(scope="module")
def fit(sampled):
    return sampled[0]


def test_draws_agree_with_quadrature(fit):
    assert (fit.status, fit.message) == ("converged", "")
    require_agreement(fit, exact())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "precision"),
    [
        ({"coordinates": "alpha_beta", "thinning": 4}, "float64"),
        ({"coordinates": "alpha_beta", "block": True}, "float32"),
    ],
)
def test_draws_in_other_coordinates_agree_with_quadrature(settings, precision):
    # On (alpha, beta) a chain that starts in the tail takes long to come back.
    method = hj.Gibbs(warmup=2000, draws=6000, **settings)
    fit = hj.fit(RATS, method=method, key=KEY, precision=precision)
    assert fit.draws.shape == (4, 6000, 2)
    assert fit.draws.dtype == precision
    assert np.all((fit.info["acceptance"] > 0.2) & (fit.info["acceptance"] < 0.6))
    require_agreement(fit, exact())


@pytest.mark.slow
def test_rates_that_round_to_zero_or_one_are_no_trouble():
    """Most rates are closer to 0 or 1 than any number of single precision but 0 and 1."""
    counts = hj.Counts([0, 0, 3, 3, 1, 0], [3, 3, 3, 3, 3, 0])
    model = hj.Model(hyperprior=hj.Shapes(dist.Gamma(2.0, 20.0), dist.Exponential(20.0)))
    method = hj.Gibbs(warmup=1000, draws=6000, block=True, store_units=True)
    fit = hj.fit(counts, model, method, key=KEY, precision="float32")
    reference = hj.fit(counts, model)
    require_agreement(fit, reference)
    # Alpha and beta have means under this hyperprior.
    for sign, mean in zip((1, -1), reference.summary()["mean"][4:], strict=True):
        values = np.exp(fit.draws[..., 1]) / (1 + np.exp(-sign * fit.draws[..., 0]))
        assert abs(errors(values, mean)) < 4
    rounded = (fit.unit_draws == 0) | (fit.unit_draws == 1)
    assert rounded[..., 5].mean() > 0.01
    assert np.all((fit.unit_draws >= 0) & (fit.unit_draws <= 1))


INTERWEAVING = {"warmup": 1000, "draws": 6000, "metropolis_steps": 2, "interweaving": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "precision"),
    [
        ({"store_units": True}, "float64"),
        ({"coordinates": "alpha_beta", "block": True, "store_units": True}, "float32"),
    ],
)
def test_interweaved_draws_agree_with_quadrature(settings, precision):
    method = hj.Gibbs(**INTERWEAVING, **settings)
    fit = hj.fit(RATS, method=method, key=KEY, precision=precision)
    require_agreement(fit, exact())
    table = exact().units()
    found = [errors(fit.unit_draws[..., j], mean) for j, mean in enumerate(table["mean"])]
    # Of 70 normal errors one exceeds 4.8 for one seed in 9,000.
    assert np.max(np.abs(found)) < 4.8
    # More effective draws than sweeps alone can give.
    plain = hj.fit(RATS, method=hj.Gibbs(warmup=1000, draws=6000, metropolis_steps=2), key=KEY)
    assert min(fit.info["ess_bulk"]) > 2 * min(plain.info["ess_bulk"])


class HeldAtTheirPlace(hj.Gibbs):
    """Interweaving that forgets to take the rates along."""

    def _interweave(self, data, key, state, logit):
        eta, _, acceptance = super()._interweave(data, key, state, logit)
        return eta, logit, acceptance


@pytest.mark.slow
def test_interweaving_that_leaves_the_rates_behind_is_caught():
    fit = hj.fit(RATS, method=HeldAtTheirPlace(**INTERWEAVING), key=KEY)
    with pytest.raises(AssertionError, match="standard errors from the exact posterior"):
        require_agreement(fit, exact())


class WithoutJacobian(hj.Gibbs):
    """Takes a density on (alpha, beta) for one on the working coordinates."""

    def _log_conditional(self, model, x, seen):
        log_jacobian = 2 * x[1] + jax.nn.log_sigmoid(x[0]) + jax.nn.log_sigmoid(-x[0])
        return super()._log_conditional(model, x, seen) - log_jacobian


def test_a_target_without_jacobian_is_caught():
    method = WithoutJacobian(warmup=1000, draws=10_000, block=True)
    fit = hj.fit(RATS, method=method, key=KEY)
    with pytest.raises(AssertionError, match="standard errors from the exact posterior"):
        require_agreement(fit, exact())


def test_rates_from_the_wrong_conditional_are_caught(monkeypatch):
    """One failure too many in every unit, through the compiled kernel of the other tests."""
    right = gibbs.GibbsData.of

    def wrong(model, tally, units):
        data = right(model, tally, units)
        return data._replace(sizes=data.sizes + 1)

    monkeypatch.setattr(gibbs.GibbsData, "of", wrong)
    fit = hj.fit(RATS, method=METHOD, key=KEY)
    with pytest.raises(AssertionError, match="standard errors from the exact posterior"):
        require_agreement(fit, exact())


def test_rates_agree_with_quadrature(fit):
    table = exact().units()
    found = [errors(fit.unit_draws[..., j], mean) for j, mean in enumerate(table["mean"])]
    # Of 70 normal errors one exceeds 4.8 for one seed in 9,000.
    assert np.max(np.abs(found)) < 4.8
    for column, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
        below = fit.unit_draws < table[column]
        found = [errors(below[..., j].astype(float), level) for j in range(len(RATS))]
        assert np.max(np.abs(found)) < 4.8


def test_rates_and_hyperparameters_are_drawn_jointly(fit):
    """Given the hyperparameters of its own draw, a rate has its conjugate posterior's mean."""
    concentration = fit.draws[..., 1] - fit.draws[..., 1].mean()
    for j in (0, 35, 69):
        conditional = rate_given_draws(fit, int(RATS.successes[j]), int(RATS.trials[j]))
        residual = fit.unit_draws[..., j] - conditional
        # Three units with two errors each: one of them exceeds 4 for one seed in 2,600.
        assert abs(errors(residual, 0.0)) < 4
        assert abs(errors(residual * concentration, 0.0)) < 4


@pytest.mark.slow
def test_acceptance_rates_are_shares_of_proposals_accepted():
    """With one step a sweep a coordinate has moved exactly if its proposal was accepted."""
    method = hj.Gibbs(warmup=0, draws=3000, metropolis_steps=1, proposal_scales=(0.25, 0.3))
    fit = hj.fit(RATS, method=method, key=KEY)
    moved = np.diff(fit.draws, axis=1) != 0
    shares = moved.mean(axis=(0, 1))
    np.testing.assert_allclose(fit.info["proposal_scales"], np.tile([0.25, 0.3], (4, 1)))
    # Both are averages of the same 12,000 proposals: of their acceptances, and of the acceptance
    # probabilities. The difference has a standard error below 0.5 / sqrt(12,000) = 0.0046.
    np.testing.assert_allclose(fit.info["acceptance"].mean(axis=0), shares, atol=4 * 0.0046)
    assert shares[1] - shares[0] > 0.1  # so that exchanged they would be found
    per_draw = fit.info["per_draw"]["acceptance_rate"]
    assert per_draw.shape == (4, 3000)
    np.testing.assert_allclose(per_draw.mean(axis=1), fit.info["acceptance"].mean(axis=1))


@pytest.mark.slow
def test_given_scales_of_block_proposals_are_their_standard_deviations():
    """Steps too small to be refused have the proposals' standard deviations."""
    method = hj.Gibbs(
        warmup=500, draws=1000, metropolis_steps=1, proposal_scales=(1e-3, 2e-3), block=True
    )
    fit = hj.fit(RATS, method=method, key=KEY)
    np.testing.assert_allclose(fit.info["proposal_scales"], np.tile([1e-3, 2e-3], (4, 1)))
    assert fit.info["acceptance"].min() > 0.95
    steps = np.diff(fit.draws, axis=1).reshape(-1, 2)
    moved = steps[steps[:, 0] != 0]
    # A standard deviation of 4,000 normal steps has a relative error of 1 / sqrt(8,000) = 1.1 %.
    np.testing.assert_allclose(moved.std(axis=0), [1e-3, 2e-3], rtol=0.045)


def test_proposals_adapt_in_the_warm_up_only(sampled):
    fit, outputs = sampled
    scales = outputs["scale"]
    assert scales.shape == (6000, 4, 2)
    assert np.all(np.diff(scales[:1000], axis=0) != 0)
    assert np.all(scales[1000:] == scales[1000])
    np.testing.assert_array_equal(fit.info["proposal_scales"], scales[-1])
    # 0.44 is what they adapt to, over 1,000 sweeps of four steps.
    np.testing.assert_allclose(fit.info["acceptance"], 0.44, atol=0.08)


def test_the_key_alone_decides_the_draws(fit):
    again = hj.fit(RATS, method=METHOD, key=KEY)
    np.testing.assert_array_equal(again.draws, fit.draws)
    np.testing.assert_array_equal(again.unit_draws, fit.unit_draws)
    other = hj.fit(RATS, method=METHOD, key=jax.random.key(2))
    assert not np.any(other.draws == fit.draws)


@pytest.mark.slow
def test_neither_the_chunk_nor_thinning_changes_a_draw(fit):
    method = hj.Gibbs(warmup=1000, draws=1000, thinning=5, store_units=True, chunk=777)
    thinned = hj.fit(RATS, method=method, key=KEY)
    np.testing.assert_array_equal(thinned.draws, fit.draws[:, ::5])
    np.testing.assert_array_equal(thinned.unit_draws, fit.unit_draws[:, ::5])


def test_an_interrupted_run_goes_on_to_the_same_draws(fit, tmp_path):
    path, (interrupt, calls) = tmp_path / "gibbs.npz", interrupting(after=3)
    with pytest.raises(Interruption):
        hj.fit(RATS, method=METHOD, key=KEY, progress=interrupt, checkpoint=path)
    assert calls == [(1000, 6000), (2000, 6000), (3000, 6000)]
    resumed = hj.fit(
        RATS, method=METHOD, key=KEY, progress=lambda *call: calls.append(call), checkpoint=path
    )
    assert calls[3:] == [(4000, 6000), (5000, 6000), (6000, 6000)]
    np.testing.assert_array_equal(resumed.draws, fit.draws)
    np.testing.assert_array_equal(resumed.unit_draws, fit.unit_draws)
    with pytest.raises(InferenceError, match="another run"):
        hj.fit(RATS, method=METHOD, key=jax.random.key(2), checkpoint=path)


def test_other_data_of_the_same_size_need_no_compilation(fit):
    fit.summary(), fit.units()
    other = hj.Counts(RATS.successes[::-1].copy(), RATS.trials[::-1] + 1)
    with compilations() as found:
        second = hj.fit(other, method=METHOD, key=jax.random.key(9))
        second.summary(), second.units()
    assert found == []
    assert not jax.config.jax_enable_x64


def test_a_key_is_required():
    with pytest.raises(TypeError, match=r"key: expected a typed key, .* found NoneType"):
        hj.fit(RATS, method=METHOD)


def test_weighted_units_are_refused():
    counts = hj.Counts([1, 2, 3], [5, 5, 5], labels=["a", "b", "c"], weights=[1, 2, 1])
    with pytest.raises(ModelError, match=r"unit 'b': .*weights of 1, found 2; use quadrature"):
        hj.fit(counts, method=METHOD, key=KEY)


def test_improper_posteriors_are_refused():
    with pytest.raises(ModelError, match="posterior is improper"):
        hj.fit(hj.Counts([0, 5], [5, 5]), method=METHOD, key=KEY)


@pytest.mark.parametrize(
    "setting",
    [
        {"draws": 0},
        {"draws": 10.5},
        {"chains": 0},
        {"chains": -1},
        {"warmup": -1},
        {"thinning": 0},
        {"metropolis_steps": 0},
        {"interweaving": -1},
        {"chunk": 0},
        {"coordinates": "log"},
        {"proposal_scales": (0.0, 1.0)},
        {"proposal_scales": (1.0, np.inf)},
        {"proposal_scales": (1.0,)},
        {"samples": 100},
    ],
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises((ValueError, TypeError), match=next(iter(setting))):
        hj.Gibbs(**setting)
