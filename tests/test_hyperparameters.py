"""Answers about the hyperparameters against SciPy on a plain grid."""

import math

import numpy as np
import pytest
from hierarchy_oracle import rats_grid
from monte_carlo import exact
from scipy.stats import norm

import hierjax as hj
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.families.hyperparameters import LOG, Hyperparameter, Hyperparameters, along_second
from hierjax.hyperparameters import (
    PARAMETERS,
    lattice_quantiles,
    parameter_values,
    summarize_draws,
    summarize_point,
    wald,
)
from hierjax.lattice_quantiles import lattice_quantile_effects

LEVELS = (0.05, 0.5, 0.95)


@pytest.fixture(scope="module")
def grid():
    return rats_grid(hj.datasets.rat_tumors())


@pytest.fixture(scope="module")
def quantiles():
    """Of the rats, one row a hyperparameter."""
    fit = exact()
    return lattice_quantiles(fit.posterior, fit.result.lattice, np.array([0.001, *LEVELS, 0.999]))


def test_parameters_follow_from_the_working_coordinates():
    points = np.random.default_rng(0).normal(size=(3, 5, 2)) * [2.0, 3.0]
    values = parameter_values(points)
    assert tuple(values) == PARAMETERS
    mean, concentration = 1 / (1 + np.exp(-points[..., 0])), np.exp(points[..., 1])
    expected = (
        points[..., 0], points[..., 1], mean, concentration,
        mean * concentration, (1 - mean) * concentration,
    )  # fmt: skip
    for name, value in zip(PARAMETERS, expected, strict=True):
        np.testing.assert_allclose(values[name], value, rtol=1e-12, err_msg=name)


def test_parameters_keep_their_digits_at_the_ends():
    values = parameter_values(np.array([[-800.0, 805.0], [800.0, 805.0], [0.0, np.inf]]))
    np.testing.assert_allclose(values["alpha"][0], math.exp(5.0), rtol=1e-12)
    np.testing.assert_allclose(values["beta"][1], math.exp(5.0), rtol=1e-12)
    np.testing.assert_array_equal(values["concentration"], np.inf)
    np.testing.assert_array_equal(values["mean"], [0.0, 1.0, 0.5])


def test_quantiles_of_the_working_coordinates_are_those_of_a_plain_grid(grid, quantiles):
    for row, name in enumerate(PARAMETERS[:2]):
        expected = [grid.quantile(name, level) for level in LEVELS]
        # A step between rows of the lattice is interpolated to about 4e-7 standard deviations.
        np.testing.assert_allclose(quantiles[row, 1:4], expected, atol=1e-7)


def test_the_grid_has_the_quantiles_found_before(grid):
    """So that the oracle itself is checked, against an independent computation."""
    for name, expected in (
        ("logit_mean", (-1.9792714134, -1.7967098598, -1.6175647792)),
        ("log_concentration", (2.2073742182, 2.7377027324, 3.3344965412)),
    ):
        found = [grid.quantile(name, level) for level in LEVELS]
        np.testing.assert_allclose(found, expected, atol=2e-9)


def test_quantiles_of_the_shapes_are_those_of_a_plain_grid(grid, quantiles):
    for row, name in ((4, "alpha"), (5, "beta")):
        expected = [grid.shape_quantile(name, level) for level in LEVELS]
        np.testing.assert_allclose(quantiles[row, 1:4], expected, rtol=1e-7)


def test_monotone_maps_keep_quantiles(quantiles):
    np.testing.assert_allclose(quantiles[2], 1 / (1 + np.exp(-quantiles[0])), rtol=1e-14)
    np.testing.assert_allclose(quantiles[3], np.exp(quantiles[1]), rtol=1e-14)
    assert np.all(np.diff(quantiles, axis=1) > 0)


def test_moments_are_those_of_a_plain_grid(grid):
    summary = exact().summary()
    u, w = grid.u[:, None], grid.w[None]
    for row, values in enumerate((u, w, 1 / (1 + np.exp(-u)))):
        mean = grid.mean(values)
        assert summary["mean"][row] == pytest.approx(mean, abs=1e-11)
        sd = np.sqrt(grid.mean((values - mean) ** 2))
        assert summary["sd"][row] == pytest.approx(sd, rel=1e-9)


