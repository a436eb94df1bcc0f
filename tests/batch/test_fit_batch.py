"""`fit_batch` against fits of each data set alone."""

import jax
import numpy as np
import pytest
from interruption import Interruption, interrupting
from scipy.special import betainc, expit
from scipy.stats import kstest, norm

import hierjax as hj
from hierjax.batch import work
from hierjax.errors import ConfigError, InferenceError
from hierjax.families import FAMILIES

KEY = jax.random.key(0)
SHORT = hj.CollapsedGibbs(chains=4, warmup=100, draws=100)
NAMES = ("mean", "sd", "low", "median", "high")
# Means and standard deviations are a lean lattice's, right to the square of its tolerance, 0.03.
# Quantiles are those of Betas that stand for each row's mixture, right to 1e-3 in probability: at
# the ends of the interval densities are some 0.1 a standard deviation, in its middle 0.4.
CLOSE = {"mean": 9e-4, "sd": 9e-4, "low": 1e-2, "median": 2.5e-3, "high": 1e-2}


def simulated(concentration, units, seed):
    rng = np.random.default_rng(seed)
    trials = rng.integers(5, 50, units)
    rates = rng.beta(0.15 * concentration, 0.85 * concentration, units)
    return hj.Counts(rng.binomial(trials, rates), trials)


# Much overdispersion, little, none to be seen, few units, units of no trials.
DATA = [
    simulated(5.0, 40, 0),
    simulated(30.0, 40, 1),
    hj.Counts([2] * 20, [10] * 20),
    simulated(8.0, 6, 2),
    hj.Counts([3, 0, 5, 0, 1], [9, 0, 11, 0, 7]),
]


@pytest.fixture(scope="module")
def batch():
    return hj.DataSets.of(DATA)


@pytest.fixture(scope="module")
def exact(batch):
    return hj.fit_batch(batch, chunk=4)


def assert_close(fits, row, alone, close=None):
    table = alone.units(level=0.9)
    sd = np.asarray(table["sd"])
    for name in NAMES:
        found = getattr(fits, name)[row, : len(sd)]
        away = np.max(np.abs(found - np.asarray(table[name])) / sd)
        assert away < (close or CLOSE)[name], f"{name} of data set {row}: {away:.2g} sd"


@pytest.mark.parametrize("row", range(len(DATA)))
def test_quadrature_is_that_of_each_data_set(exact, row):
    alone = hj.fit(DATA[row])
    assert exact.status[row] == "converged"
    assert_close(exact, row, alone)
    summary = alone.summary()
    sd = summary["sd"][:2]
    assert np.max(np.abs(exact.coordinates[row] - summary["mean"][:2]) / sd) < 1e-4
    assert np.max(np.abs(exact.coordinate_sd[row] / sd - 1)) < 1e-3
    assert exact.log_evidence[row] == pytest.approx(alone.info["log_evidence"], abs=1e-4)


@pytest.mark.parametrize("method", [hj.Type2MLE(optimizer="newton"), hj.Moments()])
def test_point_estimates_are_those_of_each_data_set(batch, method):
    fits = hj.fit_batch(batch, method=method, chunk=4)
    close = dict.fromkeys(NAMES, 1e-4)  # of the lattice of log-odds
    statuses = []
    for row, counts in enumerate(DATA):
        alone = hj.fit(counts, method=method)
        statuses.append(str(alone.status))
        if alone.status == "converged":
            assert_close(fits, row, alone, close)
        if alone.status == "boundary":  # one rate for all, to the width that Betas keep
            pooled = counts.successes.sum() / counts.trials.sum()
            assert np.nanmax(np.abs(fits.mean[row] - pooled)) < 1e-9
            assert np.nanmax(np.abs(fits.high[row] - fits.low[row])) < 1e-4
            assert fits.coordinates[row, 1] == np.inf
    assert fits.status.tolist() == statuses
    assert {"converged", "boundary"} <= set(statuses)


