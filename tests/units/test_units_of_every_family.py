"""Answers about units of every family, against SciPy's mixtures over all points of a lattice."""

from functools import cache

import jax
import numpy as np
import pytest
from family_oracle import EXAMPLES, Pair, Unit, lattice

from hierjax.families import FAMILIES
from hierjax.posterior import HyperPosterior
from hierjax.units.answers import Units
from hierjax.units.contrasts import contrasts
from hierjax.units.draws import draw_parameters
from hierjax.units.exceedance import above_population_mean
from hierjax.units.prediction import draw_values, most_events, predict_values
from hierjax.units.ranks import draw_ranks, integrate_ranks

# Compiling takes most of the time.
pytestmark = pytest.mark.slow

EVERY = pytest.mark.parametrize("name", list(FAMILIES))
LEVELS = np.array([0.05, 0.5, 0.95])


@cache
def answers(name, dtype=np.float64):
    posterior = lattice(name)
    posterior = HyperPosterior(*(np.asarray(x, dtype) for x in posterior))
    return Units(FAMILIES[name], posterior, True, dtype)


@cache
def oracle(name, pair):
    return Unit(name, lattice(name), pair)


def asked(name):
    pairs = EXAMPLES[name].asked
    y, n = (np.array(column) for column in zip(*pairs, strict=True))
    return pairs, y, n


@EVERY
def test_moments(name):
    pairs, y, n = asked(name)
    found = answers(name).moments(y, n)
    for j, pair in enumerate(pairs):
        unit = oracle(name, pair)
        assert found["mean"][j] == pytest.approx(unit.mean, rel=1e-12)
        assert found["sd"][j] == pytest.approx(unit.sd, rel=1e-9)
        assert found["shrinkage"][j] == pytest.approx(unit.shrinkage, rel=1e-12)


@EVERY
def test_quantiles_and_exceedance_have_their_probabilities(name):
    pairs, y, n = asked(name)
    ends = answers(name).intervals(y, n, 0.9)
    thresholds = np.array(EXAMPLES[name].thresholds)
    below = answers(name).below(y, n, thresholds)
    for j, pair in enumerate(pairs):
        unit = oracle(name, pair)
        probabilities = [unit.cdf(ends[end][j]) for end in ("low", "median", "high")]
        np.testing.assert_allclose(probabilities, LEVELS, atol=2e-8)
        expected = [unit.cdf(c) for c in thresholds]
        np.testing.assert_allclose(below[j], expected, atol=2e-8)


@EVERY
def test_shortest_intervals(name):
    pairs, y, n = asked(name)
    ends = answers(name).intervals(y, n, 0.8, highest=True)
    for j, pair in enumerate(pairs):
        unit, (low, high) = oracle(name, pair), (ends["low"][j], ends["high"][j])
        assert unit.cdf(high) - unit.cdf(low) == pytest.approx(0.8, abs=1e-7)
        # Where shapes below one have a spike at 0, an end at 1e-227 is at the limit.
        if low > FAMILIES[name].limits[0] + 1e-100:
            assert unit.pdf(low) == pytest.approx(unit.pdf(high), rel=1e-5)
        else:
            assert unit.pdf(high) < unit.pdf(high / 2)


@EVERY
def test_density(name):
    for pair in EXAMPLES[name].asked:
        unit = oracle(name, pair)
        at = np.array([unit.quantile(level) for level in (0.01, 0.3, 0.5, 0.9)])
        with jax.enable_x64(True):
            found = answers(name).density(*pair, at)
        # Of effects the lattice's nearly pooled points are spikes, of 5e-6 here, which mixtures
        # widen to overlap.
        allowed = 1e-5 if name == "normal_normal" else 1e-8
        np.testing.assert_allclose(found, [unit.pdf(c) for c in at], rtol=allowed)


@EVERY
def test_single_precision(name):
    _, y, n = asked(name)
    exact, found = answers(name), answers(name, np.float32)
    sd = exact.moments(y, n)["sd"]
    for double, single in (
        (exact.moments(y, n)["mean"], found.moments(y, n)["mean"]),
        (exact.intervals(y, n, 0.9)["high"], found.intervals(y, n, 0.9)["high"]),
    ):
        np.testing.assert_allclose(single, double, rtol=2e-6, atol=2e-3 * sd.min())


