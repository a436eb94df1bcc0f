"""What answers and samplers need of every registered family: places of units, without bounds."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from hierjax.families import FAMILIES

families = pytest.mark.parametrize("family", [pytest.param(f, id=n) for n, f in FAMILIES.items()])
# Of the parameter given working coordinates, by SciPy.
PRIORS = {
    "beta_binomial": lambda m, phi: scipy.stats.beta(m / phi, (1 - m) / phi),
    "gamma_poisson": lambda m, phi: scipy.stats.gamma(m / phi, scale=phi),
    "normal_normal": lambda m, phi: scipy.stats.norm(m, np.sqrt(phi)),
}
# Log-partition functions, whose Bregman divergences are Kullback and Leibler's.
LOG_PARTITIONS = {
    "beta_binomial": lambda z: mpmath.log1p(mpmath.exp(z)),
    "gamma_poisson": mpmath.exp,
    "normal_normal": lambda z: z * z / 2,
}
DATA = {
    "beta_binomial": ([0.0, 3.0, 9.0, 2.0], [4.0, 10.0, 9.0, 400.0]),
    "gamma_poisson": ([0.0, 3.0, 700.0, 2.0], [4.0, 0.7, 90.0, 1e5]),
    "normal_normal": ([0.3, -2.0, 9.0, 2.0], [4.0, 0.5, 1.0, 1e3]),
}


@families
def test_parameters_and_places_are_inverses(family):
    places = np.array([-30.0, -2.0, 0.0, 0.5, 3.0])
    low, high = family.limits
    with jax.enable_x64(True):
        parameters = np.asarray(family.parameter_at(jnp.asarray(places)))
        assert np.all((parameters > low) & (parameters < high))
        np.testing.assert_allclose(family.host_parameter_at(places), parameters, rtol=1e-14)
        back = family.place_of(jnp.asarray(parameters))
        np.testing.assert_allclose(back, places, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(family.host_place_of(parameters), back, rtol=1e-13, atol=1e-14)
    limits = np.array([low, high])
    np.testing.assert_array_equal(family.host_place_of(limits), [-np.inf, np.inf])
    np.testing.assert_array_equal(family.host_parameter_at(np.array([-np.inf, np.inf])), limits)


@families
def test_populations_at_places(family):
    with jax.enable_x64(True):
        for place, concentration in ((-1.2, 1.1), (2.0, np.inf)):
            dispersion = jnp.asarray(np.exp(-concentration))
            found = family.population_at(jnp.asarray(place), dispersion)
            expected = family.constrain(jnp.array([place, concentration]))
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-14)
        many = family.population_at(jnp.zeros(3), jnp.ones((2, 1)))
        assert all(leaf.shape == (2, 3) for leaf in many)


@families
def test_the_update_is_the_statistics(family):
    with jax.enable_x64(True):
        values, sizes = map(jnp.asarray, DATA[family.name])
        population = family.population_at(jnp.asarray(-0.4), jnp.asarray(0.2))
        t, v = family.statistic(values, sizes)
        updated = family.update(values, sizes, population)
        growth = 1 + v * population.dispersion
        expected = (population.mean + t * population.dispersion) / growth
        np.testing.assert_allclose(updated.mean, expected, rtol=1e-13)
        np.testing.assert_allclose(updated.dispersion, population.dispersion / growth, rtol=1e-13)


@families
def test_divergences_against_mpmath(family):
    log_partition = LOG_PARTITIONS[family.name]
    origins, distances = [-20.0, -1.3, 0.0, 2.0, 9.0], [-40.0, -1.0, -1e-5, 0.0, 1e-9, 0.3, 25.0]
    with jax.enable_x64(True), mpmath.workdps(80):
        for origin in origins:
            places = origin + np.array(distances)
            found = family.divergence(jnp.asarray(origin), jnp.asarray(places))
            for place, value in zip(places, np.asarray(found), strict=True):
                z0, z = mpmath.mpf(origin), mpmath.mpf(float(place))
                slope = mpmath.diff(log_partition, z0)
                exact = log_partition(z) - log_partition(z0) - slope * (z - z0)
                # Places are rounded: half a unit of the larger, times the divergence's slope.
                slack = 4e-16 * abs(mpmath.diff(log_partition, z) - slope) * max(1, abs(origin))
                assert abs(value - exact) <= 4e-15 * exact + slack, (origin, place)


@families
def test_the_density_of_places_by_divergences(family):
    """log p(z) = log p(z0) + (m - m0) (z - z0) / phi - KL(z0, z) / phi."""
    with jax.enable_x64(True):
        density = jax.vmap(family.log_prior_unconstrained, in_axes=(0, None))
        for mean, dispersion, origin in ((-0.7, 0.2, -0.5), (1.0, 3.0, 0.2), (-9.0, 1e-7, -9.1)):
            population = family.population_at(jnp.asarray(mean), jnp.asarray(dispersion))
            origin = jnp.asarray(origin)
            places = origin + jnp.array([-2.0, -0.1, 0.0, 0.3, 1.7])
            logs = density(places, population) - density(origin[None], population)
            m0 = family.parameter_at(origin)
            excess = family.excess(population, origin)
            assert float(excess) == pytest.approx(float(population.mean - m0), rel=1e-9)
            lean = excess * (places - origin) - family.divergence(origin, places)
            np.testing.assert_allclose(logs, lean / dispersion, rtol=1e-9, atol=1e-9)


@families
def test_excess_keeps_digits_near_the_limits(family):
    with jax.enable_x64(True), mpmath.workdps(50):
        for mean, place in ((30.0, 29.0), (-30.0, -30.5), (2.0, 1.9)):
            population = family.population_at(jnp.asarray(mean), jnp.asarray(0.1))
            found = float(family.excess(population, jnp.asarray(place)))
            exact = mpmath.diff(LOG_PARTITIONS[family.name], mpmath.mpf(mean)) - mpmath.diff(
                LOG_PARTITIONS[family.name], mpmath.mpf(place)
            )
            assert found == pytest.approx(float(exact), rel=1e-13)


@families
def test_draws_have_the_priors_distribution(family):
    """Kolmogorov and Smirnov's test; a false alarm once in ten thousand seeds for each."""
    with jax.enable_x64(True):
        for place, dispersion in ((-0.5, 0.3), (0.4, 5.0), (-3.0, 1e-4)):
            population = family.population_at(jnp.full(4000, place), jnp.asarray(dispersion))
            draws = np.asarray(family.draw(jax.random.key(7), population))
            prior = PRIORS[family.name](float(population.mean[0]), dispersion)
            below = prior.cdf(family.host_parameter_at(draws))
            assert scipy.stats.kstest(below, "uniform").pvalue > 1e-4
        pooled = family.population_at(jnp.array([-0.5, 2.0]), jnp.array([0.0, 0.0]))
        found = family.draw(jax.random.key(1), pooled)
        np.testing.assert_allclose(found, [-0.5, 2.0], rtol=1e-14)


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_units_density_from_what_is_seen_of_them(family, dtype):
    rng = np.random.default_rng(3)
    with jax.enable_x64(dtype == np.float64):
        for mean, dispersion, scatter in ((0.3, 0.5, 1.0), (-2.0, 2.0, 3.0), (1.0, 1e-3, 0.03)):
            places = jnp.asarray(mean + scatter * rng.normal(size=(2, 9)), dtype)
            present = jnp.asarray([1.0] * 7 + [0.0] * 2, dtype)
            population = family.population_at(*(jnp.asarray(x, dtype) for x in (mean, dispersion)))
            seen = family.seen(places, present)
            assert all(leaf.shape == (2,) for leaf in seen)
            found = jax.vmap(family.log_prior_units, in_axes=(0, None))(seen, population)
            density = jax.vmap(jax.vmap(family.log_prior_unconstrained, (0, None)), (0, None))
            each = np.asarray(density(places, population), np.float64)[:, :7]
            # Sums of logarithms over the dispersion.
            rounding = 40 * float(np.finfo(dtype).eps) / dispersion
            allowed = 20 * float(np.finfo(dtype).eps) * np.abs(each).sum(axis=1) + rounding
            assert np.all(np.abs(found - each.sum(axis=1)) <= allowed)