def test_what_is_not_there_is_not_told(batch, exact):
    for name in NAMES:
        assert np.array_equal(np.isfinite(getattr(exact, name)), batch.present)


def test_company_and_chunks_change_nothing(batch, exact):
    again = hj.fit_batch(batch.select([3, 0, 1]), chunk=4)
    for name in NAMES:
        ours, theirs = getattr(again, name), getattr(exact, name)[[3, 0, 1]]
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_data_sets_of_one_size_class_compile_once(batch, exact):
    before = work._chunk._cache_size()
    hj.fit_batch(batch.select([4, 0, 2]), chunk=4)
    assert work._chunk._cache_size() == before


def test_data_sets_in_a_larger_size_class_are_done_by_its_program(batch, exact):
    before = work._chunk._cache_size()
    small = hj.DataSets.of(DATA[3:])
    fits = hj.fit_batch(small, chunk=4, size_class=hj.SizeClass.of(batch))
    assert work._chunk._cache_size() == before
    for name in NAMES:
        ours, theirs = getattr(fits, name), getattr(exact, name)[3:, : small.trials.shape[1]]
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def test_hyperparameters_have_their_intervals(exact):
    for row, counts in enumerate(DATA):
        summary = hj.fit(counts).summary(level=0.9)
        ends = (exact.coordinate_low, exact.coordinate_median, exact.coordinate_high)
        for name, values in zip(("low", "median", "high"), ends, strict=True):
            away = np.abs(values[row] - summary[name][:2]) / summary["sd"][:2]
            assert np.max(away) < 2e-3, f"{name} of data set {row}"


def test_wald_intervals(batch):
    fits = hj.fit_batch(batch, method=hj.Moments(), level=0.8, chunk=4)
    assert np.all(np.isnan(fits.coordinate_low[fits.status == "boundary"]))
    reach = norm.ppf(0.9) * fits.coordinate_sd
    np.testing.assert_allclose(fits.coordinate_high, fits.coordinates + reach, rtol=1e-10)
    np.testing.assert_allclose(fits.coordinate_low, fits.coordinates - reach, rtol=1e-10)


def test_corrected_intervals_are_those_of_each_data_set(batch):
    method = hj.Type2MLE(optimizer="newton")
    fits = hj.fit_batch(batch, method=method, empirical_bayes="corrected", chunk=4)
    for row in (0, 1):
        alone = hj.fit(DATA[row], method=method).corrected()
        # The product rules have their nodes along other axes.
        assert_close(fits, row, alone, CLOSE)


@pytest.mark.slow
def test_draws_of_quadrature_are_independent_ones(exact, batch):
    """Two coordinates and a rate of three data sets: nine tests at 1e-4 fail one seed in 1,100."""
    fits = hj.fit_batch(batch, key=KEY, draws=1000, rates=(0, 4), chunk=4)
    assert fits.draws.shape == (5, 1000, 2)
    assert fits.rate_draws.shape == (5, 1000, 2)
    for row in (0, 1, 3):
        ours, theirs = fits.draws[row].T, hj.fit(DATA[row]).sample(4000, jax.random.key(9))
        for found, expected in zip(ours, theirs.T, strict=True):
            assert kstest(found, expected).pvalue > 1e-4
        alpha, beta = expit(ours[0]) * np.exp(ours[1]), expit(-ours[0]) * np.exp(ours[1])
        y, n = DATA[row].successes[4], DATA[row].trials[4]
        uniform = betainc(alpha + y, beta + n - y, fits.rate_draws[row, :, 1])
        assert kstest(uniform, "uniform").pvalue > 1e-4


def require_posterior(fits, exact, largest):
    """Means and medians within some Monte Carlo standard errors of quadrature's.

    Of 5 data sets with two coordinates each, twice: beyond 5 errors once in 90,000 seeds.
    """
    error = exact.coordinate_sd / np.sqrt(fits.ess)
    assert np.nanmax(np.abs(fits.coordinates - exact.coordinates) / error) < largest
    off = np.abs(fits.coordinate_median - exact.coordinate_median) / (1.25 * error)
    assert np.nanmax(off) < largest
    away = np.abs(fits.mean - exact.mean) / exact.sd
    assert np.nanmax(away * np.sqrt(fits.ess.min(axis=1))[:, None]) < largest


