"""What is asked of a fit of events, or of measurements: names, limits, checks and new data."""

from functools import cache

import jax
import numpy as np
import pytest
from family_oracle import EXAMPLES, Unit, log_marginal
from scipy import stats

import hierjax as hj
from hierjax.checks import baselines
from hierjax.containers import CONTAINERS
from hierjax.errors import ConfigError, DataError
from hierjax.families import FAMILIES
from hierjax.hyperpriors import Shrinkage, default_hyperprior
from hierjax.updating import union

EVERY = pytest.mark.parametrize("name", list(FAMILIES))
KEY = jax.random.key(1)
# The default takes its exposure from the units, so that others have another hyperprior.
HYPERPRIORS = {
    "beta_binomial": default_hyperprior("beta_binomial"),
    "gamma_poisson": Shrinkage(exposure=6.0),
    "normal_normal": default_hyperprior("normal_normal"),
}
slow = pytest.mark.slow  # Compiling takes most of the time.


def data(name, **named):
    example = EXAMPLES[name]
    return CONTAINERS[name](example.values, example.sizes, **named)


def refit(name, units):
    return hj.fit(units, hj.Model(FAMILIES[name], HYPERPRIORS[name]))


@cache
def fit(name):
    return refit(name, data(name))


@cache
def unit(name, pair):
    return Unit(name, fit(name).posterior, pair)


def below(name, pair, c, weights=None):
    """P(parameter < c), and how far off that may be.

    A mixture over the points of a lattice is a sum of steps where they pool nearly completely:
    3e-6 of these counts, as they pool hardly, but 3e-4 of the effects, whose probabilities are
    therefore an integral over tau, with the mean integrated out.
    """
    if name != "normal_normal":
        return unit(name, pair).cdf(c), 1e-5
    example, (value, error) = EXAMPLES[name], pair
    tau = np.exp(np.linspace(-14, 9, 20_001))
    shares = np.ones(len(example.values)) if weights is None else weights
    variance = example.sizes**2 + tau[:, None] ** 2
    precision = (1 / variance) @ shares
    mean = (1 / variance) @ (shares * example.values) / precision
    # Flat in the mean and in tau, which is spaced by its logarithm.
    logs = stats.norm.logpdf(example.values, mean[:, None], np.sqrt(variance)) @ shares
    mass = np.exp(logs - logs.max() - 0.5 * np.log(precision)) * tau
    kept = 1 / (1 + (tau / error) ** 2)
    center = mean + (1 - kept) * (value - mean)
    sd = np.sqrt(tau**2 * kept + kept**2 / precision)
    return np.average(stats.norm.cdf(c, center, sd), weights=mass), 2e-7


@slow
@EVERY
def test_new_units_by_any_name(name):
    pair, columns = EXAMPLES[name].asked[2], FAMILIES[name].columns
    table = fit(name).predict(*pair, label="new")
    for named in (
        dict(zip(columns, pair, strict=True)),
        dict(zip(columns[::-1], pair[::-1], strict=True)),
    ):
        assert fit(name).predict(**named)["mean"][0] == table["mean"][0]
    assert list(table)[:4] == ["label", *columns, "raw_rate"]
    assert table["mean"][0] == pytest.approx(unit(name, pair).mean, rel=1e-10)
    for end, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
        found, error = below(name, pair, table[end][0])
        assert found == pytest.approx(level, abs=error)
    with pytest.raises(ConfigError, match=f"expected {columns[0]} and {columns[1]}, found 'sizes'"):
        fit(name).predict(sizes=3)
    # Of successes and trials Python itself says so.
    with pytest.raises((ConfigError, TypeError), match=r"twice|multiple values"):
        fit(name).predict(pair[0], pair[1], **{columns[1]: pair[1]})


@slow
@EVERY
def test_a_unit_without_data_is_the_population(name):
    nothing = FAMILIES[name].on_host.nothing
    table = fit(name).predict(*nothing)
    assert np.isnan(table["raw_rate"][0])
    assert table["shrinkage"][0] == pytest.approx(1.0, abs=1e-12)
    found, error = below(name, nothing, table["high"][0])
    assert found == pytest.approx(0.95, abs=error)


@slow
@EVERY
def test_next_values(name):
    example = EXAMPLES[name]
    pair, size = example.asked[1], example.new_size
    next_name = f"new_{FAMILIES[name].columns[1]}"
    at = np.arange(4.0)
    density = fit(name).predictive_density(at, size, *pair)
    expected = [unit(name, pair).next_pmf(k, size) for k in at]
    np.testing.assert_allclose(density, expected, rtol=1e-9)
    table = fit(name).predictions(**{next_name: size}, level=0.8)
    assert list(table)[3:] == [next_name, "mean", "sd", "low", "median", "high"]
    if FAMILIES[name].support == "reals":
        with pytest.raises(ConfigError, match="predictive_density"):
            fit(name).predictive(size)
        assert unit(name, pair).next_cdf(table["high"][1], size) > 0
        return
    probabilities = fit(name).predictive(size, *pair)
    assert 0 <= 1 - probabilities.sum() < 1e-8
    np.testing.assert_allclose(probabilities[:4], expected, rtol=1e-9)


