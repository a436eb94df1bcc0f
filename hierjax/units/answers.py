"""Answers about many units on the host, computed once for every distinct value and size."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hierjax.entries import Number
from hierjax.families.protocol import AnyFamily
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
from hierjax.units.mixture import Mixture, condense, condense_pooled
from hierjax.units.moments import unit_moments
from hierjax.units.pooled_rows import PooledRows

__all__ = ["Units"]

# Distinct pairs answered at once; one size, so that one compilation serves all.
_BATCH = 64
_COARSE, _FINE = 1e-6, 1e-12
# How unlike the data units may be for mixtures that are tried in turn.
_REACHES = (4.0, 20.0)
Columns = dict[str, np.ndarray]


class Units:
    """Posteriors of units under one posterior of the hyperparameters.

    Args:
        family: Conjugate family.
        posterior: Posterior of the hyperparameters, on the host.
        is_lattice: Whether its points are quadrature's.
        dtype: Floating type to compute in.
    """

    def __init__(self, family: AnyFamily, posterior: HyperPosterior, is_lattice: bool, dtype: type):
        self.family, self.posterior, self.dtype = family, posterior, dtype
        self._is_lattice = is_lattice
        self._by_reach: dict[float, tuple[Mixture, PooledRows] | None] = {}

    @cached_property
    def mixture(self) -> Mixture:
        """The points that units' posteriors mix, on the host, in double precision."""
        return condense(self.family, self.posterior, self._is_lattice)

    @cached_property
    def coarse_mixture(self) -> Mixture:
        """Fewer points, for what compares many units; off by 1e-6 in a probability."""
        return condense(self.family, self.posterior, self._is_lattice, _COARSE)

    @cached_property
    def is_pooled(self) -> bool:
        """Whether pooling is complete: parameters are then known without a density."""
        return bool(np.isinf(self.posterior.points).any())

    def _pooled(self, reach: float) -> tuple[Mixture, PooledRows] | None:
        """The points for units like the data, where some rows are close to complete pooling."""
        if reach not in self._by_reach:
            self._by_reach[reach] = (
                condense_pooled(self.family, self.posterior, reach) if self._is_lattice else None
            )
        return self._by_reach[reach]

    def _on_device(self, tree: Any) -> Any:
        return jax.tree.map(lambda values: jnp.asarray(values, self.dtype), tree)

    @cached_property
    def _fine_mixture(self) -> Mixture:
        """More points, for densities: they keep their digits in the tails."""
        return self._on_device(condense(self.family, self.posterior, self._is_lattice, _FINE))

    def moments(self, y: np.ndarray, n: np.ndarray) -> Columns:
        """Columns mean, sd and shrinkage."""
        with jax.enable_x64(self.dtype == np.float64):
            posterior = self._on_device(self.posterior)

        def answer(y: Array, n: Array) -> dict[str, Array]:
            return unit_moments(self.family, posterior, y, n)._asdict()

        return self._over_pairs(y, n, answer)

    def intervals(
        self, y: np.ndarray, n: np.ndarray, level: float, highest: bool = False
    ) -> Columns:
        """Columns low, median and high of equal-tailed or highest-density intervals."""
        tails = np.array([(1 - level) / 2, 0.5, (1 + level) / 2])

        def answer(distributions: UnitDistribution) -> Columns:
            low, median, high = quantiles(self.family, distributions, tails).astype(self.dtype).T
            if highest:
                ends = highest_density(self.family, distributions, jnp.asarray(self.dtype(level)))
                low, high = np.asarray(ends).T
            return {"low": low, "median": median, "high": high}

        if self.is_pooled:
            return dict.fromkeys(("low", "median", "high"), self.moments(y, n)["mean"])
        return self._over_distributions(y, n, answer)

    def below(
        self, y: np.ndarray, n: np.ndarray, thresholds: Float[np.ndarray, "thresholds"]
    ) -> Float[np.ndarray, "units thresholds"]:
        """P(theta < threshold) of every unit."""
        if self.is_pooled:
            return (self.moments(y, n)["mean"][:, None] < thresholds).astype(float)

        def answer(distributions: UnitDistribution) -> dict[str, Array]:
            each = jnp.broadcast_to(jnp.asarray(thresholds, self.dtype), (_BATCH, len(thresholds)))
            return {"below": below(self.family, distributions, each)}

        return self._over_distributions(y, n, answer)["below"]

    def density(
        self, y: Number, n: Number, parameters: Float[np.ndarray, "points"]
    ) -> Float[np.ndarray, "points"]:
        """Density of one unit's parameter."""
        values = (jnp.asarray(value, self.dtype) for value in (y, n, parameters))
        return np.asarray(unit_density(self.family, self._fine_mixture, *values))

    def _over_distributions(
        self,
        y: np.ndarray,
        n: np.ndarray,
        answer: Callable[[UnitDistribution], Mapping[str, Any]],
    ) -> Columns:
        """Answers from units' distributions, by the mixture that holds for each unit."""
        parts = []
        for chosen, mixture in self._mixtures(y, n):
            with jax.enable_x64(self.dtype == np.float64):
                placed = self._on_device(mixture)

            def one(y: Array, n: Array, placed: Mixture = placed) -> Mapping[str, Any]:
                return answer(unit_distributions(self.family, placed, y, n))

            parts.append((chosen, self._over_pairs(y[chosen], n[chosen], one)))
        found = {}
        for name, first in parts[0][1].items():
            found[name] = np.empty((len(y), *first.shape[1:]), first.dtype)
            for chosen, answers in parts:
                found[name][chosen] = answers[name]
        return found

    def _mixtures(
        self, y: np.ndarray, n: np.ndarray
    ) -> Iterator[tuple[Bool[np.ndarray, "units"], Mixture]]:
        """Mixtures, and the units that each is for."""
        left, statistics = np.ones(len(y), bool), self.family.on_host.statistic(y, n)
        for reach in _REACHES:
            pooled = self._pooled(reach)
            if pooled is None:
                break
            held = left & pooled[1].hold(*statistics)
            if held.any():
                yield held, pooled[0]
            left &= ~held
            if not left.any():
                return
        yield left, self.mixture

    def _over_pairs(
        self, y: np.ndarray, n: np.ndarray, answer: Callable[[Array, Array], Mapping[str, Any]]
    ) -> Columns:
        """Batches of distinct pairs, the last filled up, and every unit's answer from them."""
        pairs, inverse = distinct_pairs(y, n)
        missing = (0, -pairs.shape[1] % _BATCH)
        padded: np.ndarray = np.pad(pairs.astype(self.dtype), ((0, 0), missing), "edge")
        with jax.enable_x64(self.dtype == np.float64):
            batches = [
                {name: np.asarray(x) for name, x in answer(*map(jnp.asarray, batch)).items()}
                for batch in np.split(padded, padded.shape[1] // _BATCH, axis=1)
            ]
        return {
            name: np.concatenate([batch[name] for batch in batches])[inverse] for name in batches[0]
        }
