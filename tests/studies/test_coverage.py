"""Tables of a coverage study against plain loops, and their standard errors against repetition."""

import itertools
import math
from dataclasses import dataclass

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

import hierjax as hj
from hierjax.datasets.populations import BetaPopulation, FixedTrials, UniformTrials
from hierjax.errors import ConfigError, DataError
from hierjax.studies.averages import ratio, root
from hierjax.studies.coverage import (
    complete_pooling,
    hyper_table,
    no_pooling,
    size_table,
    status_table,
    top_table,
    unit_table,
)
from hierjax.studies.simulation import Simulated, simulate_batch

LEVEL = 0.8


@dataclass
class Made:
    """Answers that were made up."""

    status: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    coordinates: np.ndarray
    coordinate_low: np.ndarray
    coordinate_high: np.ndarray
    draws: np.ndarray | None = None


def made_truth(batch=7, units=6, seed=0):
    """Data sets of different sizes, with a unit of no trials, and equal numbers of trials."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, units + 1, batch)
    sizes[0] = units
    trials = rng.integers(1, 9, (batch, units))
    trials[0, 1] = 0
    trials[np.arange(units) >= sizes[:, None]] = 0
    rates = np.where(np.arange(units) < sizes[:, None], rng.beta(2, 5, (batch, units)), np.nan)
    successes = rng.binomial(trials, np.nan_to_num(rates))
    coordinates = np.stack([rng.normal(-1, 0.3, batch), rng.normal(2, 0.5, batch)], axis=1)
    return Simulated(hj.DataSets(successes, trials, sizes), rates, coordinates)


def made_answers(truth, batch, seed):
    """Answers near the truth for the first data sets, one of which failed."""
    rng = np.random.default_rng(seed)
    rates = truth.rates[:batch]
    mean = np.clip(rates + rng.normal(0, 0.1, rates.shape), 0, 1)
    low, high = mean - rng.uniform(0, 0.2, rates.shape), mean + rng.uniform(0, 0.2, rates.shape)
    status = np.resize(["converged", "boundary", "failed", "not_converged"], batch)
    coordinates = truth.coordinates[:batch] + rng.normal(0, 0.3, (batch, 2))
    wide = rng.uniform(0.1, 0.6, (batch, 2))
    for values in (mean, low, high, coordinates):
        values[status == "failed"] = np.nan
    draws = coordinates[:, None] + rng.normal(0, 0.3, (batch, 50, 2))
    return Made(status, mean, low, high, coordinates, coordinates - wide, coordinates + wide, draws)


@pytest.fixture(scope="module")
def truth():
    return made_truth()


@pytest.fixture(scope="module")
def answers(truth):
    return {"all": made_answers(truth, 7, 1), "few": made_answers(truth, 4, 2)}


def cells(truth, given, keep=lambda i, j: True):
    """Every unit of a data set that did not fail."""
    for i in range(len(given.mean)):
        if given.status[i] == "failed":
            continue
        for j in range(truth.data_sets.sizes[i]):
            if keep(i, j):
                yield i, j


def by_loop(truth, given, numerator, denominator=lambda i, j: 1.0, keep=lambda i, j: True):
    """A ratio of sums and its standard error, data set by data set."""
    above, below = {}, {}
    for i, j in cells(truth, given, keep):
        above[i] = above.get(i, 0.0) + numerator(i, j)
        below[i] = below.get(i, 0.0) + denominator(i, j)
    value = sum(above.values()) / sum(below.values())
    squares = sum((above[i] - value * below[i]) ** 2 for i in above)
    batch = len(above)
    return value, math.sqrt(batch / (batch - 1) * squares) / sum(below.values())


def rooted(value, error):
    return math.sqrt(value), error / (2 * math.sqrt(value))


def assert_named(row, name, expected):
    assert (row[name], row[f"{name}_mcse"]) == pytest.approx(expected, rel=1e-12), name


def test_unit_table_is_that_of_loops(truth, answers):
    table = unit_table(truth, answers, LEVEL)
    assert table["method"].tolist() == ["all", "few"]
    y, n = truth.data_sets.successes, truth.data_sets.trials
    for row in table.rows():
        given = answers[row["method"]]
        assert row["level"] == LEVEL
        failed = sum(status == "failed" for status in given.status)
        assert (row["failed"], row["data_sets"]) == (failed, len(given.status) - failed)

        def error(i, j, given=given):
            return given.mean[i, j] - truth.rates[i, j]

        def covered(i, j, given=given):
            return float(given.low[i, j] <= truth.rates[i, j] <= given.high[i, j])

        def pooled(i, j):
            return y[i].sum() / n[i].sum() - truth.rates[i, j]

        def raw(i, j):
            return y[i, j] / n[i, j] - truth.rates[i, j]

        def squared(function):
            return lambda i, j: function(i, j) ** 2

        assert_named(row, "coverage", by_loop(truth, given, covered))
        length = by_loop(truth, given, lambda i, j, g=given: g.high[i, j] - g.low[i, j])
        assert_named(row, "length", length)
        assert_named(row, "bias", by_loop(truth, given, error))
        assert_named(row, "rmse", rooted(*by_loop(truth, given, squared(error))))
        relative = by_loop(truth, given, squared(error), squared(pooled))
        assert_named(row, "rmse_over_pooled", rooted(*relative))
        has_raw = by_loop(truth, given, squared(error), squared(raw), lambda i, j: n[i, j] > 0)
        assert_named(row, "rmse_over_raw", rooted(*has_raw))


@pytest.mark.parametrize("bins", [1, 3, 20])
def test_size_table_is_that_of_loops(truth, answers, bins):
    table = size_table(truth, answers, LEVEL, bins=bins)
    n = truth.data_sets.trials
    present = n[truth.data_sets.present]
    sizes = [(row["trials_low"], row["trials_high"]) for row in table.rows()][: len(table) // 2]
    # Sizes share out all numbers of trials, in order, and end at numbers that there are.
    assert sum(int(((present >= low) & (present <= high)).sum()) for low, high in sizes) == len(
        present
    )
    assert all(low <= high for low, high in sizes)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(sizes))
    assert {end for size in sizes for end in size} <= set(present.tolist())
    assert len(sizes) == (len(set(present.tolist())) if bins == 20 else bins)
    for row in table.rows():
        given = answers[row["method"]]

        def inside(i, j, row=row):
            return row["trials_low"] <= n[i, j] <= row["trials_high"]

        found = list(cells(truth, given, inside))
        assert row["units"] == len(found)
        if len({i for i, _ in found}) < 2:
            continue
        covered = by_loop(
            truth,
            given,
            lambda i, j, g=given: float(g.low[i, j] <= truth.rates[i, j] <= g.high[i, j]),
            keep=inside,
        )
        assert row["coverage"] == pytest.approx(covered[0], rel=1e-12)
        assert row["coverage_mcse"] == pytest.approx(covered[1], rel=1e-9, abs=1e-13)
        squares = by_loop(
            truth, given, lambda i, j, g=given: (g.mean[i, j] - truth.rates[i, j]) ** 2, keep=inside
        )
        assert_named(row, "rmse", rooted(*squares))


def test_sizes_hold_about_as_many_units_each():
    given = {"units": 50, "trials": UniformTrials(1, 100), "data_sets": 100}
    truth = simulate_batch(jax.random.key(0), BetaPopulation(2.0, 6.0), **given)
    table = size_table(truth, {"alone": no_pooling(truth, LEVEL)}, LEVEL, bins=4)
    assert len(table) == 4
    assert table["units"].sum() == 5000
    assert np.abs(table["units"] - 1250).max() < 100


def test_hyper_table_is_that_of_loops(truth, answers):
    table = hyper_table(truth, answers, LEVEL)
    functions = {
        "logit_mean": lambda u, w: u,
        "mean": lambda u, w: expit(u),
        "log_concentration": lambda u, w: w,
        "concentration": lambda u, w: math.exp(w),
        "correlation": lambda u, w: 1 / (math.exp(w) + 1),
        "alpha": lambda u, w: expit(u) * math.exp(w),
        "beta": lambda u, w: math.exp(w) - expit(u) * math.exp(w),
    }
    assert table["parameter"].tolist() == [*functions, *functions]
    for row in table.rows():
        given, function = answers[row["method"]], functions[row["parameter"]]
        errors, covered = [], []
        for i, status in enumerate(given.status):
            if status == "failed":
                continue
            true = function(*truth.coordinates[i])
            errors.append(function(*given.coordinates[i]) - true)
            if row["parameter"] in ("alpha", "beta"):
                values = [function(*draw) for draw in given.draws[i]]
                ends = np.quantile(values, [0.1, 0.9])
            else:
                ends = function(*given.coordinate_low[i]), function(*given.coordinate_high[i])
            covered.append(min(ends) <= true <= max(ends))
        batch = len(errors)
        assert row["data_sets"] == row["intervals"] == batch
        error = np.std(covered, ddof=1) / math.sqrt(batch)
        assert row["coverage"] == pytest.approx(np.mean(covered), rel=1e-12)
        assert row["coverage_mcse"] == pytest.approx(error, rel=1e-9, abs=1e-13)
        middle = sorted(errors)[(batch - 1) // 2]
        assert row["median_error"] == pytest.approx(middle, rel=1e-9)
        if row["parameter"] in ("concentration", "alpha", "beta"):
            assert math.isnan(row["bias"])
            assert math.isnan(row["rmse"])
        else:
            error = np.std(errors, ddof=1) / math.sqrt(batch)
            assert_named(row, "bias", (np.mean(errors), error))
            assert row["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-12)


def test_an_infinite_concentration_is_an_estimate_without_a_mean(truth):
    given = made_answers(truth, 7, 1)
    given.coordinates[1, 1] = np.inf
    given.coordinate_low[1] = given.coordinate_high[1] = np.nan
    given.draws = None
    rows = {row["parameter"]: row for row in hyper_table(truth, {"mle": given}, LEVEL).rows()}
    found = given.status != "failed"
    concentration = rows["log_concentration"]
    assert math.isnan(concentration["bias"])
    assert concentration["data_sets"] == found.sum()
    assert concentration["intervals"] == found.sum() - 1
    errors = np.sort((given.coordinates - truth.coordinates)[found, 1])
    assert concentration["median_error"] == errors[(len(errors) - 1) // 2]
    correlation = expit(-given.coordinates[found, 1]) - expit(-truth.coordinates[found, 1])
    assert rows["correlation"]["bias"] == pytest.approx(correlation.mean(), rel=1e-12)
    assert rows["logit_mean"]["intervals"] == found.sum() - 1
    assert rows["alpha"]["intervals"] == 0
    assert math.isnan(rows["alpha"]["coverage"])


def test_where_the_truth_is_infinite_an_infinite_estimate_has_no_error(truth):
    given = made_answers(truth, 7, 1)
    pooled = truth.coordinates.copy()
    pooled[:, 1] = np.inf
    given.coordinates[:, 1] = np.where(given.status == "failed", np.nan, np.inf)
    at_boundary = Simulated(truth.data_sets, truth.rates, pooled)
    rows = {row["parameter"]: row for row in hyper_table(at_boundary, {"mle": given}, LEVEL).rows()}
    assert (rows["log_concentration"]["bias"], rows["log_concentration"]["rmse"]) == (0.0, 0.0)


def expected_share(true, estimated, k):
    """Averages over very many ways to break ties, each taken with equal probability."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(4000):
        tops = []
        for values in (true, estimated):
            order = rng.permutation(len(values))
            tops.append(set(order[np.argsort(-values[order], kind="stable")[:k]].tolist()))
        shares.append(len(tops[0] & tops[1]) / k)
    return np.mean(shares), np.std(shares) / math.sqrt(len(shares))


