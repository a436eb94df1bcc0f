"""Hyperpriors of events and of measurements: densities, and when posteriors are proper."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats
from scipy.special import gammaln, logsumexp

import hierjax as hj
from hierjax.errors import ConfigError, ModelError
from hierjax.families import FAMILIES
from hierjax.hyperpriors import (
    HYPERPRIORS_OF,
    FlatScale,
    GammaMeanConcentration,
    MeanScale,
    ShapeRate,
    Shrinkage,
    default_hyperprior,
)
from hierjax.measurements import Measurements
from hierjax.poisson_events import Events

# With the parameters that the densities are of, from working coordinates, and SciPy's densities.
PROPER = {
    "mean_concentration": (
        lambda: GammaMeanConcentration(dist.LogNormal(-1.0, 0.8), dist.Gamma(2.0, 0.5)),
        lambda u, w: (np.exp(u), np.exp(w)),
        (scipy.stats.lognorm(0.8, scale=np.exp(-1)), scipy.stats.gamma(2, scale=2)),
    ),
    "shape_rate": (
        lambda: ShapeRate(dist.Exponential(1.0), dist.Gamma(2.0, 1.0)),
        lambda u, w: (np.exp(u + w), np.exp(w)),
        (scipy.stats.expon(), scipy.stats.gamma(2)),
    ),
    "mean_scale": (
        lambda: MeanScale(dist.Normal(0.5, 5.0), dist.HalfNormal(3.0)),
        lambda u, w: (u, np.exp(-w / 2)),
        (scipy.stats.norm(0.5, 5), scipy.stats.halfnorm(scale=3)),
    ),
}


def log_jacobian(parameters, u, w, step=1e-5):
    """Of the parameters by working coordinates, by central differences."""
    columns = [
        (
            np.array(parameters(u + step * du, w + step * dw))
            - parameters(u - step * du, w - step * dw)
        )
        / (2 * step)
        for du, dw in ((1, 0), (0, 1))
    ]
    return np.log(abs(np.linalg.det(np.array(columns))))


@pytest.mark.parametrize("kind", PROPER)
def test_densities_by_a_change_of_variables(kind):
    make, parameters, densities = PROPER[kind]
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        density = jax.jit(make().log_density)
        for u, w in rng.normal([0.3, 0.5], [1.0, 1.5], (20, 2)):
            pairs = zip(densities, parameters(u, w), strict=True)
            expected = sum(each.logpdf(x) for each, x in pairs) + log_jacobian(parameters, u, w)
            assert float(density(jnp.array([u, w]))) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("kind", PROPER)
def test_proper_ones_integrate_to_one(kind):
    with jax.enable_x64(True):
        u = jnp.arange(-30, 30, 0.1)
        points = jnp.stack(jnp.meshgrid(u, jnp.arange(-12, 40, 0.1), indexing="ij"), axis=-1)
        values = jax.jit(jax.vmap(jax.vmap(PROPER[kind][0]().log_density)))(points)
        assert float(jnp.exp(values).sum() * 0.01) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", PROPER)
def test_draws_have_the_density(kind):
    """Kolmogorov and Smirnov's test at a false-alarm rate of 1e-4 for each of six."""
    make, parameters, densities = PROPER[kind]
    with jax.enable_x64(True):
        draws = np.asarray(make().sample(jax.random.key(3), (4000,)))
    for values, exact in zip(parameters(*draws.T), densities, strict=True):
        assert scipy.stats.kstest(values, exact.cdf).pvalue > 1e-4


def test_shrinkage_is_beta_distributed_whatever_the_mean():
    hyperprior, w = Shrinkage(exposure=40.0, first=2.0, second=0.5), np.arange(-30, 90, 0.05)
    with jax.enable_x64(True):
        points = jnp.stack([jnp.full(len(w), -3.0), jnp.asarray(w)], axis=-1)
        found = np.asarray(jax.vmap(hyperprior.log_density)(points))
        elsewhere = float(hyperprior.log_density(jnp.array([5.0, w[100]])))
    assert elsewhere == found[100]
    shrinkage = 1 / (1 + 40 * np.exp(-w))
    below = np.cumsum(np.exp(found)) * 0.05
    middle = shrinkage < 0.999  # where the next node is not beyond all digits
    exact = scipy.stats.beta(2, 0.5).cdf(1 / (1 + 40 * np.exp(-w - 0.025)))
    np.testing.assert_allclose(below[middle], exact[middle], atol=1e-4)
    assert below[-1] == pytest.approx(1.0, abs=1e-12)