@EVERY
def test_above_the_population_mean(name):
    pairs, y, n = asked(name)
    found = above_population_mean(
        FAMILIES[name], answers(name).mixture, y.astype(float), n.astype(float)
    )
    u = lattice(name).points.reshape(-1, 2)[:, 0]
    means = FAMILIES[name].host_parameter_at(u)
    _, weight = FAMILIES[name].on_host.statistic(y, n)
    _, most = FAMILIES[name].on_host.statistic(EXAMPLES[name].values, EXAMPLES[name].sizes)
    for j, pair in enumerate(pairs):
        unit = oracle(name, pair)
        # The mixture has fewer points than the lattice, chosen for thresholds that do not move
        # with them. Of a unit known far better than the mean both are sums of steps at the points'
        # means, of up to 0.004 each.
        error = 5e-6 if weight[j] < 10 * most.max() else 6e-3
        assert found[j] == pytest.approx(unit.weights @ unit.each.sf(means), abs=error)


@EVERY
def test_predictions(name):
    pairs, y, n = asked(name)
    size = EXAMPLES[name].new_size
    found = predict_values(answers(name), y, n, size, 0.9)
    whole = FAMILIES[name].support != "reals"
    for j, pair in enumerate(pairs):
        unit = oracle(name, pair)
        within = unit.sd**2
        if name == "beta_binomial":
            within = size**2 * within + size * (unit.mean * (1 - unit.mean) - within)
        elif name == "gamma_poisson":
            within = size**2 * within + size * unit.mean
        else:
            within = within + size**2
        factor = size if whole else 1.0
        assert found["mean"][j] == pytest.approx(factor * unit.mean, rel=1e-10)
        assert found["sd"][j] == pytest.approx(np.sqrt(within), rel=1e-8)
        for end, level in zip(("low", "median", "high"), LEVELS, strict=True):
            k = found[end][j]
            if whole:
                assert unit.next_cdf(k, size) >= level - 1e-6
                assert k == 0 or unit.next_cdf(k - 1, size) < level + 1e-6
            else:
                assert unit.next_cdf(k, size) == pytest.approx(level, abs=1e-6)


def test_events_in_a_large_exposure():
    """Quantiles of counts too many to enumerate, where either density is the narrower one."""
    units = answers("gamma_poisson")
    for pair, size in (((22, 10.5), 3e5), ((300_000, 1e6), 2e4), ((300_000, 1e6), 3e7)):
        found = predict_values(units, np.array(pair[:1]), np.array(pair[1:]), size, 0.9)
        unit = oracle("gamma_poisson", pair)
        for end, level in zip(("low", "median", "high"), LEVELS, strict=True):
            k = found[end][0]
            assert unit.next_cdf(k, size) >= level - 1e-6
            assert unit.next_cdf(k - 1, size) < level + 1e-6


def test_most_events_leave_out_no_more_than_the_tail():
    unit = oracle("gamma_poisson", (4, 2.5))
    most = most_events(answers("gamma_poisson"), (4.0, 2.5), 6.5, 1e-3)
    assert 1 - unit.next_cdf(most, 6.5) <= 1e-3 < 1 - unit.next_cdf(most - 1, 6.5)


@EVERY
def test_contrasts(name):
    pairs = EXAMPLES[name].asked
    first, second = (
        np.array([pairs[i] for i in order], float).T for order in ((0, 1, 2), (1, 3, 0))
    )
    found = contrasts(FAMILIES[name], answers(name).coarse_mixture, first, second, 0.9)
    for j in range(3):
        a, b = (oracle(name, tuple(side[:, j])) for side in (first, second))
        joint = Pair(a, b)
        greater = joint.expectation(lambda each, value: each.sf(value))
        assert found.p_greater[j] == pytest.approx(greater, abs=2e-5)
        assert found.difference_mean[j] == pytest.approx(a.mean - b.mean, abs=1e-5 * (a.sd + b.sd))
        for end, level in ((found.difference_low[j], 0.05), (found.difference_high[j], 0.95)):
            below = joint.expectation(lambda each, value, d=end: each.cdf(value + d))
            assert below == pytest.approx(level, abs=2e-5)
        if not FAMILIES[name].on_host.has_ratios:
            assert np.isnan(found.ratio_low[j])
            continue
        for end, level in ((found.ratio_low[j], 0.05), (found.ratio_high[j], 0.95)):
            below = joint.expectation(lambda each, value, r=end: each.cdf(value * r))
            assert below == pytest.approx(level, abs=2e-5)


