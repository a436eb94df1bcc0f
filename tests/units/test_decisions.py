"""Lists, ranks, contrasts and predictions against joint draws by NumPy, and against definitions."""

import itertools

import jax
import numpy as np
import pytest
from monte_carlo import exact
from scipy import stats
from scipy.special import expit

import hierjax as hj
from hierjax.errors import ConfigError, DataError, InferenceError
from hierjax.units.exceedance import q_values

RATS = hj.datasets.rat_tumors()
DRAWS = 200_000
# Of some 500 comparisons one is 5 standard errors off once in 3,500 runs of other seeds.
_ERRORS = 5.0


class Brute:
    """Joint draws of all rates: hyperparameters by rejection, rates by NumPy."""

    def __init__(self):
        self.generator = np.random.default_rng(11)
        eta = exact().sample(DRAWS, jax.random.key(5))
        kappa = np.exp(eta[:, 1])
        self.mean = expit(eta[:, 0])
        self.alpha, self.beta = self.mean * kappa, expit(-eta[:, 0]) * kappa
        self.rates = np.stack(
            [self.unit(y, n) for y, n in zip(RATS.successes, RATS.trials, strict=True)], axis=1
        )

    def unit(self, y, n):
        return self.generator.beta(self.alpha + y, self.beta + n - y)


@pytest.fixture(scope="module")
def brute():
    return Brute()


def require_mean(found, draws, least=1e-5):
    """A value is the mean of draws, to their Monte Carlo error."""
    error = draws.std(axis=0) / np.sqrt(len(draws)) + least
    np.testing.assert_array_less(np.abs(found - draws.mean(axis=0)), _ERRORS * error)


def require_quantile(found, draws, level):
    """A value is a quantile of draws, to the error of its share."""
    share = (draws <= found).mean()
    assert abs(share - level) < _ERRORS * np.sqrt(level * (1 - level) / len(draws)) + 1e-5


def test_exceedance(brute):
    table = exact().exceedance(0.2, fdr=0.1)
    above = brute.rates > 0.2
    require_mean(table["probability_above"], above)
    np.testing.assert_allclose(table["pep"], 1 - table["probability_above"], atol=1e-12)
    # The share of false discoveries among those listed, in the draws.
    listed = table["selected"]
    assert 0 < listed.sum() < 70
    require_mean(table["pep"][listed].mean(), (~above[:, listed]).mean(axis=1))
    assert table["pep"][listed].mean() <= 0.1
    longer = np.sort(table["pep"])[: listed.sum() + 1]
    assert longer.mean() > 0.1
    below = exact().exceedance(0.2, fdr=0.1, direction="below")
    np.testing.assert_allclose(below["pep"], table["probability_above"], atol=1e-12)


def test_q_values_by_their_definition():
    pep = np.array([0.3, 0.01, 0.3, 0.2, 0.0, 0.9])
    expected = [np.mean(pep[pep <= value]) for value in pep]
    np.testing.assert_allclose(q_values(pep), expected, rtol=1e-14)


def test_sign_rates(brute):
    for reference, against in ((None, brute.mean[:, None]), (0.15, 0.15)):
        table = exact().sign_rates(reference)
        above = brute.rates > against
        require_mean(table["probability_above"], above)
        lfsr = np.minimum(table["probability_above"], 1 - table["probability_above"])
        np.testing.assert_allclose(table["local_false_sign_rate"], lfsr, atol=1e-12)
        np.testing.assert_allclose(table["s_value"], q_values(lfsr), atol=1e-12)