def log_marginal(log_mean, log_concentration, events, exposures):
    """Negative binomial, by SciPy's log-gammas; the shape is not large here."""
    b = np.exp(log_concentration)[..., None]
    a = np.exp(log_mean + log_concentration)[..., None]
    y, e = np.asarray(events, float), np.asarray(exposures, float)
    survival = np.log(b) - np.log(b + e)
    each = gammaln(a + y) - gammaln(a) - gammaln(y + 1) + a * survival
    return np.sum(each + y * (np.log(e) - np.log(b + e)), axis=-1)


def mass(events, first, second, reach):
    """Of likelihood times hyperprior on a square of working coordinates that is so large."""
    exposures = [3.0, 1.0, 2.0][: len(events)]
    grid = np.arange(-reach, reach, 0.25)
    log_mean, w = np.meshgrid(grid, grid, indexing="ij")
    log_mean, w = log_mean.ravel(), w.ravel()
    keep = log_mean + w < 9  # far beyond, SciPy's log-gammas cancel, and all is pooled
    values = np.full(len(w), -np.inf)
    values[keep] = log_marginal(log_mean[keep], w[keep], events, exposures)
    y, e, m = np.asarray(events, float), np.asarray(exposures), np.exp(log_mean[~keep])[:, None]
    values[~keep] = (y * np.log(e * m) - e * m - gammaln(y + 1)).sum(axis=1)
    prior = -first * np.logaddexp(0, -w) - second * np.logaddexp(0, w)
    return np.exp(logsumexp(values + prior)) * 0.25**2


@pytest.mark.parametrize(("first", "second"), [(2.0, 0.5), (1.0, 1.0)])
def test_one_unit_with_events_makes_the_posterior_proper(first, second):
    small, large, larger = (mass([0, 1, 0], first, second, reach) for reach in (20, 40, 80))
    assert larger == pytest.approx(large, rel=1e-3 if second == 0.5 else 1e-6)
    assert small < large
    # Without events every further stretch of the log mean has the same mass.
    small, large, larger = (mass([0, 0, 0], first, second, reach) for reach in (20, 40, 80))
    assert larger - large == pytest.approx(2 * (large - small), rel=1e-3)


