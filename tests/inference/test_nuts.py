"""NUTS agrees with quadrature, and reports what its trajectories did."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from compilation import compilations
from interruption import Interruption, interrupting
from monte_carlo import errors, exact, rate_given_draws, require_agreement
from scipy.special import expit
from scipy.stats import beta, binom

import hierjax as hj
from hierjax.errors import InferenceError, ModelError
from hierjax.inference.nuts import NutsData, _of_chains, _potential
from hierjax.inference.result import UnitData

RATS = hj.datasets.rat_tumors()
METHOD = hj.NUTS(warmup=400, draws=600, store_units=True, chunk=500)
KEY = jax.random.key(4)


@pytest.fixture(scope="module")
def fit():
    return hj.fit(RATS, method=METHOD, key=KEY)


def test_draws_agree_with_quadrature(fit):
    assert (fit.status, fit.message) == ("converged", "")
    require_agreement(fit, exact())


@pytest.mark.slow
def test_draws_in_single_precision_agree_under_a_proper_hyperprior():
    hyperprior = hj.MeanConcentration(dist.Beta(1.5, 4.0), dist.LogNormal(3.0, 0.7))
    model = hj.Model(hyperprior=hyperprior)
    fit = hj.fit(RATS, model, METHOD, key=KEY, precision="float32")
    assert fit.draws.dtype == fit.unit_draws.dtype == np.float32
    require_agreement(fit, exact(model))


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


@pytest.mark.parametrize("eta", [(-1.8, 2.7), (0.5, -1.0), (1.0, 6.0)])
def test_the_potential_is_minus_the_log_joint(eta):
    """Against SciPy's densities, up to a constant, and with the Jacobian of the coordinates."""
    y, n = np.array([0, 4, 14]), np.array([20, 14, 14])
    model = hj.Model()

    def expected(u, w, z):
        a, b = expit(u) * np.exp(w), expit(-u) * np.exp(w)
        a_given, b_given = a + y, b + n - y
        scale = np.sqrt(1 / a_given + 1 / b_given)
        theta = expit(np.log(a_given / b_given) + scale * z)
        log_jacobian = np.log(theta) + np.log1p(-theta) + np.log(scale)
        densities = binom.logpmf(y, n, theta) + beta.logpdf(theta, a, b) + log_jacobian
        return densities.sum() - 2.5 * w + np.log(a) + np.log(b)

    rng = np.random.default_rng(0)
    places = [(0.0, 0.0, np.zeros(3)), *((*rng.normal(size=2), rng.normal(size=3)) for _ in "12")]
    with jax.enable_x64(True):
        tally = jax.tree.map(jnp.asarray, hj.Tally.of(hj.Counts(y, n)).arrays())
        data = NutsData.of(model, tally, UnitData(y * 1.0, n * 1.0))
        potential = jax.jit(_potential(data))
        differences = [
            float(potential({"eta": jnp.array([eta[0] + u, eta[1] + w]), "units": jnp.asarray(z)}))
            + expected(eta[0] + u, eta[1] + w, z)
            for u, w, z in places
        ]
    np.testing.assert_allclose(differences, differences[0], rtol=1e-11)


def test_what_the_trajectories_did_is_reported(fit):
    stats = fit.info["per_draw"]
    assert all(np.shape(values) == (4, 600) for values in stats.values())
    # A tree of d doublings has from 2^(d - 1) to 2^d - 1 steps.
    steps, depth = stats["n_steps"], stats["tree_depth"]
    assert np.all((2.0 ** (depth - 1) <= steps) & (steps < 2.0**depth))
    assert steps.max() > steps.min()
    assert np.all((stats["acceptance_rate"] >= 0) & (stats["acceptance_rate"] <= 1))
    np.testing.assert_allclose(fit.info["acceptance"], stats["acceptance_rate"].mean(axis=1))
    # Dual averaging aims at 0.8, and lands within a few hundredths of it or above.
    assert np.all((fit.info["acceptance"] > 0.7) & (fit.info["acceptance"] < 0.97))
    assert fit.info["divergences"] == stats["diverging"].sum() == 0
    assert fit.info["step_size"].shape == (4,)
    assert np.all(fit.info["step_size"] > 0.05)