def test_ranks(brute):
    order = np.argsort(-brute.rates, axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, 71)[None], axis=1)
    table = exact().ranks(10, key=jax.random.key(3), draws=20_000)
    require_mean(table["expected_rank"], ranks)
    require_mean(table["p_best"], ranks == 1)
    assert table["expected_rank"].sum() == pytest.approx(70 * 71 / 2, rel=1e-9)
    assert table["p_best"].sum() == pytest.approx(1, abs=1e-6)
    among = (ranks <= 10).mean(axis=0)
    error = np.sqrt(among * (1 - among) * (1 / DRAWS + 1 / 20_000)) + 1e-4
    np.testing.assert_array_less(np.abs(table["p_top_k"] - among), _ERRORS * error)
    assert table["p_top_k"].sum() == pytest.approx(10, abs=1e-9)
    assert table["in_top_k"].sum() == 10
    inside = ((ranks >= table["low"]) & (ranks <= table["high"])).mean(axis=0)
    assert np.all(inside > 0.88)
    matrix = exact().rank_probabilities(key=jax.random.key(3), draws=20_000)
    np.testing.assert_allclose(matrix.sum(axis=0), 1, atol=1e-12)
    np.testing.assert_allclose(matrix[:, :10].sum(axis=1), table["p_top_k"], atol=1e-12)


@pytest.mark.slow
def test_ranks_of_units_too_narrow_for_a_common_lattice_are_drawn():
    counts = hj.Counts([10, 5 * 10**6, 5_005_000, 40], [50, 10**7, 10**7, 60])
    table = hj.fit(counts).ranks(2, key=jax.random.key(0), draws=2000)
    assert table["expected_rank"][2] < table["expected_rank"][1]
    assert table["expected_rank"].sum() == pytest.approx(10)


def test_contrasts(brute):
    table = exact().contrasts(control="1", level=0.8)
    control = brute.rates[:, [0]]
    difference, ratio = brute.rates[:, 1:] - control, brute.rates[:, 1:] / control
    require_mean(table["p_greater"], difference > 0)
    require_mean(table["difference_mean"], difference)
    require_mean(table["expected_loss"], np.maximum(-difference, 0))
    for row in range(0, 69, 4):
        for name, draws in (("difference", difference), ("ratio", ratio)):
            require_quantile(table[f"{name}_low"][row], draws[:, row], 0.1)
            require_quantile(table[f"{name}_high"][row], draws[:, row], 0.9)


def test_all_pairs_are_each_others_mirror_images():
    counts = RATS.select([0, 30, 66, 69])
    fit = hj.fit(counts, method=hj.Type2MLE())
    table = fit.contrasts()
    labels = list(itertools.combinations(counts.labels, 2))
    assert list(zip(table["label"], table["control"], strict=True)) == labels
    for control in counts.labels:
        against = fit.contrasts(control=control)
        for row in against.rows():
            if (row["control"], row["label"]) in labels:
                mirror = next(
                    r for r in table.rows()
                    if (r["label"], r["control"]) == (row["control"], row["label"])
                )  # fmt: skip
                assert row["p_greater"] == pytest.approx(1 - mirror["p_greater"], abs=1e-9)
                assert row["difference_low"] == pytest.approx(-mirror["difference_high"], abs=1e-7)
                assert row["ratio_low"] == pytest.approx(1 / mirror["ratio_high"], rel=1e-6)
                gain = mirror["expected_loss"] + mirror["difference_mean"]
                assert row["expected_loss"] == pytest.approx(gain, abs=1e-8)


def test_predictions(brute):
    table = exact().predictions(20, level=0.8)
    counts = brute.generator.binomial(20, brute.rates)
    require_mean(table["mean"], counts)
    np.testing.assert_allclose(table["sd"], counts.std(axis=0), rtol=0.01)
    pmf = exact().predictive(20, 9, 24)
    expected = np.searchsorted(np.cumsum(pmf), [0.1, 0.5, 0.9])
    assert [table[name][69] for name in ("low", "median", "high")] == list(expected)