@slow
def test_events_left_out_of_a_prediction():
    whole, cut = (fit("gamma_poisson").predictive(6.5, 4, 2.5, tail=t) for t in (1e-12, 1e-2))
    np.testing.assert_allclose(whole[: len(cut)], cut, rtol=1e-12)
    assert 1e-3 < whole[len(cut) :].sum() <= 1e-2


@slow
@EVERY
def test_thresholds_are_within_the_limits(name):
    low, high = FAMILIES[name].limits
    assert len(fit(name).exceedance(EXAMPLES[name].thresholds[1])) == len(EXAMPLES[name].values)
    for beyond in {low, high, np.nan}:
        with pytest.raises(ConfigError, match="threshold"):
            fit(name).exceedance(float(beyond))
    if np.isfinite(low):
        with pytest.raises(DataError, match="rates"):
            fit(name).unit_density(*EXAMPLES[name].asked[2], np.array([low - 1.0]))


@slow
def test_bad_next_sizes_are_refused():
    for name, sizes in (("gamma_poisson", (0, -2.0, np.nan)), ("normal_normal", (0.0, -1.0))):
        for size in sizes:
            with pytest.raises(DataError, match="positive"):
                fit(name).predictions(size)


@slow
def test_effects_have_differences_and_no_ratios():
    table = fit("normal_normal").contrasts(control="1")
    assert not any(column.startswith("ratio") for column in table)
    assert "ratio_low" in fit("gamma_poisson").contrasts(control="1")


@slow
@EVERY
def test_leaving_out_is_fitting_without(name):
    """The elpd and the transform of a unit against the fit of all others."""
    values, sizes = EXAMPLES[name].values, EXAMPLES[name].sizes
    found, pit = fit(name).loo(), fit(name).loo_pit()
    for j in (0, 4):
        rest = refit(name, data(name).select(np.arange(len(values)) != j))
        points, weights = rest.posterior.points.reshape(-1, 2).T, rest.posterior.weights.ravel()
        logs = log_marginal(name, values[j], sizes[j], *points)
        expected = np.log(weights @ np.exp(logs))
        assert found.pointwise[j] == pytest.approx(expected, abs=2e-4)
        other = Unit(name, rest.posterior, FAMILIES[name].on_host.nothing)
        high = other.next_cdf(values[j], sizes[j])
        assert pit.high[j] == pytest.approx(high, abs=2e-4)
        width = 0.0 if FAMILIES[name].support == "reals" else np.exp(expected)
        assert pit.low[j] == pytest.approx(high - width, abs=4e-4)


def test_predictions_without_a_hierarchy():
    events = data("gamma_poisson")
    found = baselines(events)
    y, e = events.events, events.exposures
    for j in range(len(events)):
        rest, exposed = y.sum() - y[j], e.sum() - e[j]
        share = exposed / (exposed + e[j])
        together = stats.nbinom.logpmf(y[j], 1 + rest, share)
        assert found["complete_pooling"].pointwise[j] == pytest.approx(together, rel=1e-9)
        rate = exposed / (1 + rest)
        alone = stats.nbinom.logpmf(y[j], 1, rate / (rate + e[j]))
        assert found["no_pooling"].pointwise[j] == pytest.approx(alone, rel=1e-9)
    schools = data("normal_normal")
    found = baselines(schools)
    for j in range(len(schools)):
        rest = schools.select(np.arange(len(schools)) != j)
        precision = 1 / rest.errors**2
        mean, sd = precision @ rest.values / precision.sum(), precision.sum() ** -0.5
        together = stats.norm.logpdf(schools.values[j], mean, np.hypot(sd, schools.errors[j]))
        assert found["complete_pooling"].pointwise[j] == pytest.approx(together, rel=1e-9)
        spread = np.sqrt(np.mean((rest.values - rest.values.mean()) ** 2 + rest.errors**2))
        alone = stats.norm.logpdf(
            schools.values[j], rest.values.mean(), np.hypot(spread, schools.errors[j])
        )
        assert found["no_pooling"].pointwise[j] == pytest.approx(alone, rel=1e-9)


