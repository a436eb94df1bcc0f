"""What every registered family must do, whichever it is: registration is all that it takes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierjax.families import FAMILIES, Family
from hierjax.families.hyperparameters import Hyperparameters

# Compiling takes most of a check's time: of all families but one, in the slow tier.
families = pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, id=name, marks=[] if name == "beta_binomial" else pytest.mark.slow)
        for name, family in FAMILIES.items()
    ],
)
# Working coordinates from vague to nearly pooled; of counts, about a tenth or more a unit of size.
LOCATIONS, CONCENTRATIONS = (-2.0, -0.3, 1.1), (0.5, 3.0, 8.0)
ETAS = [np.array([u, w]) for u in LOCATIONS for w in CONCENTRATIONS]


def units(family, number, seed=0):
    """Values and sizes, among them empty, full, small and large units."""
    rng = np.random.default_rng(seed)
    if family.support == "reals":
        return rng.normal(0.0, 3.0, number), 10 ** rng.uniform(-1.0, 1.0, number)
    largest = np.where(np.arange(number) % 4 == 0, 2000, 40)
    if family.support == "counts":
        sizes = 10 ** rng.uniform(-2.0, np.log10(largest))
        return rng.poisson(sizes * rng.gamma(1.0, 1.0, number)).astype(float), sizes
    sizes = np.floor(10 ** rng.uniform(0.0, np.log10(largest)))
    return rng.binomial(sizes.astype(int), rng.beta(1.0, 1.0, number)).astype(float), sizes


def whole(*columns):
    """Counts as the integers that tables hold."""
    return [x.astype(int) if np.all(x == np.round(x)) else x for x in columns]


def line(family, eta, number=801, reach=6.0):
    """Places around eta's on the scale without bounds, and the lengths they stand for.

    Stretched by hyperbolic sines: the trapezoidal rule then converges geometrically for tails that
    fall like exponentials.
    """
    scale = np.exp(-0.5 * eta[1])
    t = np.linspace(-reach, reach, number)
    return eta[0] + scale * np.sinh(t), scale * np.cosh(t) * (t[1] - t[0])


def jitted(function, *axes):
    return jax.jit(jax.vmap(function, in_axes=axes)) if axes else jax.jit(function)


@families
def test_it_answers_what_the_protocol_asks(family):
    assert isinstance(family, Family)
    assert FAMILIES[family.name] is family
    assert hash(family) == hash(type(family)())  # compiled code is kept by it
    assert family == type(family)()
    assert isinstance(family.hyperparameters, Hyperparameters)
    assert family.hyperparameters.names[:2] == family.coordinates
    with jax.enable_x64(True):
        population = family.constrain(jnp.array([0.3, 1.2]))
        assert float(population.dispersion) == pytest.approx(np.exp(-1.2), rel=1e-14)
        assert float(population.variance) > 0


@families
def test_coordinates_round_trip(family):
    with jax.enable_x64(True):
        for eta in ([-1.8, 2.75], [5.0, -5.0], [-30.0, 40.0]):
            back = family.unconstrain(family.constrain(jnp.array(eta)))
            np.testing.assert_allclose(back, eta, rtol=1e-13)


@families
@pytest.mark.parametrize("eta", ETAS, ids=str)
def test_the_prior_integrates_to_one(family, eta):
    with jax.enable_x64(True):
        places, lengths = line(family, eta, reach=9.0)
        density = jitted(family.log_prior_unconstrained, 0, None)
        logs = density(jnp.asarray(places), family.constrain(jnp.asarray(eta)))
        assert np.exp(logs) @ lengths == pytest.approx(1.0, abs=1e-10)


@families
def test_both_priors_are_one_density(family):
    """They differ by the derivative of the parameter, which does not depend on the population."""

    @partial(jax.vmap, in_axes=(0, None))
    def difference(place, eta):
        population = family.constrain(eta)
        plain = family.log_prior(family.constrain_unit(place), population)
        return family.log_prior_unconstrained(place, population) - plain

    with jax.enable_x64(True):
        places = jnp.linspace(-3.0, 3.0, 7)
        found = [jax.jit(difference)(places, jnp.asarray(eta)) for eta in ETAS]
        for each in found:
            np.testing.assert_allclose(each, found[0], atol=1e-9)


@families
def test_the_marginal_is_the_integral_of_the_joint(family):
    """And so its likelihood, prior and marginal belong together, constants included."""

    @jax.jit
    @partial(jax.vmap, in_axes=(0, None, None, None))
    def joint(place, value, size, eta):
        prior = family.log_prior_unconstrained(place, family.constrain(eta))
        return family.log_likelihood(value, size, family.constrain_unit(place)) + prior

    with jax.enable_x64(True):
        values, sizes = (jnp.asarray(x) for x in units(family, 6))
        marginal = jitted(family.log_marginal, 0, 0, None)
        for eta in ETAS:
            places, lengths = line(family, eta, number=4001)
            found = marginal(values, sizes, family.constrain(jnp.asarray(eta)))
            for value, size, log_p in zip(values, sizes, found, strict=True):
                logs = np.asarray(joint(jnp.asarray(places), value, size, jnp.asarray(eta)))
                top = logs.max()
                total = top + np.log(np.exp(logs - top) @ lengths)
                assert float(log_p) == pytest.approx(total, abs=1e-8, rel=1e-10), (eta, value, size)


@families
def test_joint_less_posterior_is_marginal(family):
    """log p(y, theta) - log p(theta | y) does not depend on theta: it is log p(y)."""
    rng = np.random.default_rng(3)

    @jax.jit
    def parts(value, size, place, eta):
        unit, population = family.constrain_unit(place), family.constrain(eta)
        posterior = family.log_prior(unit, family.update(value, size, population))
        joint = family.log_joint(value, size, unit, population)
        return joint, posterior, family.log_marginal(value, size, population)

    with jax.enable_x64(True):
        for value, size in zip(*units(family, 40, seed=1), strict=True):
            eta = jnp.array([rng.normal(0.0, 2.0), rng.uniform(-3.0, 10.0)])
            place = jnp.asarray(rng.normal(0.0, 2.0))
            joint, posterior, marginal = map(
                float, parts(*map(jnp.asarray, (value, size)), place, eta)
            )
            scale = 1 + abs(joint) + abs(posterior)  # what is subtracted
            assert joint - posterior == pytest.approx(marginal, abs=2e-13 * scale)


@families
def test_the_joint_is_likelihood_times_prior(family):
    @jax.jit
    def both(value, size, place, eta):
        unit, population = family.constrain_unit(place), family.constrain(eta)
        apart = family.log_likelihood(value, size, unit) + family.log_prior(unit, population)
        return family.log_joint(value, size, unit, population), apart

    with jax.enable_x64(True):
        for value, size in zip(*units(family, 5), strict=True):
            joint, apart = both(*map(jnp.asarray, (value, size, 0.4)), jnp.array([-0.2, 1.3]))
            assert float(joint) == pytest.approx(float(apart), rel=1e-14)


@families
def test_the_predictive_sums_to_one(family):
    density = jitted(family.log_predictive, 0, None, None, None, None)
    with jax.enable_x64(True):
        data = tuple(jnp.asarray(x[1]) for x in units(family, 4))
        size = jnp.asarray(25.0)
        for concentration in (-1.0, 2.0, 9.0, np.inf):
            population = family.constrain(jnp.array([-0.7, concentration]))
            new, length = np.arange(26.0 if family.support == "counts_up_to_size" else 6000.0), 1.0
            if family.support == "reals":
                length = 0.5
                new = float(family.update(*data, population).mean) + length * (new - 3000.0)
            logs = density(jnp.asarray(new), size, *data, population)
            assert np.exp(logs).sum() * length == pytest.approx(1.0, abs=1e-11)


@families
def test_data_seen_in_either_order_have_one_density(family):
    with jax.enable_x64(True):
        population = family.constrain(jnp.array([-0.7, 1.4]))
        marginal, predictive = jitted(family.log_marginal), jitted(family.log_predictive)
        pairs = list(zip(*units(family, 12), strict=True))
        for one, other in zip(pairs[::2], pairs[1::2], strict=True):
            one, other = (tuple(map(jnp.asarray, each)) for each in (one, other))
            forward = marginal(*one, population) + predictive(*other, *one, population)
            backward = marginal(*other, population) + predictive(*one, *other, population)
            assert float(forward) == pytest.approx(float(backward), rel=1e-12)


@families
def test_complete_pooling_is_the_likelihood_at_the_mean(family):
    with jax.enable_x64(True):
        for u in LOCATIONS:
            eta = jnp.array([u, jnp.inf])
            population, unit = family.constrain(eta), family.constrain_unit(eta[0])
            assert float(population.dispersion) == 0.0
            data = tuple(map(jnp.asarray, units(family, 30)))
            marginal = jitted(family.log_marginal, 0, 0, None)(*data, population)
            likelihood = jitted(family.log_likelihood, 0, 0, None)(*data, unit)
            np.testing.assert_allclose(marginal, likelihood, rtol=1e-11, atol=1e-11)
            # Nothing is learnt about a unit.
            updated = jax.vmap(family.update, in_axes=(0, 0, None))(*data, population)
            np.testing.assert_array_equal(updated.dispersion, 0.0)
            np.testing.assert_allclose(updated.mean, float(population.mean), rtol=1e-14)


@families
def test_the_marginal_tends_to_complete_poolings_in_a_straight_line(family):
    """Near zero dispersion it moves by the dispersion times the derivative there."""

    def log_marginal(dispersion, value, size, population):
        return family.log_marginal(value, size, population._replace(dispersion=dispersion))

    value_and_slope = jax.vmap(jax.value_and_grad(log_marginal), in_axes=(None, 0, 0, None))
    with jax.enable_x64(True):
        data = tuple(map(jnp.asarray, units(family, 12)))
        pooled = family.constrain(jnp.array([-0.4, jnp.inf]))
        at = jax.jit(value_and_slope)
        value, slope = at(jnp.asarray(0.0), *data, pooled)
        for dispersion in (1e-14, 1e-11):
            moved, _ = at(jnp.asarray(dispersion), *data, pooled)
            scale = 1e-13 * (1 + np.abs(value)) + 1e-4 * np.abs(slope * dispersion)
            assert np.all(np.abs(moved - value - slope * dispersion) <= scale)


def log_marginal_at(family, eta, value, size):
    return family.log_marginal(value, size, family.constrain(eta))


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_derivatives_are_finite(family, dtype):
    """In double precision second ones too, from vague to completely pooled populations."""
    derivative = jax.jacfwd(partial(log_marginal_at, family))
    if dtype == np.float64:

        def value_twice(*arguments):
            return (jax.jacfwd(partial(log_marginal_at, family))(*arguments),) * 2

        derivative = jax.jacfwd(value_twice, has_aux=True)
    with jax.enable_x64(dtype == np.float64):
        data = tuple(jnp.asarray(x, dtype) for x in units(family, 16))
        across = jax.jit(jax.vmap(derivative, in_axes=(None, 0, 0)))
        for u in (-6.0, 0.0, 6.0):
            for w in (-6.0, 0.0, 10.0, 40.0, 80.0):
                for leaf in jax.tree.leaves(across(jnp.array([u, w], dtype), *data)):
                    assert leaf.dtype == dtype
                    assert np.all(np.isfinite(leaf)), (u, w)


@families
def test_derivatives_of_the_joint_are_finite(family):
    def log_joint(eta, place, value, size):
        return family.log_joint(value, size, family.constrain_unit(place), family.constrain(eta))

    gradient = jax.vmap(jax.grad(log_joint, argnums=(0, 1)), in_axes=(None, 0, 0, 0))
    with jax.enable_x64(True):
        data = tuple(map(jnp.asarray, units(family, 16)))
        for w in (-3.0, 2.0, 12.0, 30.0):
            places = 0.2 + np.exp(-0.5 * w) * np.linspace(-3.0, 3.0, 16)
            eta = jnp.array([0.2, w])
            for leaf in jax.tree.leaves(jax.jit(gradient)(eta, jnp.asarray(places), *data)):
                assert np.all(np.isfinite(leaf))


@families
def test_float32_is_close_to_float64(family):
    data, found = [np.float32(x) for x in units(family, 60)], {}
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype == np.float64):
            marginal = jitted(partial(log_marginal_at, family), None, 0, 0)
            for eta in (*ETAS, np.array([-0.5, 25.0])):
                arrays = (jnp.asarray(x, dtype) for x in (np.float32(eta), *data))
                found.setdefault(dtype, []).append(np.asarray(marginal(*arrays)))
    assert all(each.dtype == np.float32 for each in found[np.float32])
    single, double = (np.stack(found[dtype]).astype(float) for dtype in (np.float32, np.float64))
    # Worst of these: 3e-6 of 1 plus the value, of the beta-binomial.
    np.testing.assert_allclose(single, double, rtol=1.5e-5, atol=1.5e-5)


@families
@pytest.mark.parametrize(("number", "seed"), [(7, 4), (300, 5)])
def test_the_tally_has_the_sum_of_the_units_marginals(family, number, seed):
    values, sizes = units(family, number, seed)
    if family.support == "counts":
        sizes[::3] = 12.5  # exposures that many units have
    weights = np.random.default_rng(seed).integers(1, 4, number).astype(float)
    with jax.enable_x64(True):
        tally = jax.tree.map(jnp.asarray, family.tally(*whole(values, sizes), weights))
        total, marginal = jitted(family.log_marginal_tally), jitted(family.log_marginal, 0, 0, None)
        for concentration in (-2.0, 1.5, 9.0, 60.0, np.inf):
            population = family.constrain(jnp.array([-0.5, concentration]))
            each = np.asarray(marginal(jnp.asarray(values), jnp.asarray(sizes), population))
            assert float(total(tally, population)) == pytest.approx(weights @ each, rel=1e-11)


@families
def test_tallies_in_float32(family):
    values, sizes = (np.float32(x).astype(float) for x in units(family, 300, seed=6))
    found = []
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype == np.float64):
            tally = family.tally(*whole(values, sizes), dtype=dtype)
            assert all(np.asarray(part).dtype == dtype for part in tally)
            population = family.constrain(jnp.array([-0.5, 1.5], dtype))
            found.append(float(jax.jit(family.log_marginal_tally)(tally, population)))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@families
def test_derivatives_of_tallies_are_finite(family):
    with jax.enable_x64(True):
        tally = jax.tree.map(jnp.asarray, family.tally(*whole(*units(family, 40))))

        def log_marginal(population):
            return family.log_marginal_tally(tally, population)

        for w in (-4.0, 3.0, 40.0, np.inf):
            population = family.constrain(jnp.array([0.1, w]))
            for leaf in jax.tree.leaves(jax.jit(jax.grad(log_marginal))(population)):
                assert np.all(np.isfinite(leaf))


@families
def test_what_is_reported_of_a_population(family):
    reported, points = family.hyperparameters, np.array([[0.3, 1.1], [-1.7, 4.0], [0.4, -2.0]])
    values = reported.values(points)
    assert len(set(reported.names)) == len(reported.names)
    assert all(value.shape == (3,) and np.all(np.isfinite(value)) for value in values.values())
    for place, name in enumerate(family.coordinates):
        np.testing.assert_array_equal(values[name], points[:, place])
    with jax.enable_x64(True):
        population = jax.vmap(family.constrain)(jnp.asarray(points))
        np.testing.assert_allclose(
            values["concentration"], 1 / population.dispersion, rtol=1e-14, err_msg="concentration"
        )
        others = set(values) - {*family.coordinates, "concentration"}
        for name in others | {"mean"}:  # which a population has by the same name
            np.testing.assert_allclose(
                values[name], getattr(population, name), rtol=1e-13, err_msg=name
            )
    pooled = reported.values(np.array([0.4, np.inf]))
    grows = {parameter.name for parameter in reported.each if parameter.grows}
    assert {name for name, value in pooled.items() if value == np.inf} == grows | {
        "log_concentration"
    }
    assert all(parameter.symbol and parameter.heading for parameter in reported.each)


@families
def test_directions_have_the_derivatives_of_finite_differences(family):
    reported, step = family.hyperparameters, 1e-5
    for eta in ETAS:
        for direction in reported.directions:
            moved = [
                direction(eta + step * unit) - direction(eta - step * unit) for unit in np.eye(2)
            ]
            gradient = direction.gradient(eta)
            np.testing.assert_allclose(gradient, np.array(moved) / (2 * step), atol=1e-9)
            ends = [direction.gradient(eta + sign * step * np.eye(2)[0])[0] for sign in (1, -1)]
            bend = (ends[0] - ends[1]) / (2 * step)
            assert float(direction.bend(eta[0])) == pytest.approx(bend, abs=1e-9)
        line_moves = np.eye(len(reported.directions))
        ends = [
            reported.from_directions(reported.on_line(eta)[:, None] + sign * step * line_moves)
            for sign in (1, -1)
        ]
        slopes = reported.moved(reported.on_line(eta), line_moves)
        np.testing.assert_allclose(slopes, (ends[0] - ends[1]) / (2 * step), rtol=1e-8, atol=1e-8)
        answers = reported.answer_gradients(eta)
        ends = [
            [reported.answer_values(eta + sign * step * unit) for unit in np.eye(2)]
            for sign in (1, -1)
        ]
        slopes = (np.array(ends[0]) - ends[1]).T / (2 * step)
        np.testing.assert_allclose(answers, slopes, rtol=1e-8, atol=1e-8)
