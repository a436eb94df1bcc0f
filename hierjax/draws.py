"""Draws: the posterior's density, and independent draws from it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from hierjax.asked import whole_number
from hierjax.fitted import Fitted
from hierjax.inference.quadrature import QuadratureResult, draw
from hierjax.keys import require_key
from hierjax.model import Model
from hierjax.units.draws import draw_parameters

__all__ = ["Draws"]


class Draws(Fitted):
    """Densities and draws, asked of a fit."""

    def _tally(self) -> Any:
        values, sizes = self.counts.pair
        return self.model.family.tally(values, sizes, self.counts.weights, self.dtype)

    def log_posterior(self, points: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch"]:
        """Unnormalised log-posterior density at given working coordinates."""
        with self._x64():
            flat = jnp.asarray(points, self.dtype).reshape(-1, 2)
            tally = jax.tree.map(jnp.asarray, self._tally())
            values = _log_posterior(self.model, tally, flat)
            return np.asarray(values).reshape(np.shape(points)[:-1])

    def sample(self, draws: int, key: Key[Array, ""]) -> Float[np.ndarray, "draws 2"]:
        """Independent draws of the working coordinates.

        By quadrature they are drawn anew, by rejection; by a sampler they are drawn with
        replacement from its draws; of a point estimate there is only the point.

        Args:
            draws: Number of draws.
            key: Typed random key.

        Returns:
            Working coordinates.

        Raises:
            TypeError: If the key is not a single typed key.
            ConfigError: If no draws are asked for.
        """
        key = require_key(key)
        draws = whole_number("draws", draws)
        places = self.result.lattice
        with self._x64():
            if places is not None:
                posterior, on_device = jax.tree.map(jnp.asarray, (self.posterior, places))
                zero = jnp.zeros((), self.dtype)
                found = QuadratureResult(posterior, on_device, zero, zero, zero)
                tally = self._tally()
                return np.asarray(draw(self.model, tally, found, key, draws))
            points = self.posterior.points.reshape(-1, 2)
            weights = jnp.asarray(self.posterior.weights.ravel())
            index = jax.random.choice(key, len(points), (draws,), p=weights)
            return points[np.asarray(index)]

    def sample_rates(
        self, draws: int, key: Key[Array, ""]
    ) -> tuple[Float[np.ndarray, "draws 2"], Float[np.ndarray, "draws units"]]:
        """Independent joint draws of the hyperparameters and of all units' rates or effects.

        The hyperparameters are drawn as by `sample`, then every rate or effect from its conjugate
        posterior given them.

        Args:
            draws: Number of draws.
            key: Typed random key.

        Returns:
            Working coordinates, and rates or effects.

        Raises:
            TypeError: If the key is not a single typed key.
            ConfigError: If no draws are asked for.

        Example:
            >>> import hierjax as hj, jax
            >>> fit = hj.fit(hj.datasets.rat_tumors())
            >>> eta, rates = fit.sample_rates(4000, jax.random.key(0))
            >>> eta.shape, rates.shape
            ((4000, 2), (4000, 70))
        """
        key_points, key_rates = jax.random.split(require_key(key))
        points = self.sample(draws, key_points)
        values, sizes = self.counts.pair
        return points, draw_parameters(self.model.family, points, values, sizes, key_rates)


@jax.jit
def _log_posterior(
    model: Model, tally: Any, points: Float[Array, "points 2"]
) -> Float[Array, "points"]:
    return jax.vmap(lambda eta: model.log_posterior(tally, eta))(points)