@EVERY
def test_expected_losses(name):
    """E[max(b - a, 0)] by the joint posterior's own draws, in standard errors."""
    pairs = EXAMPLES[name].asked
    pair = np.array([pairs[1], pairs[2]], float).T
    found = contrasts(
        FAMILIES[name], answers(name).coarse_mixture, pair[:, :1], pair[:, 1:], 0.9
    ).expected_loss[0]
    drawn = draws(name, 200_000, (pairs[1], pairs[2]))
    loss = np.maximum(drawn[:, 1] - drawn[:, 0], 0.0)
    assert abs(found - loss.mean()) < 4 * loss.std() / np.sqrt(len(loss))


def draws(name, count, pairs):
    """Joint draws by NumPy, one a row."""
    posterior = lattice(name)
    generator = np.random.default_rng(5)
    at = generator.choice(posterior.weights.size, count, p=posterior.weights.ravel())
    columns = []
    for pair in pairs:
        each = oracle(name, pair).each
        arguments = [np.broadcast_to(x, posterior.weights.size)[at] for x in each.args]
        named = {key: x[at] for key, x in each.kwds.items()}
        columns.append(each.dist.rvs(*arguments, **named, random_state=generator))
    return np.stack(columns, axis=1)


@EVERY
def test_ranks(name):
    example, size = EXAMPLES[name], 40_000
    y, n = example.values.astype(float), example.sizes.astype(float)
    family, mixture = FAMILIES[name], answers(name).coarse_mixture
    distinct, inverse = np.unique(np.stack([y, n]), axis=1, return_inverse=True)
    multiplicity = np.bincount(inverse.ravel()).astype(float)
    exact = integrate_ranks(family, mixture, distinct, multiplicity)
    brute = draws(name, size, tuple(zip(example.values, example.sizes, strict=True)))
    places = len(y) - np.argsort(np.argsort(brute, axis=1), axis=1)
    error = places.std(axis=0) / np.sqrt(size)
    # Shapes far below one, as some points have here, need more nodes than a lattice has.
    assert (exact is None) == (name == "beta_binomial")
    if exact is not None:
        away = exact.expected_rank[inverse.ravel()] - places.mean(axis=0)
        assert np.all(np.abs(away) < 4.5 * error)
        best = (places == 1).mean(axis=0)
        error = np.sqrt(best * (1 - best) / size) + 1e-4
        assert np.all(np.abs(exact.best[inverse.ravel()] - best) < 4.5 * error)
    ranks = draw_ranks(family, mixture, y, n, jax.random.key(2), size)
    error = np.sqrt(2) * places.std(axis=0) / np.sqrt(size)
    assert np.all(np.abs(ranks.mean(axis=0) - places.mean(axis=0)) < 4.5 * error)


@EVERY
def test_joint_draws(name):
    pairs, y, n = asked(name)
    posterior, size = lattice(name), 40_000
    generator = np.random.default_rng(1)
    at = generator.choice(posterior.weights.size, size, p=posterior.weights.ravel())
    points = posterior.points.reshape(-1, 2)[at]
    found = draw_parameters(FAMILIES[name], points, y, n, jax.random.key(3))
    for j, pair in enumerate(pairs):
        unit = oracle(name, pair)
        shares = [np.mean(found[:, j] < unit.quantile(level)) for level in LEVELS]
        errors = np.sqrt(LEVELS * (1 - LEVELS) / size)
        assert np.all(np.abs(shares - LEVELS) < 4.5 * errors)


@EVERY
def test_predictive_draws(name):
    example, size = EXAMPLES[name], 40_000
    pair = example.asked[1]
    found = draw_values(answers(name), pair, example.new_size, jax.random.key(4), size)
    unit = oracle(name, pair)
    for k in np.quantile(found, [0.1, 0.5, 0.9]):
        expected = unit.next_cdf(k, example.new_size)
        error = np.sqrt(expected * (1 - expected) / size)
        assert abs(np.mean(found <= k) - expected) < 4.5 * error