def test_a_sampler_has_the_posterior_of_each_data_set(batch, exact):
    method = hj.CollapsedGibbs(chains=4, warmup=200, draws=1000)
    fits = hj.fit_batch(batch, method=method, key=KEY, draws=50)
    assert np.all(fits.ess > 200)
    require_posterior(fits, exact, 5.0)
    assert fits.draws.shape == (5, 50, 2)
    again = hj.fit_batch(batch, method=method, key=KEY, draws=50)
    np.testing.assert_array_equal(again.draws, fits.draws)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        hj.Gibbs(chains=4, warmup=500, draws=5000, block=True, interweaving=2),
        hj.NUTS(chains=2, warmup=500, draws=2000),
    ],
)
def test_samplers_of_rates_do_not_see_what_fills_up(batch, exact, method):
    """Data sets of 5 to 40 units, in one rectangle."""
    fits = hj.fit_batch(batch, method=method, key=KEY)
    assert np.all(fits.ess > 300)
    require_posterior(fits, exact, 5.0)


@pytest.mark.slow
def test_chains_that_are_too_short_have_not_converged(batch):
    fits = hj.fit_batch(batch, method=SHORT, key=KEY)
    alone = fits.ess.min(axis=1) < 400
    assert alone.any()
    assert np.all(fits.status[alone] == "not_converged")


def test_an_interrupted_call_goes_on(tmp_path, batch):
    given = {"method": hj.Moments(), "chunk": 4, "checkpoint": tmp_path / "parts"}
    many = batch.select(np.arange(15) % 5)
    progress, _ = interrupting(2)
    with pytest.raises(Interruption):
        hj.fit_batch(many, progress=progress, **given)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()}
    assert len(kept) >= 2
    fits, whole = hj.fit_batch(many, **given), hj.fit_batch(many, method=hj.Moments(), chunk=4)
    for name in (*NAMES, "coordinates", "status"):
        np.testing.assert_array_equal(getattr(fits, name), getattr(whole, name))
    for name, written in kept.items():
        assert (tmp_path / "parts" / name).stat().st_mtime_ns == written
    with pytest.raises(InferenceError, match="belongs to another call"):
        hj.fit_batch(many, **given | {"level": 0.5})
    next((tmp_path / "parts").iterdir()).write_bytes(b"PK")
    with pytest.raises(InferenceError, match="expected a part of a batch"):
        hj.fit_batch(many, **given)


@pytest.mark.slow
def test_failures_are_statuses(batch):
    hopeless = hj.Counts([0, 0, 4], [3, 5, 4])
    mixed = hj.DataSets.of([hopeless, *DATA[:3]])
    for method in (None, hj.Type2MLE(optimizer="newton")):
        fits = hj.fit_batch(mixed, method=method, chunk=4)
        assert fits.status[0] == "failed"
        assert "failed" not in fits.status[1:]
        assert np.all(np.isnan(fits.mean[0]))
        assert np.all(np.isnan(fits.coordinates[0]))


@pytest.mark.slow
def test_a_lattice_too_coarse_is_refined(batch, exact):
    coarse = hj.Quadrature(rows=8, columns=8, tolerance=0.03, max_refinements=2)
    fits = hj.fit_batch(batch, method=coarse, chunk=4)
    assert np.all(fits.status == "converged")
    assert np.nanmax(np.abs(fits.mean - exact.mean) / exact.sd) < 2e-3
    stuck = hj.fit_batch(batch, method=hj.Quadrature(rows=8, columns=8, max_refinements=0), chunk=4)
    assert np.all(stuck.status == "not_converged")


def test_tables(batch, exact):
    units, hyper = exact.units(), exact.summary()
    assert len(units) == batch.sizes.sum()
    assert len(hyper) == 2 * len(batch)
    assert units["data_set"].tolist() == np.repeat(range(5), batch.sizes).tolist()
    assert np.all(np.isfinite(units["mean"]))
    assert repr(exact) == "BatchFit(quadrature, data_sets=5: 5 converged)"