@pytest.mark.parametrize("first", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("events", [[0, 1, 0], [4, 1, 0], [1, 2, 3]])
def test_the_means_marginal_falls_as_its_docstring_says(first, events):
    """Like m^(-p) log(m)^(-k - p): the slope by log m is -p - (k + p) / log m."""
    log_shape = np.arange(-60, 8, 0.01)

    def marginal(log_mean):
        w = log_shape - log_mean
        values = log_marginal(np.full(len(w), log_mean), w, events, [3.0, 1.0, 2.0])
        return logsumexp(values - first * np.logaddexp(0, -w))

    for log_mean in (100.0, 300.0):
        slope = (marginal(log_mean + 1) - marginal(log_mean - 1)) / 2
        expected = -first - (np.sum(np.array(events) > 0) + first) / log_mean
        assert slope == pytest.approx(expected, abs=8 / log_mean**1.5)
    assert Shrinkage(1.0, first).mean_moments(1.0) == min(2, int(first))


@pytest.mark.parametrize("units", [2, 3, 4, 5])
def test_the_scales_marginal_falls_as_its_docstring_says(units):
    """Like tau^(1 - J), by the formula of Bayesian Data Analysis, eq. 5.21."""
    y, s = np.arange(units) * 2.0, 1.0 + np.arange(units) / 3

    def log_posterior(tau):
        variance = s**2 + tau**2
        precision = np.sum(1 / variance)
        mean = np.sum(y / variance) / precision
        each = scipy.stats.norm(mean, np.sqrt(variance)).logpdf(y)
        return each.sum() - 0.5 * np.log(precision)

    slope = (log_posterior(1.01e4) - log_posterior(1e4)) / np.log(1.01)
    assert slope == pytest.approx(1 - units, abs=1e-4)
    hyperprior = FlatScale()
    assert (hyperprior.impropriety(float(units)) is None) == (1 - units < -1)
    # Moments of order r need a tail below tau^(-1 - r).
    assert hyperprior.mean_moments(float(units)) == sum(1 - units + r < -1 for r in (1, 2))


def test_improper_posteriors_are_refused():
    for data, missing, proper in (
        (Events([0, 0], [3.0, 5.0]), "at least one unit must have events", "shape_rate"),
        (Measurements([1.0, 2.0], [3.0, 5.0]), "more than 2 units, found 2", "mean_scale"),
    ):
        with pytest.raises(ModelError, match=missing) as refusal:
            hj.fit(data)
        assert proper in str(refusal.value)
        assert proper in HYPERPRIORS_OF[data.family]


def test_weights_count_as_units_do():
    assert FlatScale().impropriety(2.5) is None
    assert FlatScale().impropriety(2.0) is not None
    assert Shrinkage().impropriety(0.1) is None


def test_a_scale_is_taken_from_the_units():
    """The exposure in which one event is expected, so that units of measurement do not matter."""
    events, exposures = np.array([3, 0, 9, 4]), np.array([10.0, 4.0, 22.0, 30.0])
    fits = [hj.fit(Events(events, exposures * by)) for by in (1.0, 1e5)]
    assert fits[0].model.hyperprior.exposure == pytest.approx(66 / 16.5, rel=1e-12)
    evidences = [fit.info["log_evidence"] for fit in fits]
    assert evidences[0] == pytest.approx(evidences[1], rel=1e-9)
    means = [fit.summary()["mean"][0] for fit in fits]
    assert float(means[0] - means[1]) == pytest.approx(np.log(1e5), abs=1e-6)
    given = hj.Model(FAMILIES["gamma_poisson"], Shrinkage(7.0))
    assert hj.fit(Events(events, exposures), given).model.hyperprior.exposure == 7.0


def test_moments_that_do_not_exist_are_left_out():
    pumps = Events([5, 1, 5], [94.3, 15.7, 62.9])
    vague = ShapeRate(dist.Exponential(1.0), dist.Gamma(0.1, 1.0))
    for hyperprior, mean, sd in ((Shrinkage(), True, True), (Shrinkage(None, 1.0), True, False),
                                 (vague, False, False)):  # fmt: skip
        table = hj.fit(pumps, hj.Model(FAMILIES["gamma_poisson"], hyperprior)).summary()
        row = list(table["parameter"]).index("mean")
        assert [np.isfinite(table[column][row]) for column in ("mean", "sd")] == [mean, sd]
        assert np.all(np.isfinite(table["median"]))
    schools = Measurements([28.0, 8.0, -3.0, 7.0], [15.0, 10.0, 16.0, 11.0])
    table = hj.fit(schools).summary()
    for name in ("mean", "tau"):
        row = list(table["parameter"]).index(name)
        assert np.isfinite(table["mean"][row])
        assert np.isnan(table["sd"][row])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_default_and_a_proper_one(family):
    assert default_hyperprior(family) == hj.Model(FAMILIES[family]).hyperprior
    kinds = HYPERPRIORS_OF[family]
    assert any(cls.proper for cls in kinds.values())
    assert all(cls.kind == kind and cls.family == family for kind, cls in kinds.items())


def test_another_familys_hyperprior_is_refused():
    with pytest.raises(ConfigError, match="for the family gamma_poisson, found FlatScale"):
        hj.Model(FAMILIES["gamma_poisson"], FlatScale())


def test_what_is_not_a_density_there_is_refused():
    for make, words in (
        (lambda: Shrinkage(-1.0), "positive, finite exposure, found -1.0"),
        (lambda: Shrinkage(1.0, np.inf), "positive, finite first"),
        (lambda: GammaMeanConcentration(dist.Normal(), dist.Exponential()), "mean to be a scalar"),
        (lambda: ShapeRate(dist.Exponential(), dist.Poisson(1.0)), r"rate .* on \(0, inf\)"),
        (lambda: MeanScale(dist.Normal(), dist.Normal()), r"scale .* on \(0, inf\)"),
        (lambda: MeanScale(dist.Poisson(2.0), dist.HalfNormal()), r"mean .* on \(-inf, inf\)"),
    ):
        with pytest.raises(ModelError, match=words):
            make()
    with pytest.raises(ModelError, match="expected an exposure"):
        Shrinkage().log_density(jnp.zeros(2))