def test_top_table_is_that_of_sorted_lists(truth, answers):
    table = top_table(truth, answers, sizes=(1, 2, 5))
    for row in table.rows():
        given, k = answers[row["method"]], row["k"]
        shares, sizes = [], []
        for i, status in enumerate(given.status):
            size = truth.data_sets.sizes[i]
            if status == "failed" or size <= k:
                continue
            tops = (
                set(sorted(range(size), key=lambda j, x=x, i=i: -x[i, j])[:k])
                for x in (truth.rates, given.mean)
            )
            shares.append(len(set.intersection(*tops)) / k)
            sizes.append(size)
        assert row["data_sets"] == len(shares)
        assert row["recovered"] == pytest.approx(np.mean(shares), rel=1e-12)
        assert row["by_chance"] == pytest.approx(np.mean(k / np.array(sizes)), rel=1e-12)
        if len(shares) > 1:
            error = np.std(shares, ddof=1) / math.sqrt(len(shares))
            assert row["recovered_mcse"] == pytest.approx(error, rel=1e-9, abs=1e-13)
    # No data set has more units than the largest.
    assert len(top_table(truth, answers, sizes=(6,))) == 0


@pytest.mark.parametrize("k", [1, 2, 4])
def test_ties_are_broken_at_random(k):
    true = np.array([0.9, 0.5, 0.5, 0.1, 0.0, 0.0])
    estimated = np.array([0.3, 0.3, 0.3, 0.2, 0.4, 0.2])
    counts = hj.DataSets(np.ones((1, 6), int), np.full((1, 6), 5))
    truth = Simulated(counts, true[None], np.zeros((1, 2)))
    given = no_pooling(truth, LEVEL)
    given = Made(given.status, estimated[None], *([given.low] * 2), *([given.coordinates] * 3))
    found = top_table(truth, {"made": given}, sizes=[k])["recovered"][0]
    expected, error = expected_share(true, estimated, k)
    # Six standard errors: a false alarm once in 500 million.
    assert abs(found - expected) < 6 * error + 1e-12