@slow
@EVERY
@pytest.mark.parametrize("rates", ["population", "units"])
def test_replicated_data(name, rates):
    """The average of all replicates' largest values against SciPy's own replicates."""
    example, size = EXAMPLES[name], 4000
    check = fit(name).posterior_predictive(KEY, draws=size, rates=rates)
    statistic = check["statistic"].tolist()[1]
    generator = np.random.default_rng(3)
    posterior = fit(name).posterior
    at = generator.choice(posterior.weights.size, size, p=posterior.weights.ravel())
    columns = []
    for pair in zip(example.values.tolist(), example.sizes.tolist(), strict=True):
        own = pair if rates == "units" else FAMILIES[name].on_host.nothing
        each = Unit(name, posterior, own).each
        arguments = [np.broadcast_to(x, posterior.weights.size)[at] for x in each.args]
        named = {key: x[at] for key, x in each.kwds.items()}
        parameter = each.dist.rvs(*arguments, **named, random_state=generator)
        if name == "beta_binomial":
            columns.append(generator.binomial(pair[1], parameter) / pair[1])
        elif name == "gamma_poisson":
            columns.append(generator.poisson(parameter * pair[1]) / pair[1])
        else:
            columns.append(generator.normal(parameter, pair[1]))
    brute = np.max(columns, axis=0)
    # Largest values have heavy tails; their ranks have not.
    both = np.concatenate([check.replicates[statistic], brute])
    ranks = np.argsort(np.argsort(both)) / len(both)
    error = np.sqrt(2 / (12 * size))
    assert abs(ranks[:size].mean() - ranks[size:].mean()) < 4.5 * error


@slow
@EVERY
def test_influence_is_the_slope_of_refits(name):
    example, step, j = EXAMPLES[name], 1e-3, 2
    pair = example.asked[2]
    at = example.thresholds[1]
    table = fit(name).influence(new=pair, levels=0.5, above=at)
    word = "effect" if name == "normal_normal" else "rate"
    columns = [column for column in table if column.startswith(f"{word} of")]
    assert len(columns) == 1

    def answers(change):
        weights = np.ones(len(example.values))
        weights[j] += change
        again = refit(name, data(name, weights=weights))
        row = again.predict(*pair)
        if name == "normal_normal":
            above = 1 - below(name, pair, at, weights)[0]
        else:
            above = Unit(name, again.posterior, pair).sf(at)
        return row["mean"][0], row["median"][0], above

    slopes = [(a - b) / (2 * step) for a, b in zip(answers(step), answers(-step), strict=True)]
    median = next(c for c in table if c.startswith(f"50% of {word}"))
    above = next(c for c in table if c.startswith("P("))
    for column, slope in zip((*columns, median, above), slopes, strict=True):
        assert table[column][j] == pytest.approx(slope, rel=1e-2)


@slow
@EVERY
def test_the_union_is_as_if_seen_at_once(name):
    """Two looks at one unit are one look at both: the same marginal but for a constant."""
    old, columns = data(name), FAMILIES[name].columns
    row = {"beta_binomial": (2, 9), "gamma_poisson": (3, 4.0), "normal_normal": (12.0, 8.0)}[name]
    more = {columns[0]: [row[0]], columns[1]: [row[1]], "labels": ["3"]}
    both = union(old, more)
    value, size = (column[2] for column in both.pair)
    first = (old.pair[0][2], old.pair[1][2])
    np.testing.assert_array_equal(both.pair[0][:2], old.pair[0][:2])
    np.testing.assert_array_equal(both.pair[1][3:], old.pair[1][3:])
    if name == "normal_normal":
        precision = 1 / first[1] ** 2 + 1 / row[1] ** 2
        mean = (first[0] / first[1] ** 2 + row[0] / row[1] ** 2) / precision
        assert (value, size) == pytest.approx((mean, precision**-0.5), rel=1e-12)
    else:
        assert (value, size) == (first[0] + row[0], first[1] + row[1])
    updated = fit(name).update(more)
    assert updated.predict(*FAMILIES[name].on_host.nothing)["mean"][0] != 0


@slow
@EVERY
def test_partial_against_complete_pooling(name):
    found = fit(name).pooling()
    assert np.isfinite(found.likelihood_ratio)
    example = EXAMPLES[name]
    u = np.linspace(
        example.center[0] - 8 * example.spread[0], example.center[0] + 8 * example.spread[0], 4001
    )
    units = zip(example.values, example.sizes, strict=True)
    logs = np.sum(
        [
            log_marginal(name, y, n, u, np.full_like(u, 25.0 if name != "normal_normal" else 80.0))
            for y, n in units
        ],
        axis=0,
    )
    assert found.log_likelihood_complete == pytest.approx(logs.max(), abs=1e-3)
    assert found.log_likelihood_partial >= found.log_likelihood_complete - 1e-9
