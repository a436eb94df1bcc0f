"""`fit_batch` against fits of each data set alone."""

import numpy as np
import pytest

import hierjax as hj
from hierjax.batch import fitting
from hierjax.errors import ConfigError, ModelError

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
    before = fitting._chunk._cache_size()
    hj.fit_batch(batch.select([4, 0, 2]), chunk=4)
    assert fitting._chunk._cache_size() == before


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
    units, hyper = exact.units(), exact.hyperparameters()
    assert len(units) == batch.sizes.sum()
    assert len(hyper) == 2 * len(batch)
    assert units["data_set"].tolist() == np.repeat(range(5), batch.sizes).tolist()
    assert np.all(np.isfinite(units["mean"]))
    assert repr(exact) == "BatchFit(quadrature, data_sets=5: 5 converged)"


def test_progress_ends_with_all(batch):
    seen = []
    hj.fit_batch(batch, chunk=4, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 5), (5, 5)]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"level": 1.0}, ConfigError, "level: expected a probability"),
        ({"chunk": 0}, ConfigError, "chunk: expected a whole number of at least 1"),
        (
            {"method": hj.NUTS()},
            ModelError,
            "expected moments, type2_mle or quadrature, found NUTS",
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
