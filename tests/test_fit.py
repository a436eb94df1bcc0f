"""Answers of fits: their conventions, their limits and what they refuse."""

from itertools import pairwise

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import kstest

import hierjax as hj
from hierjax.errors import ConfigError, DataError, InferenceError
from hierjax.hyperparameters import PARAMETERS

RATS = hj.datasets.rat_tumors()
SMALL = hj.Counts([1, 3, 2, 9, 0], [9, 12, 8, 40, 0])
UNIT_COLUMNS = [
    "label", "successes", "trials", "raw_rate", "mean", "sd", "low", "median", "high", "shrinkage",
]  # fmt: skip


@pytest.fixture(scope="module")
def fit():
    return hj.fit(RATS)


@pytest.fixture(scope="module")
def point():
    return hj.fit(RATS, method=hj.Type2MLE())


def rows(fit):
    return {row["parameter"]: row for row in fit.summary().rows()}


def test_the_current_experiment_has_the_published_posterior(fit):
    row = next(fit.predict(4, 14).rows())
    assert row["mean"] == pytest.approx(0.210205114877, rel=1e-8)
    assert row["sd"] == pytest.approx(0.075300196799, rel=1e-8)
    found = [row[column] for column in ("low", "median", "high")]
    np.testing.assert_allclose(found, [0.1006954574, 0.2024647996, 0.3462261534], rtol=1e-7)
    assert row["raw_rate"] == 4 / 14


def test_moments_that_do_not_exist_are_empty(fit):
    unbounded = ("concentration", "alpha", "beta")
    for name, row in rows(fit).items():
        missing = name in unbounded
        assert np.isnan(row["mean"]) == np.isnan(row["sd"]) == missing
        assert row["low"] < row["median"] < row["high"]
        assert all(np.isnan(row[column]) for column in ("ess_bulk", "ess_tail", "r_hat"))
    means = rows(hj.fit(RATS, hj.Model(hyperprior=hj.PowerLaw(3.5))))
    assert all(means[name]["mean"] > 0 and np.isnan(means[name]["sd"]) for name in unbounded)
    proper = hj.MeanConcentration(dist.Beta(2.0, 6.0), dist.LogNormal(2.0, 1.0))
    for hyperprior in (hj.PowerLaw(5.0), proper):
        found = rows(hj.fit(RATS, hj.Model(hyperprior=hyperprior)))
        assert all(found[name]["mean"] > 0 and found[name]["sd"] > 0 for name in unbounded)
        # A sum of means, and the mean of a sum.
        total = found["alpha"]["mean"] + found["beta"]["mean"]
        assert found["concentration"]["mean"] == pytest.approx(total, rel=1e-9)


def test_estimates_are_the_medians_of_the_summary(fit, point):
    for one in (fit, point):
        medians = dict(zip(PARAMETERS, one.summary()["median"], strict=True))
        assert {name: one.estimate(name) for name in PARAMETERS} == medians
    with pytest.raises(ConfigError, match=r"parameter: expected one of logit_mean, .* 'kappa'"):
        fit.estimate("kappa")


def test_units_have_their_columns_and_the_predictions_of_their_counts(fit):
    table = fit.units()
    assert list(table) == UNIT_COLUMNS
    assert table["label"].tolist() == RATS.labels.tolist()
    predicted = fit.predict(
        RATS.successes.tolist(), RATS.trials.tolist(), label=RATS.labels.tolist()
    )
    assert list(predicted) == UNIT_COLUMNS
    assert predicted.to_csv() == table.to_csv()


def test_predictions_of_one_unit_and_of_lists(fit):
    one, several = fit.predict(4, 14), fit.predict([0, 4], [0, 14], label=["none", "current"])
    assert one["label"].tolist() == ["new unit"]
    assert several["label"].tolist() == ["none", "current"]
    for column in UNIT_COLUMNS[1:]:
        assert several[column][1] == one[column][0]
    assert np.isnan(several["raw_rate"][0])
    assert several["shrinkage"][0] == pytest.approx(1.0, abs=1e-14)