@families
def test_the_kernel_is_the_likelihood_up_to_a_constant(family):
    with jax.enable_x64(True):
        places = jnp.array([-1.0, 0.2, 2.0])
        for value, size in zip(*DATA[family.name], strict=True):
            value, size = jnp.asarray(value), jnp.asarray(size)
            kernel = family.log_likelihood_kernel(value, size, places)
            unit = family.constrain_unit
            full = [family.log_likelihood(value, size, unit(place)) for place in places]
            differences = np.asarray(kernel) - np.asarray(full)
            scale = np.abs(kernel).max() + np.abs(full).max()
            assert np.ptp(differences) <= 1e-13 * scale


@families
def test_places_of_posteriors(family):
    """Location and scale are those of the posterior where it is nearly normal."""
    with jax.enable_x64(True):
        population = family.population_at(jnp.asarray(-0.6), jnp.asarray(1e-5))
        values, sizes = (jnp.asarray(x[1]) for x in DATA[family.name])
        center, scale = family.place(values, sizes, population)
        draws = family.draw(
            jax.random.key(3),
            jax.tree.map(lambda x: jnp.full(4000, x), family.update(values, sizes, population)),
        )
        assert float(draws.mean()) == pytest.approx(float(center), abs=4 * float(scale) / 60)
        assert float(draws.std()) == pytest.approx(float(scale), rel=4 / np.sqrt(2 * 4000))
        left, right = family.tails(population)
        assert min(float(left), float(right)) > 0
        spread = family.spread(population)
        no_data = family.place(values * 0, sizes * 0 + 1e-9, population)[1]
        if family.support != "reals":
            assert float(no_data) == pytest.approx(float(spread), rel=1e-9)


