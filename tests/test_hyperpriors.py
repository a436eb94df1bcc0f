"""Hyperpriors against SciPy, their normalisation, and what they refuse."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats

import hierjax as hj
from hierjax.errors import ModelError
from hierjax.hyperpriors import MeanConcentration, PowerLaw, Shapes, check_proper

PROPER = {
    "mean_concentration": (
        lambda: MeanConcentration(dist.Beta(2.0, 6.0), dist.LogNormal(2.0, 0.7)),
        lambda m, k: (
            scipy.stats.beta(2, 6).logpdf(m) + scipy.stats.lognorm(0.7, scale=np.exp(2)).logpdf(k)
        ),
        # Density of (m, kappa) to density of (u, w): times m (1 - m) kappa.
        lambda m, k: np.log(m) + np.log1p(-m) + np.log(k),
    ),
    "shapes": (
        lambda: Shapes(dist.Gamma(2.0, 0.5), dist.Exponential(0.2)),
        lambda m, k: (
            scipy.stats.gamma(2, scale=2).logpdf(m * k)
            + scipy.stats.expon(scale=5).logpdf((1 - m) * k)
        ),
        # Density of (alpha, beta) to density of (u, w): times alpha beta.
        lambda m, k: np.log(m * k) + np.log((1 - m) * k),
    ),
}


@pytest.mark.parametrize("kind", PROPER)
def test_density_and_jacobian(kind):
    make, log_density, log_jacobian = PROPER[kind]
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        density = jax.jit(make().log_density)
        for u, w in rng.normal([-1.0, 2.0], [1.0, 1.0], (20, 2)):
            m, kappa = 1 / (1 + np.exp(-u)), np.exp(w)
            expected = log_density(m, kappa) + log_jacobian(m, kappa)
            found = float(density(jnp.array([u, w])))
            assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("kind", PROPER)
def test_proper_ones_integrate_to_one(kind):
    with jax.enable_x64(True):
        u, w = jnp.arange(-10, 18, 0.1), jnp.arange(-12, 14, 0.1)
        points = jnp.stack(jnp.meshgrid(u, w, indexing="ij"), axis=-1).reshape(-1, 2)
        values = jax.jit(jax.vmap(PROPER[kind][0]().log_density))(points)
        # The slowest tail, where beta goes to 0, falls like exp(-u): 1.5e-8 is cut off.
        assert float(jnp.exp(values).sum() * 0.01) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", PROPER)
def test_draws_have_the_density(kind):
    """Kolmogorov-Smirnov at a false-alarm rate of 1e-4 for each of four tests."""
    with jax.enable_x64(True):
        draws = np.asarray(PROPER[kind][0]().sample(jax.random.key(3), (4000,)))
    m, kappa = 1 / (1 + np.exp(-draws[:, 0])), np.exp(draws[:, 1])
    if kind == "shapes":
        pairs = (
            (m * kappa, scipy.stats.gamma(2, scale=2)),
            ((1 - m) * kappa, scipy.stats.expon(scale=5)),
        )
    else:
        pairs = ((m, scipy.stats.beta(2, 6)), (kappa, scipy.stats.lognorm(0.7, scale=np.exp(2))))
    for values, exact in pairs:
        assert scipy.stats.kstest(values, exact.cdf).pvalue > 1e-4


def test_power_law():
    with jax.enable_x64(True):
        eta = jnp.array([-1.2, 3.0])
        m = 1 / (1 + np.exp(1.2))
        for exponent in (2.1, 2.5, 4.0):
            expected = -exponent * 3.0 + np.log(m * np.exp(3.0)) + np.log((1 - m) * np.exp(3.0))
            found = float(PowerLaw(exponent).log_density(eta))
            assert found == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("exponent", [2.0, 1.9, -1.0, float("nan"), float("inf")])
def test_power_laws_that_no_data_make_proper(exponent):
    with pytest.raises(ModelError, match="exponent above 2"):
        PowerLaw(exponent)


@pytest.mark.parametrize(
    ("exponent", "interior", "proper"),
    [(2.5, 0.0, False), (2.5, 1.0, True), (3.0, 1.0, False), (3.5, 2.0, True), (4.0, 2.0, False)],
)
def test_impropriety_of_power_laws(exponent, interior, proper):
    """As w falls the posterior is like exp((2 - a + I) w), which must vanish."""
    if proper:
        check_proper(PowerLaw(exponent), interior)
        return
    with pytest.raises(ModelError, match=r"improper.*mean_concentration.*shapes"):
        check_proper(PowerLaw(exponent), interior)


def test_improper_posteriors_are_refused_by_methods():
    counts = hj.Counts([0, 9, 0, 4], [7, 9, 40, 4])
    for method in (hj.Quadrature(), hj.NUTS(), hj.Gibbs()):
        with pytest.raises(ModelError, match="0 < successes < trials"):
            hj.fit(counts, method=method, key=jax.random.key(0))
    model = hj.Model(
        hyperprior=hj.MeanConcentration(dist.Uniform(0.0, 1.0), dist.LogNormal(2.0, 1.5))
    )
    assert hj.fit(counts, model).status == "converged"


@pytest.mark.parametrize(
    "make",
    [
        lambda: MeanConcentration(dist.Normal(0.0, 1.0), dist.LogNormal(0.0, 1.0)),
        lambda: MeanConcentration(dist.Uniform(0.0, 2.0), dist.LogNormal(0.0, 1.0)),
        lambda: MeanConcentration(dist.Beta(1.0, 1.0), dist.Normal(0.0, 1.0)),
        lambda: MeanConcentration(dist.Beta(1.0, 1.0), dist.Poisson(3.0)),
        lambda: MeanConcentration(dist.Beta(np.ones(2), 1.0), dist.LogNormal(0.0, 1.0)),
        lambda: MeanConcentration(0.5, dist.LogNormal(0.0, 1.0)),
        lambda: Shapes(
            dist.ImproperUniform(dist.constraints.positive, (), ()), dist.Exponential(1.0)
        ),
        lambda: Shapes(dist.Exponential(1.0), dist.Dirichlet(np.ones(3))),
    ],
)
def test_wrong_distributions_are_refused(make):
    with pytest.raises(ModelError, match=r"expected (mean|concentration|alpha|beta) to be"):
        make()


@pytest.mark.parametrize(
    ("hyperprior", "moments"),
    [
        (lambda: PowerLaw(2.5), 0),
        (lambda: PowerLaw(3.0), 0),
        (lambda: PowerLaw(3.5), 1),
        (lambda: PowerLaw(5.0), 2),
        (lambda: MeanConcentration(dist.Beta(1.0, 1.0), dist.LogNormal(0.0, 1.0)), 2),
        (lambda: MeanConcentration(dist.Beta(1.0, 1.0), dist.HalfCauchy(1.0)), 0),
    ],
)
def test_which_moments_of_the_concentration_exist(hyperprior, moments):
    assert hyperprior().concentration_moments() == moments


def test_models_pass_through_transformations():
    with jax.enable_x64(True):
        model = hj.Model(
            hyperprior=MeanConcentration(dist.Beta(2.0, 3.0), dist.LogNormal(1.0, 1.0))
        )
        eta = jnp.array([0.3, 1.1])
        direct = model.hyperprior.log_density(eta)
        jitted = jax.jit(lambda model, eta: model.hyperprior.log_density(eta))(model, eta)
        assert float(jitted) == pytest.approx(float(direct), rel=1e-14)
        densities = jax.vmap(lambda a: PowerLaw.log_density(traced_power_law(a), eta))
        exponents = jax.jit(densities)(jnp.array([2.2, 2.5]))
        expected = [float(PowerLaw(a).log_density(eta)) for a in (2.2, 2.5)]
        np.testing.assert_allclose(exponents, expected, rtol=1e-14)


def traced_power_law(exponent):
    """A power law around a traced exponent, as transformations rebuild it."""
    leaves, structure = jax.tree.flatten(PowerLaw())
    return jax.tree.unflatten(structure, [exponent for _ in leaves])


_LEAVES = """
import jax, numpyro.distributions as dist, hierjax as hj
made = dist.TransformedDistribution(dist.Normal(5.0, 6.0), dist.transforms.ExpTransform())
hyperprior = hj.MeanConcentration(dist.Beta(1.5, 2.5), made)
print([str(leaf) for leaf in jax.tree.leaves(hyperprior)])
"""


@pytest.mark.slow
def test_leaves_have_one_order_in_every_process():
    """Or else compiled code that is kept would be of no use to the next process."""
    found = {
        subprocess.run(
            [sys.executable, "-c", _LEAVES],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "1234"
    }
    assert len(found) == 1, found


@pytest.mark.parametrize("kind", PROPER)
def test_leaves_make_the_hyperprior_again(kind):
    hyperprior = PROPER[kind][0]()
    leaves, structure = jax.tree.flatten(hyperprior)
    again = jax.tree.unflatten(structure, leaves)
    assert structure == jax.tree.structure(again)
    eta = jnp.array([-0.5, 1.5])
    assert float(again.log_density(eta)) == float(hyperprior.log_density(eta))