@pytest.mark.slow
@pytest.mark.parametrize("pair", [(9, 24), (300, 10**6)])
def test_predictions_of_very_many_trials(pair):
    """Neither way of integrating depends on which of the rate and the trials is the narrower."""
    counts = hj.Counts([2, 9, pair[0]], [20, 24, pair[1]])
    fit = hj.fit(counts, method=hj.Type2MLE())
    table = fit.predictions(20_000)
    draws = fit.predictive_draws(
        20_000, key=jax.random.key(2), draws=100_000, successes=pair[0], trials=pair[1]
    )
    for name, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
        assert (draws < table[name][-1]).mean() < level + 0.005
        assert (draws <= table[name][-1]).mean() > level - 0.005


def test_draws_of_next_successes_have_their_probabilities():
    draws = exact().predictive_draws(
        14, key=jax.random.key(1), draws=50_000, successes=4, trials=14
    )
    expected = exact().predictive(14, 4, 14) * len(draws)
    kept = expected > 10
    observed = np.bincount(draws, minlength=15)
    found = [*observed[kept], observed[~kept].sum()]
    # A false alarm once in 10,000 seeds.
    assert stats.chisquare(found, [*expected[kept], expected[~kept].sum()]).pvalue > 1e-4


def test_corrected_intervals_carry_the_estimates_error():
    plug_in = hj.fit(RATS, method=hj.Type2MLE())
    corrected = plug_in.corrected()
    full = exact()
    widths = [f.units()["high"] - f.units()["low"] for f in (plug_in, corrected, full)]
    assert np.mean(widths[1] / widths[0]) > 1.01
    assert np.mean(widths[1] > widths[0]) > 0.9
    np.testing.assert_allclose(np.mean(widths[1]), np.mean(widths[2]), rtol=0.02)
    assert str(corrected.summary()) == str(plug_in.summary())
    # The rule is exact for means that are linear in small changes: against draws of the estimate.
    eta = corrected.sample(50_000, jax.random.key(0))
    covariance = plug_in.result.covariance
    np.testing.assert_allclose(np.cov(eta.T), covariance, atol=0.02 * covariance.max())


def test_no_correction_without_standard_errors():
    with pytest.raises(InferenceError, match="standard errors"):
        exact().corrected()


def test_complete_pooling_has_answers_or_says_why_not():
    pooled = hj.fit(hj.Counts([2] * 5, [10] * 5), method=hj.Type2MLE())
    assert pooled.status == "boundary"
    np.testing.assert_array_equal(pooled.exceedance(0.1)["probability_above"], 1.0)
    binomial = stats.binom(10, 0.2)
    assert pooled.predictions(10)["high"][0] == binomial.ppf(0.95)
    for ask in (
        lambda: pooled.sign_rates(),
        lambda: pooled.contrasts("1"),
        lambda: pooled.ranks(2, key=jax.random.key(0)),
    ):
        with pytest.raises(InferenceError, match="complete pooling"):
            ask()


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda f: f.exceedance(1.0), ConfigError, "threshold: expected a probability inside"),
        (lambda f: f.exceedance(float("nan")), ConfigError, "threshold"),
        (lambda f: f.exceedance(0.2, fdr=0.0), ConfigError, "fdr"),
        (lambda f: f.exceedance(0.2, direction="up"), ConfigError, "'above' or 'below'"),
        (lambda f: f.sign_rates(-1.0), ConfigError, "reference"),
        (
            lambda f: f.ranks(71, key=jax.random.key(0)),
            ConfigError,
            "number from 1 to 70",
        ),
        (lambda f: f.ranks(3, key=jax.random.key(0), draws=0), ConfigError, "draws"),
        (lambda f: f.ranks(3, key=jax.random.PRNGKey(0)), TypeError, "key"),
        (lambda f: f.contrasts(control="71"), DataError, "control: expected the label of one unit"),
        (lambda f: f.contrasts(control="1", level=1.5), ConfigError, "level"),
        (lambda f: f.predictions(0), ConfigError, "new_trials"),
        (lambda f: f.units(interval="hdi"), ConfigError, "'equal_tailed' or 'highest_density'"),
    ],
)
def test_wrong_questions_are_refused(ask, error, says):
    with pytest.raises(error, match=says):
        ask(exact())