@EVERY
def test_complete_pooling(name):
    """A point of infinite log-concentration: every unit has the mean itself."""
    example, family = EXAMPLES[name], FAMILIES[name]
    u = example.center[0]
    point = HyperPosterior(np.array([[[u, np.inf]]]), np.ones((1, 1)))
    units = Units(family, point, False, np.float64)
    pairs, y, n = asked(name)
    mean = float(family.on_host.parameter_at(u))
    moments, ends = units.moments(y, n), units.intervals(y, n, 0.9)
    np.testing.assert_allclose(moments["mean"], mean, rtol=1e-12)
    np.testing.assert_array_equal(moments["sd"], 0.0)
    np.testing.assert_array_equal(moments["shrinkage"], 1.0)
    np.testing.assert_allclose(ends["low"], mean, rtol=1e-12)
    below = units.below(y, n, np.array([np.nextafter(mean, -np.inf), mean + 1e-9]))
    np.testing.assert_array_equal(below, np.tile([0.0, 1.0], (len(pairs), 1)))
    found = draw_parameters(family, point.points[0], y, n, jax.random.key(0))
    np.testing.assert_allclose(found, mean, rtol=1e-12)
    value = predict_values(units, y, n, example.new_size, 0.9)
    assert np.all(value["low"] < value["high"])


@EVERY
@pytest.mark.parametrize("log_concentration", [6.0, 14.0, 24.0])
def test_close_to_complete_pooling(name, log_concentration):
    """A single point of small dispersion relative to the mean: conjugate, and nothing else."""
    example, family = EXAMPLES[name], FAMILIES[name]
    u = example.center[0]
    point = HyperPosterior(np.array([[[u, log_concentration]]]), np.ones((1, 1)))
    units = Units(family, point, False, np.float64)
    pairs, y, n = asked(name)
    ends = units.intervals(y, n, 0.9)
    for j, pair in enumerate(pairs):
        unit = Unit(name, point, pair)
        found = [unit.cdf(ends[end][j]) for end in ("low", "median", "high")]
        # What SciPy's own functions lose of a difference of nearly equal numbers.
        np.testing.assert_allclose(found, LEVELS, atol=1e-7)


def test_effects_in_other_units_of_measurement():
    """Answers about effects follow the scale and the origin of the measurements."""
    family, posterior = FAMILIES["normal_normal"], lattice("normal_normal")
    _, y, n = asked("normal_normal")
    base = answers("normal_normal")
    for scale, origin in ((1e-7, 0.0), (1e8, 0.0), (1.0, 1e6)):
        u, w = np.moveaxis(posterior.points, -1, 0)
        points = np.stack([origin + scale * u, w - 2 * np.log(scale)], axis=-1)
        units = Units(family, HyperPosterior(points, posterior.weights), True, np.float64)
        moved = (origin + scale * y, scale * n)
        found, expected = units.intervals(*moved, 0.9), base.intervals(y, n, 0.9)
        sd = base.moments(y, n)["sd"]
        for end in ("low", "median", "high"):
            away = (found[end] - origin) / scale - expected[end]
            np.testing.assert_allclose(away / sd, 0.0, atol=1e-7 + 1e-9 * origin / sd.min() / 1e4)
        pairs = np.stack([np.stack(moved)[:, :2], np.stack([y, n])[:, :2]])
        one, other = (
            contrasts(family, each.coarse_mixture, pair[:, :1], pair[:, 1:], 0.9)
            for each, pair in ((units, pairs[0]), (base, pairs[1]))
        )
        assert one.p_greater[0] == pytest.approx(other.p_greater[0], abs=1e-6)
        loss = one.expected_loss[0] / scale
        assert loss == pytest.approx(other.expected_loss[0], rel=1e-4)
        ends = np.array([one.difference_low[0], one.difference_high[0]]) / scale
        reference = [other.difference_low[0], other.difference_high[0]]
        np.testing.assert_allclose(ends, reference, rtol=1e-4)