def test_counts_that_are_none_are_refused(fit):
    for successes, trials, message in (
        (5, 4, r"new unit.*expected at most 4 .* found 5"),
        (-1, 4, "found -1"),
        (1, -4, "found -4"),
        ([1, 2], [4, 1], "found 2"),
        ([1, 2], [4], "found 2 successes and 1 trials"),
    ):
        with pytest.raises(DataError, match=message):
            fit.predict(successes, trials)
    # The run-time checks of annotations, where they are on, are the first to refuse this.
    with pytest.raises((DataError, TypeError), match="successes"):
        fit.predict(1.5, 4)


def test_errors_name_new_units_as_they_were_called(fit):
    with pytest.raises(DataError, match=r"^new unit 'lab 7', successes: expected at most 4"):
        fit.predict(5, 4, label="lab 7")


def test_labels_of_new_units_are_one_for_all_or_one_for_each(fit):
    assert fit.predict([1, 2], [4, 5], label="a")["label"].tolist() == ["a", "a"]
    for successes, label, found in (([1, 2], ["a", "b", "c"], "2 with 3 labels"), ([], "a", "0")):
        with pytest.raises(DataError, match=f"new units: expected one or more, .*found {found}"):
            fit.predict(successes, [4] * len(successes), label=label)


def test_predictions_of_counts_that_are_none_are_refused(point):
    for arguments, message in (
        ((-1,), "the unit, new trials: expected a whole number .* found -1"),
        ((3, 5, 2), "the unit, successes: expected at most 2"),
        ((20, 5), r"successes: expected at most 0 \(its trials so far, the argument trials\), fou"),
        ((3, -1, 2), "the unit, successes: expected a whole number .* found -1"),
    ):
        with pytest.raises(DataError, match=message):
            point.predictive(*arguments)
    with pytest.raises(DataError, match="the unit, successes: expected at most 3"):
        point.unit_density(5, 3, np.array([0.5]))
    for rate in (0.0, 1.0, float("nan")):
        with pytest.raises(DataError, match=f"rates: .*strictly between 0 and 1, found {rate}"):
            point.unit_density(1, 3, np.array([0.5, rate]))
    np.testing.assert_allclose(point.predictive(0), [1.0], rtol=1e-12)


@pytest.mark.parametrize("draws", [0, -1])
def test_no_draws_are_refused(fit, point, draws):
    for one in (fit, point):
        with pytest.raises(
            ConfigError, match=f"draws: expected a whole number of at least 1, found {draws}"
        ):
            one.sample(draws, jax.random.key(0))


def test_a_unit_without_trials_has_the_population_as_posterior():
    fit = hj.fit(SMALL)
    row, population = list(fit.units().rows())[-1], next(fit.predict(0, 0).rows())
    for column in UNIT_COLUMNS[4:]:
        assert row[column] == population[column]
    values = fit.posterior.points[..., 0]
    mean = np.sum(fit.posterior.weights / (1 + np.exp(-values)))
    assert row["mean"] == pytest.approx(mean, rel=1e-12)
    without = hj.fit(SMALL.select(slice(4)))
    assert without.info["log_evidence"] == pytest.approx(fit.info["log_evidence"], rel=1e-12)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
def test_levels_are_inside_zero_and_one(fit, level):
    for ask in (fit.summary, fit.units, lambda value: fit.predict(4, 14, level=value)):
        with pytest.raises(ConfigError, match=r"level: expected a probability inside \(0, 1\)"):
            ask(level)


def test_quantiles_of_units_rise_with_the_level(fit):
    tables = [fit.predict([0, 4, 0, 9], [20, 14, 0, 9], level) for level in (0.2, 0.5, 0.9, 0.99)]
    for inner, outer in pairwise(tables):
        assert np.all(outer["low"] < inner["low"])
        assert np.all(outer["high"] > inner["high"])
        np.testing.assert_array_equal(outer["median"], inner["median"])
    assert np.all((tables[-1]["low"] > 0) & (tables[-1]["high"] < 1))