def test_wald_intervals_are_the_delta_methods():
    """Against a finite difference of each parameter on the scale without bounds."""
    eta, z = np.array([-1.2, 2.5]), 1.7
    root = np.array([[0.3, 0.0], [-0.1, 0.4]])
    covariance = root @ root.T
    scales = dict.fromkeys(PARAMETERS, np.log) | {
        "logit_mean": lambda x: x,
        "log_concentration": lambda x: x,
        "mean": lambda m: np.log(m / (1 - m)),
    }
    inverses = dict.fromkeys(PARAMETERS, np.exp) | {
        "logit_mean": lambda x: x,
        "log_concentration": lambda x: x,
        "mean": lambda x: 1 / (1 + np.exp(-x)),
    }
    step = 1e-5
    for name, (error, low, high) in wald(eta, covariance, z).items():

        def on_scale(shift, name=name):
            return scales[name](parameter_values(eta + shift)[name])

        slope = [(on_scale(step * d) - on_scale(-step * d)) / (2 * step) for d in np.eye(2)]
        width = z * np.sqrt(slope @ covariance @ slope)
        ends = [inverses[name](on_scale(0.0) + sign * width) for sign in (-1, 1)]
        np.testing.assert_allclose((low, high), ends, rtol=1e-9, err_msg=name)
        plain = [
            (parameter_values(eta + step * d)[name] - parameter_values(eta - step * d)[name])
            / (2 * step)
            for d in np.eye(2)
        ]
        assert error == pytest.approx(np.sqrt(plain @ covariance @ plain), rel=1e-8)


def test_a_point_has_its_estimate_as_mean_and_median_and_walds_interval():
    eta, covariance = np.array([0.3, 1.0]), np.diag([0.04, 0.09])
    levels = np.array([0.1, 0.5, 0.9])
    columns = summarize_point(eta, covariance, levels)
    np.testing.assert_array_equal(columns["mean"], list(parameter_values(eta).values()))
    np.testing.assert_array_equal(columns["median"], columns["mean"])
    assert columns["high"][0] == pytest.approx(0.3 + norm.ppf(0.9) * 0.2, rel=1e-14)
    assert columns["low"][1] == pytest.approx(1.0 - norm.ppf(0.9) * 0.3, rel=1e-14)
    assert set(summarize_point(eta, None, levels)) == {"mean", "median"}


def test_draws_have_sample_moments_quantiles_and_diagnostics():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4, 500, 2)) * [0.1, 0.3] + [-1.0, 2.0]
    diagnostics = {"ess_bulk": [1.0, 2.0], "ess_tail": [3.0, 4.0], "r_hat": [5.0, 6.0]}
    columns = summarize_draws(draws, np.array(LEVELS), diagnostics)
    alpha = np.exp(draws[..., 1]) / (1 + np.exp(-draws[..., 0]))
    assert columns["mean"][4] == pytest.approx(alpha.mean(), rel=1e-12)
    assert columns["sd"][4] == pytest.approx(alpha.std(), rel=1e-12)
    for column, level in zip(("low", "median", "high"), LEVELS, strict=True):
        assert columns[column][4] == pytest.approx(np.quantile(alpha, level), rel=1e-12)
    # The mean and the concentration are ordered as the working coordinates are.
    np.testing.assert_array_equal(columns["ess_bulk"][:4], [1, 2, 1, 2])
    np.testing.assert_array_equal(columns["r_hat"][:4], [5, 6, 5, 6])
    assert np.all(columns["ess_tail"][4:] > 500)


def test_what_falls_with_the_concentration_has_the_opposite_quantiles():
    """As a population's standard deviation does, of which half the fall in logarithms is w."""
    falls = Hyperparameter("sd", along_second("log_sd", -0.5), LOG, "sd")
    reported = Hyperparameters((*BetaBinomial.hyperparameters.each[:2], falls))
    fit, levels = exact(), np.array(LEVELS)
    posterior, lattice = fit.posterior, fit.result.lattice
    w, sd = lattice_quantiles(posterior, lattice, levels, reported)[1:]
    np.testing.assert_allclose(sd, np.exp(-0.5 * w[::-1]), rtol=1e-13)
    effects = lattice_quantile_effects(posterior, lattice, levels, reported)
    np.testing.assert_allclose(
        effects[2], -0.5 * sd[:, None, None] * effects[1, ::-1], rtol=1e-9, atol=1e-12
    )
    low, high = wald(np.array([-1.2, 2.5]), np.diag([0.1, 0.2]), 1.7, reported)["sd"][1:]
    ends = np.exp(-0.5 * (2.5 + 1.7 * np.sqrt(0.2) * np.array([1, -1])))
    np.testing.assert_allclose((low, high), ends, rtol=1e-13)
