"""Weighted points: how they are made, merged and filled up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierjax.posterior import HyperPosterior, merge

DRAWS = np.random.default_rng(7).multivariate_normal(
    [-1.8, 2.75], [[0.012, 0.008], [0.008, 0.12]], (4, 5000)
)


def from_draws(draws):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, HyperPosterior.from_draws(jnp.asarray(draws)))


def moments(posterior):
    points, weights = posterior.points.reshape(-1, 2), posterior.weights.ravel()
    mean = weights @ points
    return mean, (weights[:, None] * (points - mean)).T @ (points - mean)


def test_one_point():
    with jax.enable_x64(True):
        posterior = HyperPosterior.at(jnp.array([-1.5, 2.0]))
        assert posterior.points.shape == (1, 1, 2)
        assert posterior.weights.tolist() == [[1.0]]
        assert float(posterior.mean(posterior.points[..., 1])) == 2.0


def test_draws_weigh_the_same():
    posterior = from_draws(DRAWS)
    assert posterior.weights.shape == (4, 5000)
    assert np.ptp(posterior.weights) == 0.0
    assert posterior.weights.sum() == pytest.approx(1.0, abs=1e-12)


def test_points_without_weight_do_not_matter_to_a_mean():
    posterior = HyperPosterior(jnp.zeros((1, 3, 2)), jnp.array([[0.25, 0.75, 0.0]]))
    values = jnp.array([[1.0, 3.0, jnp.nan]])
    assert float(posterior.mean(values)) == 2.5


@pytest.mark.parametrize(("cells", "side"), [(400, 20), (100, 10), (110, 10)])
def test_merged_draws_keep_their_mean_and_most_of_their_spread(cells, side):
    posterior = from_draws(DRAWS)
    merged = merge(posterior, cells)
    assert merged.points.shape == (1, side**2, 2)
    assert merged.points.dtype == merged.weights.dtype == np.float64
    assert merged.weights.sum() == pytest.approx(1.0, abs=1e-12)
    # Cells have numbers of draws that differ by two at most: strips by one, and cells by one.
    assert np.ptp(merged.weights) * DRAWS[..., 0].size <= 2.5
    (mean, covariance), (exact_mean, exact_covariance) = moments(merged), moments(posterior)
    np.testing.assert_allclose(mean, exact_mean, rtol=1e-12)
    # What is lost is the variance within cells: of normal draws 4.2 % with 10 x 10 of them, 1.7 %
    # with 20 x 20.
    lost = 1 - np.diag(covariance) / np.diag(exact_covariance)
    assert np.all(lost > 0)
    np.testing.assert_allclose(lost, {10: 0.042, 20: 0.017}[side], rtol=0.1)


def test_merging_keeps_what_the_coordinates_have_in_common():
    merged = merge(from_draws(DRAWS), 400)
    correlation = np.corrcoef(merged.points[0].T)[0, 1]
    assert correlation == pytest.approx(np.corrcoef(DRAWS.reshape(-1, 2).T)[0, 1], abs=0.01)


def test_few_draws_stay_as_they_are():
    posterior = from_draws(DRAWS[:, :25])
    merged = merge(posterior, 100)
    np.testing.assert_array_equal(merged.points[0], posterior.points.reshape(-1, 2))
    np.testing.assert_array_equal(merged.weights[0], posterior.weights.ravel())


def test_the_order_of_draws_does_not_matter():
    shuffled = np.random.default_rng(8).permutation(DRAWS.reshape(-1, 2)).reshape(4, 5000, 2)
    one, other = (merge(from_draws(draws), 400) for draws in (DRAWS, shuffled))
    np.testing.assert_allclose(one.points, other.points, rtol=1e-12)
    np.testing.assert_array_equal(one.weights, other.weights)