@pytest.mark.slow
def test_draws_have_the_distribution_of_the_quantiles(fit):
    draws = fit.sample(4000, jax.random.key(51))
    assert draws.shape == (4000, 2)
    levels = np.linspace(0.02, 0.98, 25)
    tables = [fit.summary(level) for level in levels]
    for i in (0, 1):
        ends = [(1 - levels, "low"), (1 + levels, "high")]
        points = [(p / 2, [t[column][i] for t in tables]) for p, column in ends]
        p, x = (np.concatenate(parts) for parts in zip(*points, strict=True))
        order = np.argsort(x)
        p, x = p[order], x[order]
        kept = draws[(draws[:, i] > x[0]) & (draws[:, i] < x[-1]), i]
        uniform = (np.interp(kept, x, p) - p[0]) / (p[-1] - p[0])
        # Two checks, each failed by a right sampler for one key in 100,000. Between 50 quantiles
        # the distribution function is taken as linear: off by less than 0.002, where the
        # statistic's critical value is 0.038.
        assert kstest(uniform, "uniform").pvalue > 1e-5
        inside = (p[-1] - p[0]) * 4000
        # A binomial count is farther off than five standard deviations once in a million times.
        assert abs(len(kept) - inside) < 5 * np.sqrt(4000 * 0.98 * 0.02)


def test_sampling_is_decided_by_its_key(fit, point):
    one, same, other = (fit.sample(4000, jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.any(one == other)
    at = np.tile(np.asarray(point.posterior.points)[0, 0], (5, 1))
    np.testing.assert_array_equal(point.sample(5, jax.random.key(1)), at)
    for key in (None, 0, np.zeros(2, np.uint32)):
        with pytest.raises(TypeError, match="key"):
            fit.sample(5, key)


@pytest.mark.parametrize("enabled", [False, True])
def test_the_precision_is_the_fits_own(enabled):
    with jax.enable_x64(enabled):
        for precision in ("float64", "float32"):
            fit = hj.fit(SMALL, method=hj.Moments(), precision=precision)
            fit.units()
            assert jax.config.jax_enable_x64 == enabled
            assert fit.posterior.points.dtype == precision
            assert fit.dtype == np.dtype(precision)


@pytest.mark.slow
def test_single_precision_comes_near(fit):
    single = hj.fit(RATS, precision="float32").predict(4, 14)
    exact = fit.predict(4, 14)
    for column in UNIT_COLUMNS[4:]:
        # Log-densities of about 160 are rounded by 1e-5, and weights by as much.
        assert single[column][0] == pytest.approx(exact[column][0], rel=1e-3)


def test_unknown_precisions_are_refused():
    # The run-time checks of annotations, where they are on, are the first to refuse this.
    with pytest.raises((ConfigError, TypeError), match="precision"):
        hj.fit(RATS, precision="float16")


def test_predictive_probabilities_are_the_mixture_of_beta_binomials(fit):
    found = fit.predictive(6, successes=4, trials=14)
    assert found.shape == (7,)
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    mean = fit.predict(4, 14)["mean"][0]
    assert found @ np.arange(7) == pytest.approx(6 * mean, rel=1e-10)


def test_densities_of_units_integrate_to_their_distribution(fit):
    row = next(fit.predict(4, 14).rows())
    rates = np.linspace(row["low"], row["high"], 2001)
    density = fit.unit_density(4, 14, rates)
    # The trapezoidal rule errs by the square of its 2000th part.
    assert np.trapezoid(density, rates) == pytest.approx(0.9, abs=1e-6)


def test_a_failed_fit_says_why_whatever_it_is_asked():
    fit = hj.fit(hj.Counts([0, 0], [5, 5]), method=hj.Type2MLE())
    assert repr(fit) == "Fit(method='type2_mle', units=2, status='failed')"
    for ask in (fit.summary, fit.units, fit.loo, lambda: fit.predict(1, 2)):
        with pytest.raises(InferenceError, match="type2_mle: no result, the likelihood has no max"):
            ask()


def test_complete_pooling_gives_every_unit_the_pooled_rate():
    fit = hj.fit(hj.Counts([2] * 20, [10] * 20), method=hj.Type2MLE())
    assert fit.status == "boundary"
    table = fit.units()
    for column in ("mean", "low", "median", "high"):
        np.testing.assert_allclose(table[column], 0.2, rtol=1e-12)
    np.testing.assert_array_equal(table["sd"], 0.0)
    np.testing.assert_array_equal(table["shrinkage"], 1.0)
    with pytest.raises(InferenceError, match="complete pooling, rates have no density"):
        fit.unit_density(2, 10, np.array([0.2]))
