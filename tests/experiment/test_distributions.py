"""Hyperpriors from configurations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from hierjax.errors import ConfigError
from hierjax.experiment.distributions import build_model
from hierjax.experiment.schema import ModelConfig
from hierjax.hyperpriors import PowerLaw

HALF_NORMAL = {"distribution": "HalfNormal", "scale": 10.0}
GAMMA = {"distribution": "Gamma", "concentration": 2.0, "rate": 0.1}
BETA = {"distribution": "Beta", "concentration1": 2.1, "concentration0": 3.0}


def model(**hyperprior):
    return build_model(ModelConfig.model_validate({"hyperprior": hyperprior}))


def test_power_law():
    assert model(kind="power_law", exponent=3).hyperprior == PowerLaw(3.0)


def test_densities_are_those_of_scipy_in_double_precision():
    eta = np.array([-1.3, 2.2])
    m, kappa = 1 / (1 + np.exp(1.3)), np.exp(2.2)
    alpha, beta = m * kappa, (1 - m) * kappa
    with jax.enable_x64(True):
        mean = model(kind="mean_concentration", mean=BETA, concentration=GAMMA).hyperprior
        shapes = model(kind="shapes", alpha=HALF_NORMAL, beta=GAMMA).hyperprior
        found = [float(h.log_density(jnp.asarray(eta))) for h in (mean, shapes)]
    expected = [
        stats.beta(2.1, 3.0).logpdf(m)
        + np.log(m * (1 - m))
        + stats.gamma(2.0, scale=10.0).logpdf(kappa)
        + np.log(kappa),
        stats.halfnorm(scale=10.0).logpdf(alpha)
        + np.log(alpha)
        + stats.gamma(2.0, scale=10.0).logpdf(beta)
        + np.log(beta),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_parameters_have_numpyro_s_defaults():
    assert model(kind="shapes", alpha={"distribution": "HalfNormal"}, beta=GAMMA).hyperprior


def test_truncated_distributions():
    truncated = {"distribution": "TruncatedNormal", "loc": 0.1, "scale": 0.1, "low": 0, "high": 1}
    assert model(kind="mean_concentration", mean=truncated, concentration=GAMMA).hyperprior


@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        ({"distribution": "Gama"}, "alpha.distribution: expected a continuous distribution of"),
        ({"distribution": "Gama"}, "found 'Gama'; did you mean 'Gamma'?"),
        ({"distribution": "Poisson", "rate": 1.0}, "found 'Poisson'"),
        ({"distribution": "zzz"}, "known are AsymmetricLaplace"),
        ({"distribution": "__doc__"}, "found '__doc__'"),
        ({"distribution": "Gamma"}, "alpha.concentration: expected a number, as Gamma needs"),
        (
            {**GAMMA, "rte": 1.0},
            "model.hyperprior.alpha.rte: expected a parameter of Gamma; did you mean 'rate'?",
        ),
        ({**GAMMA, "rate": -2.0}, "alpha.rate: expected a number above 0, found -2"),
        ({"distribution": "Normal"}, "alpha to be a scalar numpyro distribution on (0, inf)"),
        (
            {"distribution": "Uniform", "low": 3.0, "high": 1.0},
            "alpha: expected parameters that give Uniform a density, found the bounds 3 and 1",
        ),
        ({"distribution": "LogUniform", "low": 0, "high": 1}, "low: expected a number above 0"),
        (
            {"distribution": "TruncatedNormal", "scale": -1.0, "low": 0.0},
            "alpha: expected parameters that suit TruncatedNormal; Normal distribution got invalid",
        ),
    ],
)
def test_wrong_distributions_are_named(alpha, message):
    with pytest.raises(ConfigError) as caught:
        model(kind="shapes", alpha=alpha, beta=HALF_NORMAL)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