@families
def test_tails_are_the_slopes_of_log_densities(family):
    slope = jax.grad(family.log_prior_unconstrained)
    with jax.enable_x64(True):
        population = family.population_at(jnp.asarray(0.4), jnp.asarray(0.7))
        for sign, tail in zip((1, -1), family.tails(population), strict=True):
            far = sign * float(slope(jnp.asarray(-sign * 60.0), population))
            if np.isinf(tail):
                assert far > 50
            else:
                assert far == pytest.approx(float(tail), rel=1e-12)


@families
def test_tallies_say_where_to_begin(family):
    values, sizes = (np.asarray(x) for x in DATA[family.name])
    if family.support != "reals":
        values = values.astype(int)
    if family.support == "counts_up_to_size":
        sizes = sizes.astype(int)
    with jax.enable_x64(True):
        tally = jax.tree.map(jnp.asarray, family.tally(values, sizes, np.array([1.0, 2, 1, 1])))
        assert float(tally.weight) == 5.0
        assert tally.terms > 0
        assert tally.dtype == np.float64

        def log_marginal(place):
            return family.log_marginal_tally(tally, family.population_at(place, jnp.asarray(0.0)))

        pooled = family.pooled(tally)
        slope, bend = jax.grad(log_marginal)(pooled), jax.grad(jax.grad(log_marginal))(pooled)
        assert float(bend) < 0
        assert abs(float(slope)) < 1e-9 * float(-bend)
        assert abs(float(family.start(tally) - pooled)) < 0.5
        frame = family.frame(tally)
        assert float(frame.scale) > 0
        assert np.all(np.isfinite(frame))
        assert 0 < float(family.informative(tally)) <= 5.0


@families
def test_searches_do_not_depend_on_units_of_measurement(family):
    """Exposures in thousands, or measurements in other units, move the frame as they should."""
    values, sizes = (np.asarray(x) for x in DATA[family.name])
    if family.support == "counts_up_to_size":
        pytest.skip("counts of trials have no unit")
    by = 1e4
    with jax.enable_x64(True):
        if family.support == "counts":
            frames = [family.frame(family.tally(values, sizes * f)) for f in (1.0, by)]
            moved = [-np.log(by), 1.0, np.log(by)]
            expected = [frames[0][0] + moved[0], 1.0, frames[0][2] + moved[2]]
        else:
            frames = [family.frame(family.tally(values * f, sizes * f)) for f in (1.0, by)]
            expected = [frames[0][0] * by, frames[0][1] * by, frames[0][2] - 2 * np.log(by)]
        np.testing.assert_allclose(frames[1], expected, rtol=1e-12)