def test_one_data_set_is_fitted_alone_as_in_the_batch(batch, exact):
    for position, counts in enumerate(DATA):
        alone = exact.alone(position)
        assert (len(alone.counts), alone.method) == (len(counts), exact.method)
        mean = exact.mean[position, : len(counts)]
        away = np.abs(alone.units(level=exact.level)["mean"] - mean) / alone.units()["sd"]
        assert np.max(away) < 1e-3
    with pytest.raises(ConfigError, match="data_set: expected a whole number from 0 to 4, found 5"):
        exact.alone(5)
    with pytest.raises(TypeError, match="key: expected a typed key"):
        hj.fit_batch(batch, method=SHORT, key=KEY, chunk=4).alone(0)


@pytest.mark.parametrize("empirical_bayes", ["plug_in", "corrected"])
def test_alone_an_estimate_is_corrected_as_in_the_batch(batch, empirical_bayes):
    method = hj.Type2MLE(optimizer="newton")
    fits = hj.fit_batch(
        batch, method=method, empirical_bayes=empirical_bayes, precision="float32", chunk=4
    )
    alone = fits.alone(4)
    assert alone.precision == "float32"
    assert (alone.result.estimate is not None) == (empirical_bayes == "corrected")
    size = batch.sizes[4]
    low = alone.units(level=fits.level)["low"]
    # Two rules for the same normal distribution, one of them in rows.
    np.testing.assert_allclose(low, fits.low[4, :size], rtol=2e-2)


def test_progress_ends_with_all(batch):
    seen = []
    hj.fit_batch(batch, chunk=4, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 5), (5, 5)]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"level": 1.0}, ConfigError, "level: expected a probability"),
        ({"chunk": 0}, ConfigError, "chunk: expected a whole number of at least 1"),
        ({"method": hj.NUTS()}, TypeError, "key: expected a typed key"),
        ({"draws": 9}, TypeError, "key: expected a typed key"),
        ({"method": hj.Moments(), "draws": 9}, ConfigError, "a method with a posterior"),
        ({"empirical_bayes": "corrected"}, ConfigError, "expected a point estimate"),
        ({"method": SHORT, "draws": 401}, ConfigError, "draws: expected at most 400"),
        ({"draws": 9, "rates": (5,), "key": KEY}, ConfigError, "a data set of 5 units, found 5"),
        ({"chunk": 10**9}, ConfigError, "chunk: expected data sets that fit into"),
        (
            {"model": hj.Model(FAMILIES["gamma_poisson"])},
            ConfigError,
            "expected the family beta_binomial, as batches know no other, found gamma_poisson",
        ),
    ],
)
def test_what_is_refused(batch, settings, error, message):
    with pytest.raises(error, match=message):
        hj.fit_batch(batch, **settings)


@pytest.mark.slow
def test_single_precision_is_close(batch, exact):
    single = hj.fit_batch(batch, precision="float32")
    assert np.all(single.status == "converged")
    for name in NAMES:
        away = np.abs(getattr(single, name) - getattr(exact, name)) / exact.sd
        assert np.nanmax(away) < CLOSE[name]


@pytest.mark.slow
def test_many_data_sets_like_the_rats():
    """The worst of 14,000 units, and of populations from wide to none."""
    rats, rng = hj.datasets.rat_tumors(), np.random.default_rng(4)
    for alpha, beta in ((2.3, 14.0), (0.3, 1.0), (20.0, 120.0), (1e4, 6e4)):
        trials = np.tile(rats.trials, (200, 1))
        data = hj.DataSets(rng.binomial(trials, rng.beta(alpha, beta, trials.shape)), trials)
        fits = hj.fit_batch(data)
        assert np.all(fits.status == "converged")
        for row in range(0, 200, 50):
            assert_close(fits, row, hj.fit(data.counts(row)))
