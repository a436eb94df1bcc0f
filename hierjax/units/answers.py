"""Answers about many units on the host, computed once for every distinct pair of counts."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.posterior import HyperPosterior
from hierjax.tally import distinct_pairs
from hierjax.units.distribution import (
    UnitDistribution,
    below,
    highest_density,
    quantiles,
    unit_density,
    unit_distributions,
)
from hierjax.units.mixture import Mixture, condense
from hierjax.units.moments import unit_moments

__all__ = ["Units"]

# Distinct pairs of counts answered at once; one size, so that one compilation serves all.
_BATCH = 64
_COARSE, _FINE = 1e-6, 1e-12
Columns = dict[str, np.ndarray]


class Units:
    """Posteriors of units under one posterior of the hyperparameters.

    Args:
        family: Conjugate family.
        posterior: Posterior of the hyperparameters, on the host.
        is_lattice: Whether its points are quadrature's.
        dtype: Floating type to compute in.
    """

    def __init__(
        self, family: BetaBinomial, posterior: HyperPosterior, is_lattice: bool, dtype: type
    ):
        self.family, self.posterior, self.dtype = family, posterior, dtype
        self._is_lattice = is_lattice

    @cached_property
    def mixture(self) -> Mixture:
        """The points that units' posteriors mix, on the host, in double precision."""
        return condense(self.posterior, self._is_lattice)

    @cached_property
    def coarse_mixture(self) -> Mixture:
        """Fewer points, for what compares many units; off by 1e-6 in a probability."""
        return condense(self.posterior, self._is_lattice, _COARSE)

    @cached_property
    def is_pooled(self) -> bool:
        """Whether pooling is complete: rates are then known without a density."""
        return bool(np.isinf(self.posterior.points).any())

    @cached_property
    def _on_device(self) -> tuple[HyperPosterior, Mixture]:
        def place(values: Any) -> Array:
            return jnp.asarray(values, self.dtype)

        return jax.tree.map(place, self.posterior), jax.tree.map(place, self.mixture)

    @cached_property
    def _fine_mixture(self) -> Mixture:
        """More points, for densities: they keep their digits in the tails."""
        fine = condense(self.posterior, self._is_lattice, _FINE)
        return jax.tree.map(lambda values: jnp.asarray(values, self.dtype), fine)

    def moments(self, y: np.ndarray, n: np.ndarray) -> Columns:
        """Columns mean, sd and shrinkage."""

        def answer(y: Array, n: Array) -> dict[str, Array]:
            return unit_moments(self.family, self._on_device[0], y, n)._asdict()

        return self._over_pairs(y, n, answer)

    def intervals(
        self, y: np.ndarray, n: np.ndarray, level: float, highest: bool = False
    ) -> Columns:
        """Columns low, median and high of equal-tailed or highest-density intervals."""
        tails = np.array([(1 - level) / 2, 0.5, (1 + level) / 2])

        def answer(distributions: UnitDistribution) -> Columns:
            low, median, high = quantiles(distributions, tails).astype(self.dtype).T
            if highest:
                ends = highest_density(distributions, jnp.asarray(self.dtype(level)))
                low, high = np.asarray(ends).T
            return {"low": low, "median": median, "high": high}

        if self.is_pooled:
            return dict.fromkeys(("low", "median", "high"), self.moments(y, n)["mean"])
        return self._over_pairs(y, n, lambda y, n: answer(self._distributions(y, n)))

    def below(
        self, y: np.ndarray, n: np.ndarray, thresholds: Float[np.ndarray, "thresholds"]
    ) -> Float[np.ndarray, "units thresholds"]:
        """P(theta < threshold) of every unit."""
        if self.is_pooled:
            return (self.moments(y, n)["mean"][:, None] < thresholds).astype(float)

        def answer(y: Array, n: Array) -> dict[str, Array]:
            rates = jnp.broadcast_to(jnp.asarray(thresholds, self.dtype), (_BATCH, len(thresholds)))
            return {"below": below(self._distributions(y, n), rates)}

        return self._over_pairs(y, n, answer)["below"]

    def density(
        self, y: int, n: int, rates: Float[np.ndarray, "points"]
    ) -> Float[np.ndarray, "points"]:
        """Density of one unit's rate."""
        values = (jnp.asarray(value, self.dtype) for value in (y, n, rates))
        return np.asarray(unit_density(self.family, self._fine_mixture, *values))

    def _distributions(self, y: Array, n: Array) -> UnitDistribution:
        return unit_distributions(self.family, self._on_device[1], y, n)

    def _over_pairs(
        self, y: np.ndarray, n: np.ndarray, answer: Callable[[Array, Array], Mapping[str, Any]]
    ) -> Columns:
        """Batches of distinct pairs, the last filled up, and every unit's answer from them."""
        pairs, inverse = distinct_pairs(y, n)
        padded = np.zeros((2, -(-pairs.shape[1] // _BATCH) * _BATCH), self.dtype)
        padded[:, : pairs.shape[1]] = pairs
        with jax.enable_x64(self.dtype == np.float64):
            batches = [
                {name: np.asarray(x) for name, x in answer(*map(jnp.asarray, batch)).items()}
                for batch in np.split(padded, padded.shape[1] // _BATCH, axis=1)
            ]
        return {
            name: np.concatenate([batch[name] for batch in batches])[inverse] for name in batches[0]
        }
