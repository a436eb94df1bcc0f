"""The tally: exact, additive, and worth the same as every unit by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln, gammaln

import hierjax as hj
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.tally import Tally, TallyArrays, distinct_pairs, tally_batch

FAMILY = BetaBinomial()
ETA = np.array([-1.7, 2.4])


@st.composite
def tables(draw):
    """Units with zeros, all successes, no trials, few trials and up to 10^9."""
    trials = draw(
        st.lists(
            st.one_of(st.integers(0, 40), st.integers(500, 530), st.just(10**9)),
            min_size=2,
            max_size=12,
        )
    )
    successes = [draw(st.one_of(st.just(0), st.just(n), st.integers(0, n))) for n in trials]
    return np.array(successes), np.array(trials)


def tally_of(successes, trials, multiplicity=None):
    weights = np.ones(len(trials)) if multiplicity is None else multiplicity
    return Tally.from_pairs(successes, trials, weights)


def brute_force(successes, trials, eta):
    alpha = np.exp(eta[1]) / (1 + np.exp(-eta[0]))
    beta = np.exp(eta[1]) / (1 + np.exp(eta[0]))
    y, n = np.asarray(successes, float), np.asarray(trials, float)
    coefficient = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    return np.sum(coefficient + betaln(alpha + y, beta + n - y) - betaln(alpha, beta))


@jax.jit
def log_marginal(arrays, eta):
    return FAMILY.log_marginal_tally(arrays, FAMILY.constrain(eta))


@given(tables())
def test_tallies_add_in_any_order(table):
    y, n = table
    whole = tally_of(y, n)
    order = np.argsort(y, kind="stable")[::-1]
    for cut in {1, len(n) // 2, len(n) - 1}:
        parts = tally_of(y[order][cut:], n[order][cut:]) + tally_of(y[order][:cut], n[order][:cut])
        assert parts == whole
    assert whole.multiplicity.sum() == len(n)
    assert whole.interior == np.sum((y > 0) & (y < n))


@given(tables())
def test_counts_of_counts_are_counts(table):
    y, n = table
    arrays = tally_of(y, n).arrays()
    length = len(arrays.trials_above)
    few = n <= length
    for name, values in (
        ("successes_above", y),
        ("failures_above", n - y),
        ("trials_above", n),
    ):
        expected = [np.sum(values[few] > k) for k in range(length)]
        np.testing.assert_array_equal(getattr(arrays, name), expected)
    assert arrays.pair_multiplicity.sum() == np.sum(~few)
    assert float(arrays.total_successes) == y.sum()


# The shapes of the arrays vary little, so that these tables compile a handful of programs.
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_log_marginal_is_the_sum_over_units(seed):
    rng = np.random.default_rng(seed)
    trials = np.concatenate([rng.integers(0, 31, 15), rng.integers(600, 90_000, seed % 2 * 5)])
    successes = rng.integers(0, trials + 1)
    with jax.enable_x64(True):
        found = float(log_marginal(tally_of(successes, trials).arrays(), jnp.asarray(ETA)))
        units = jax.vmap(FAMILY.log_marginal, in_axes=(0, 0, None))(
            jnp.asarray(successes, float),
            jnp.asarray(trials, float),
            FAMILY.constrain(jnp.asarray(ETA)),
        )
        assert found == pytest.approx(float(units.sum()), rel=1e-13)
    # Log-betas of 90,000 trials cancel by five digits.
    assert found == pytest.approx(brute_force(successes, trials, ETA), rel=1e-9)


@pytest.mark.parametrize("length", [0, 16, 64, 256, 512])
def test_value_does_not_depend_on_where_pairs_begin(monkeypatch, length):
    """The same units entirely as pairs, entirely as counts of counts, or mixed."""
    trials = np.array([3, 15, 16, 17, 60, 255, 256, 257, 500, 511, 512, 513, 514])
    successes = trials // 3
    monkeypatch.setattr(Tally, "_dense_length", lambda self: length)
    arrays = tally_of(successes, trials).arrays()
    assert len(arrays.trials_above) == length
    with jax.enable_x64(True):
        found = float(log_marginal(arrays, jnp.asarray(ETA)))
    assert found == pytest.approx(brute_force(successes, trials, ETA), rel=1e-12)


def test_complete_pooling_is_a_binomial():
    with jax.enable_x64(True):
        arrays = hj.Tally.of(hj.datasets.rat_tumors()).arrays()
        pooled = FAMILY.constrain(jnp.array([-1.7, 2.0]))._replace(dispersion=jnp.asarray(0.0))
        value, slope = jax.jit(
            jax.value_and_grad(
                lambda phi: FAMILY.log_marginal_tally(arrays, pooled._replace(dispersion=phi))
            )
        )(jnp.asarray(0.0))
        m = 1 / (1 + np.exp(1.7))
        exact = float(arrays.log_coefficient) + 263 * np.log(m) + 1462 * np.log1p(-m)
        assert float(value) == pytest.approx(exact, rel=1e-13)
        counts = hj.datasets.rat_tumors()
        y, n = counts.successes, counts.trials
        f = n - y
        expected = np.sum(y * (y - 1) / m + f * (f - 1) / (1 - m) - n * (n - 1)) / 2
        assert float(slope) == pytest.approx(expected, rel=1e-12)


def test_weights_are_multiplicities():
    twice = hj.Counts([1, 3, 3], [9, 20, 20])
    weighted = hj.Counts([1, 3], [9, 20], weights=[1.0, 2.0])
    assert hj.Tally.of(twice) == hj.Tally.of(weighted)
    assert hj.Tally.of(twice) != hj.Tally.of(hj.Counts([1, 3], [9, 20]))


def test_a_million_units_need_few_numbers():
    rng = np.random.default_rng(5)
    trials = rng.integers(0, 51, 1_000_000)
    arrays = tally_of(rng.binomial(trials, 0.2), trials).arrays()
    assert isinstance(arrays, TallyArrays)
    assert sum(values.size for values in arrays) < 1000


@pytest.mark.parametrize("largest", [40, pytest.param(3000, marks=pytest.mark.slow)])
def test_a_batch_of_tallies_has_every_data_sets_likelihood(largest):
    rng = np.random.default_rng(largest)
    trials = rng.integers(1, largest, (3, 20))
    trials[1, 12:] = 0
    successes = rng.binomial(trials, 0.2)
    with jax.enable_x64(True):
        batch, model = jax.tree.map(jnp.asarray, tally_batch(successes, trials)), hj.Model()
        eta = jnp.array([-1.2, 2.0])
        one = jax.jit(lambda arrays: model.log_marginal(arrays, eta))
        found = np.asarray(jax.vmap(one)(batch))
        for value, y, n, units in zip(found, successes, trials, batch.units, strict=True):
            alone = hj.Tally.of(hj.Counts(y[n > 0], n[n > 0])).arrays()
            assert float(value) == pytest.approx(float(one(alone)), rel=1e-12)
            assert units == alone.units


@pytest.mark.parametrize("largest", [6, 10**9])
def test_distinct_pairs_by_a_table_or_by_sorting(largest):
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, largest, (2, 500))
    pairs, inverse = distinct_pairs(first, second)
    rows = np.unique(np.stack([first, second]), axis=1)
    np.testing.assert_array_equal(pairs, rows)
    np.testing.assert_array_equal(pairs[:, inverse], np.stack([first, second]))