def test_status_table_counts(answers):
    table = status_table(answers)
    found = {(row["method"], row["status"]): row["data_sets"] for row in table.rows()}
    assert found["all", "converged"] == found["all", "boundary"] == found["all", "failed"] == 2
    assert found["all", "not_converged"] == found["few", "not_converged"] == 1
    assert len(found) == 8


def test_baselines_are_jeffreys_intervals_of_units_and_of_all_together(truth):
    y, n, sizes = (getattr(truth.data_sets, x) for x in ("successes", "trials", "sizes"))
    alone, together = no_pooling(truth, LEVEL), complete_pooling(truth, LEVEL)
    for i, size in enumerate(sizes):
        for j in range(size):
            law = stats.beta(y[i, j] + 0.5, n[i, j] - y[i, j] + 0.5)
            ends = alone.low[i, j], alone.high[i, j]
            assert ends == pytest.approx(law.ppf([0.1, 0.9]), rel=1e-9)
            if n[i, j] > 0:
                assert alone.mean[i, j] == y[i, j] / n[i, j]
            else:
                assert math.isnan(alone.mean[i, j])
        law = stats.beta(y[i].sum() + 0.5, n[i].sum() - y[i].sum() + 0.5)
        low, high = law.ppf([0.1, 0.9])
        assert together.mean[i, :size] == pytest.approx(y[i].sum() / n[i].sum(), rel=1e-12)
        assert together.low[i, :size] == pytest.approx(low, rel=1e-9)
        assert together.high[i, :size] == pytest.approx(high, rel=1e-9)
        assert together.coordinate_low[i, 0] == pytest.approx(logit(low), rel=1e-9)
        assert together.coordinate_high[i, 0] == pytest.approx(logit(high), rel=1e-9)
        for answers in (alone, together):
            for name in ("mean", "low", "high"):
                assert np.isnan(getattr(answers, name)[i, size:]).all()
    assert np.isnan(alone.coordinates).all()
    assert np.isinf(together.coordinates[:, 1]).all()
    assert len(hyper_table(truth, {"alone": alone}, LEVEL)) == 0


