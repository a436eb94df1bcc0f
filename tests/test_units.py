"""What is answered about units, against SciPy's Beta distributions on plain grids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hierarchy_oracle import Grid
from monte_carlo import exact
from scipy import stats
from scipy.special import betainc, expit

import hierjax as hj
from hierjax import units
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.posterior import HyperPosterior

RATS = hj.datasets.rat_tumors()
FAMILY, LEVELS = BetaBinomial(), np.array([0.05, 0.5, 0.95])
_BATCH = 8  # of pairs, as fits ask for them: what they have compiled serves here as well


def answer(posterior, pairs, dtype=np.float64):
    """Moments and quantiles of pairs of counts."""
    y, n = np.zeros((2, _BATCH))
    y[: len(pairs)], n[: len(pairs)] = np.transpose(pairs)
    y, n, levels = (jnp.asarray(values, dtype) for values in (y, n, LEVELS))
    posterior = HyperPosterior(*(jnp.asarray(values, dtype) for values in posterior))
    moments = units.unit_moments(FAMILY, posterior, y, n)
    quantiles = units.unit_quantiles(FAMILY, posterior, y, n, levels)
    kept = [np.asarray(values)[: len(pairs)] for values in (*moments, quantiles)]
    return units.UnitMoments(*kept[:3]), kept[3]


class Mixture:
    """A unit's posterior as a weighted sum of SciPy's Beta distributions."""

    def __init__(self, weights, alpha, beta, pair):
        kept = weights > 1e-13 * weights.max()
        y, n = pair
        self.weights = weights[kept] / weights[kept].sum()
        self.alpha, self.beta = alpha[kept] + y, beta[kept] + n - y

    def below(self, rates):
        return np.array([self.weights @ betainc(self.alpha, self.beta, x) for x in rates])

    def density(self, rates):
        return np.array([self.weights @ stats.beta.pdf(x, self.alpha, self.beta) for x in rates])

    def mean(self):
        return self.weights @ (self.alpha / (self.alpha + self.beta))


def rats_grid():
    return Grid(RATS.successes, RATS.trials, (-2.9, -0.8, 0.035), (0.4, 40.0, 0.1))


def test_every_unit_of_the_rats():
    fit, grid = exact(), rats_grid()
    pairs = sorted({(4, 14), (0, 0), *zip(RATS.successes, RATS.trials, strict=True)})
    with jax.enable_x64(True):
        for start in range(0, len(pairs), _BATCH):
            batch = pairs[start : start + _BATCH]
            moments, quantiles = answer(fit.posterior, batch)
            for pair, mean, sd, shrinkage, found in zip(batch, *moments, quantiles, strict=True):
                assert mean == pytest.approx(grid.rate_mean(*pair), abs=1e-10)
                assert sd == pytest.approx(grid.rate_sd(*pair), abs=1e-10)
                concentration = grid.alpha + grid.beta
                expected = grid.mean(concentration / (concentration + pair[1]))
                assert shrinkage == pytest.approx(expected, abs=1e-10)
                mixture = Mixture(grid.weights, grid.alpha, grid.beta, pair)
                off = (mixture.below(found) - LEVELS) / mixture.density(found)
                np.testing.assert_allclose(off, 0, atol=1e-9, err_msg=str(pair))


SHAPES = [(0, 0), (0, 1), (5, 10), (0, 1000), (1000, 1000), (1, 10**9), (5 * 10**8, 10**9)]


@pytest.mark.parametrize("eta", [(0.0, 0.0), (-2.0, 3.0), (5.0, 6.0), (-0.3, 18.0)])
def test_a_single_point_gives_beta_quantiles(eta):
    with jax.enable_x64(True):
        moments, quantiles = answer(HyperPosterior.at(jnp.array(eta)), SHAPES)
    alpha, beta = expit(eta[0]) * np.exp(eta[1]), expit(-eta[0]) * np.exp(eta[1])
    for (y, n), mean, sd, found in zip(SHAPES, moments.mean, moments.sd, quantiles, strict=True):
        unit = stats.beta(alpha + y, beta + n - y)
        assert mean == pytest.approx(unit.mean(), rel=1e-12)
        assert sd == pytest.approx(unit.std(), rel=1e-9)
        np.testing.assert_allclose(unit.cdf(found), LEVELS, rtol=0, atol=1e-7)


def test_quantiles_that_underflow_are_zero():
    """Beta(5e-5, 5e-5): rates are 0 or 1 to double precision."""
    with jax.enable_x64(True):
        _, quantiles = answer(HyperPosterior.at(jnp.array([0.0, -9.2])), [(0, 0), (0, 1), (1, 1)])
    assert quantiles[0, 0] == 0.0
    assert quantiles[0, 2] == 1.0
    np.testing.assert_array_equal(quantiles[1], 0.0)
    np.testing.assert_array_equal(quantiles[2], 1.0)


def test_a_row_of_draws_is_their_mixture():
    rng = np.random.default_rng(4)
    points = rng.normal([-1.8, 2.7], [0.1, 0.3], (1, 400, 2))
    weights = np.full((1, 400), 1 / 400)
    alpha, beta = (expit(sign * points[0, :, 0]) * np.exp(points[0, :, 1]) for sign in (1, -1))
    pairs = [(0, 0), (4, 14), (30, 90), (3, 10**6)]
    with jax.enable_x64(True):
        moments, quantiles = answer(HyperPosterior(points, weights), pairs)
    for pair, mean, found in zip(pairs, moments.mean, quantiles, strict=True):
        mixture = Mixture(weights[0], alpha, beta, pair)
        assert mean == pytest.approx(mixture.mean(), rel=1e-12)
        np.testing.assert_allclose(mixture.below(found), LEVELS, rtol=0, atol=1e-8)


def require_probabilities(grid, pairs, quantiles, atol):
    for pair, found in zip(pairs, quantiles, strict=True):
        mixture = Mixture(grid.weights, grid.alpha, grid.beta, pair)
        np.testing.assert_allclose(mixture.below(found), LEVELS, atol=atol, err_msg=str(pair))


# Where the hyperparameters' nodes are sparser than a unit's Beta distributions are wide, widening
# these moves probabilities by a thousandth; unwidened they would be wrong by up to a third.
def test_quantiles_towards_complete_pooling():
    counts = hj.Counts([2] * 20, [10] * 20)
    pairs = [(0, 0), (2, 10), (4, 14), (0, 300)]
    grid = Grid(counts.successes, counts.trials, (-2.5, -0.3, 0.004), (-1.0, 34.0, 0.1))
    with jax.enable_x64(True):
        _, quantiles = answer(hj.fit(counts).posterior, pairs)
    require_probabilities(grid, pairs, quantiles, 1e-3)


def test_quantiles_of_a_large_unit_unlike_the_others():
    """Its posterior follows the concentration: spikes from row to row of the lattice."""
    rng = np.random.default_rng(6)
    counts = hj.Counts(rng.binomial(30, 0.1, 2000), np.full(2000, 30))
    pairs = [(20_000, 100_000), (0, 100_000), (200, 1000)]
    grid = Grid(counts.successes, counts.trials, (-2.4, -2.0, 0.004), (3.0, 34.0, 0.005))
    with jax.enable_x64(True):
        _, quantiles = answer(hj.fit(counts).posterior, pairs)
    require_probabilities(grid, pairs, quantiles, 5e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_trouble_at_the_ends_of_the_floating_type(dtype):
    reach = 60.0 if dtype == np.float32 else 300.0
    w, u = np.meshgrid(np.linspace(-reach, reach, 96), 1.2 * np.linspace(-reach, reach, 48))
    weights = np.exp(-0.5 * (u / 20) ** 2 - 0.5 * (w / 12) ** 2).T
    points = np.stack([u, w], axis=-1).swapaxes(0, 1)
    pairs = [(0, 0), (0, 10), (10, 10), (0, 10**6), (10**6, 10**6), (0, 2**30), (3, 2**30)]
    with jax.enable_x64(dtype == np.float64):
        moments, quantiles = answer(HyperPosterior(points, weights / weights.sum()), pairs, dtype)
    for values in (*moments, quantiles):
        assert values.dtype == dtype
        assert np.all((values >= 0) & (values <= 1))
    assert np.all(np.diff(quantiles) >= 0)


def test_density():
    fit, rates = exact(), np.array([0.01, 0.1, 0.2, 0.35, 0.7])
    grid = rats_grid()
    for pair in ((0, 0), (4, 14)):
        mixture = Mixture(grid.weights, grid.alpha, grid.beta, pair)
        np.testing.assert_allclose(
            fit.unit_density(*pair, rates), mixture.density(rates), rtol=1e-8
        )


def test_predictive():
    """A mixture of beta-binomials, in which seeing a unit in two parts is seeing it at once."""
    posterior, k = exact().posterior, np.arange(15)

    def predict(new_successes, new_trials, successes, trials):
        with jax.enable_x64(True):
            values = (new_successes, new_trials, successes, trials)
            arrays = (jnp.asarray(value, float) for value in values)
            on_device = jax.tree.map(jnp.asarray, posterior)
            return np.exp(np.asarray(units.log_predictive(FAMILY, on_device, *arrays)))

    fresh = predict(k, 14, 0, 0)
    grid = rats_grid()
    kept = grid.weights > 1e-13
    for (y, n), found in (((0, 0), fresh), ((4, 14), predict(k, 14, 4, 14))):
        alpha, beta = grid.alpha[kept] + y, grid.beta[kept] + n - y
        expected = [grid.weights[kept] @ stats.betabinom.pmf(i, 14, alpha, beta) for i in k]
        np.testing.assert_allclose(found, expected, rtol=1e-7)
        assert found.sum() == pytest.approx(1.0, abs=1e-12)
    # Of 4 + k successes in 28 trials, 4 fall among the first 14 by chance.
    joint = predict(4 + k, 28, 0, 0) * stats.hypergeom.pmf(4, 28, 4 + k, 14)
    assert joint.sum() == pytest.approx(fresh[4], rel=1e-12)