@pytest.mark.slow
def test_the_key_alone_decides_the_draws(fit):
    again = hj.fit(RATS, method=METHOD, key=KEY)
    np.testing.assert_array_equal(again.draws, fit.draws)
    np.testing.assert_array_equal(again.unit_draws, fit.unit_draws)
    other = hj.fit(RATS, method=METHOD, key=jax.random.key(5))
    assert not np.any(other.draws == fit.draws)


def test_an_interrupted_run_goes_on_to_the_same_draws(fit, tmp_path):
    path, (interrupt, calls) = tmp_path / "nuts.npz", interrupting(after=1)
    with pytest.raises(Interruption):
        hj.fit(RATS, method=METHOD, key=KEY, progress=interrupt, checkpoint=path)
    resumed = hj.fit(
        RATS, method=METHOD, key=KEY, progress=lambda *call: calls.append(call), checkpoint=path
    )
    assert calls == [(500, 1000), (1000, 1000)]
    np.testing.assert_array_equal(resumed.draws, fit.draws)
    np.testing.assert_array_equal(resumed.unit_draws, fit.unit_draws)
    for name, values in fit.info["per_draw"].items():
        np.testing.assert_array_equal(resumed.info["per_draw"][name], values)
    with pytest.raises(InferenceError, match="another run"):
        hj.fit(RATS, method=METHOD, key=jax.random.key(5), checkpoint=path)


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
    counts = hj.Counts([1, 2, 3], [5, 5, 5], weights=[1, 0.5, 1])
    with pytest.raises(ModelError, match=r"unit '2': .*weights of 1, found 0.5"):
        hj.fit(counts, method=METHOD, key=KEY)


def test_improper_posteriors_are_refused():
    with pytest.raises(ModelError, match="posterior is improper"):
        hj.fit(hj.Counts([0, 5], [5, 5]), method=METHOD, key=KEY)


@pytest.mark.parametrize(
    "setting",
    [
        {"draws": 0},
        {"chains": 0},
        {"warmup": 0},
        {"chunk": 0},
        {"target_acceptance": 1.0},
        {"max_tree_depth": 0},
        {"samples": 100},
    ],
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises((ValueError, TypeError), match=next(iter(setting))):
        hj.NUTS(**setting)


def test_chains_of_several_data_sets_are_advanced_as_those_of_each_alone():
    def advance(data, state):
        key, moved = jax.random.split(state["key"])
        at = state["at"] * data["scale"] + data["shift"] + jax.random.normal(moved, (2,))
        return {"key": key, "at": at + state["step"]}

    data = {"scale": jnp.array([2.0, 3.0, 5.0]), "shift": jnp.array([[1.0, -1.0]] * 3)}
    keys = jax.random.split(KEY, (3, 4))
    state = {"key": keys, "at": jnp.arange(24.0).reshape(3, 4, 2)}
    shared = {"scale": data["scale"], "shift": data["shift"][0]}
    axes = {"scale": 0, "shift": None}
    # What is the same for all data sets, of the state too, need not be there for each.
    state["step"] = jnp.arange(4)
    places = {"key": 0, "at": 0, "step": None}
    for given, mapped in ((data, 0), (shared, axes)):
        together = jax.vmap(_of_chains(advance), in_axes=(mapped, places))(given, state)
        for k in range(3):
            mine = jax.tree.map(lambda leaf, k=k: leaf[k], data)
            for chain in range(4):
                one = {"key": keys[k, chain], "at": state["at"][k, chain], "step": chain}
                alone = advance(mine, one)
                np.testing.assert_allclose(together["at"][k, chain], alone["at"], rtol=1e-6)
                assert together["key"][k, chain] == alone["key"]