def test_standard_errors_are_those_of_repetition():
    """Under complete pooling the errors of a data set's units are strongly dependent."""
    population, repeats, batch = BetaPopulation(2.0, 6.0), 400, 50
    truth = simulate_batch(
        jax.random.key(1), population, units=12, trials=FixedTrials(8), data_sets=repeats * batch
    )
    found = {name: [] for name in ("coverage", "bias", "rmse", "rmse_over_raw")}
    for start in range(0, repeats * batch, batch):
        rows = slice(start, start + batch)
        part = Simulated(truth.data_sets.select(rows), truth.rates[rows], truth.coordinates[rows])
        table = unit_table(part, {"pooled": complete_pooling(part, LEVEL)}, LEVEL)
        for name, values in found.items():
            values.append((table[name][0], table[f"{name}_mcse"][0]))
    for name, values in found.items():
        estimates, errors = np.array(values).T
        # The spread of 400 has a relative error of 3.5%: five of them, once in 1.7 million.
        assert np.std(estimates) == pytest.approx(errors.mean(), rel=0.18), name


def test_ratio_of_nothing_and_of_one_data_set():
    nothing = ratio(np.zeros(3), np.zeros(3))
    assert all(map(math.isnan, nothing))
    value, error = ratio(np.array([0.0, 3.0]), np.array([0.0, 4.0]))
    assert value == 0.75
    assert math.isnan(error)
    # Data sets without a unit that counts do not count either.
    full = ratio(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
    assert ratio(np.array([1.0, 0.0, 2.0]), np.array([2.0, 0.0, 2.0])) == full
    value, error = root(0.0, 0.0)
    assert value == 0.0
    assert math.isnan(error)


def test_what_cannot_be_compared_is_refused(truth, answers):
    with pytest.raises(DataError, match="all: expected answers for 1 to 3 data sets of 6 units"):
        unit_table(truth.first(3), answers, LEVEL)
    other = made_truth(units=5)
    with pytest.raises(DataError, match="of 5 units, found 7 of 6"):
        size_table(other, answers, LEVEL)
    for table in (unit_table, size_table, hyper_table):
        with pytest.raises(ConfigError, match="level: expected a probability"):
            table(truth, answers, 1.0)
    for baseline in (no_pooling, complete_pooling):
        with pytest.raises(ConfigError, match="level: expected a probability"):
            baseline(truth, 0.0)
    with pytest.raises(ConfigError, match="bins: expected a whole number"):
        size_table(truth, answers, LEVEL, bins=0)
    with pytest.raises(ConfigError, match="sizes: expected a whole number"):
        top_table(truth, answers, sizes=[0])
