"""Fit: a model, its data, a method and what it found; every answer is asked of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from hierjax import checks, influence, sensitivity, storage, updating
from hierjax.asked import of_kind, probability
from hierjax.containers import CONTAINERS
from hierjax.decisions import Decisions
from hierjax.draws import Draws
from hierjax.entries import ArrayLike
from hierjax.errors import ConfigError, InferenceError
from hierjax.estimates import Estimates
from hierjax.families import FAMILIES
from hierjax.fitted import DTYPES, Precision
from hierjax.followed import New
from hierjax.hyperparameters import (
    summarize_draws,
    summarize_lattice,
    summarize_point,
    without_moments,
)
from hierjax.inference import Method, Quadrature
from hierjax.inference.boundary import boundary_posterior
from hierjax.inference.result import Problem, Progress, Result, Status
from hierjax.model import Model
from hierjax.observations import Observations
from hierjax.posterior import HyperPosterior
from hierjax.table import Table

__all__ = ["Fit", "fit"]

_EXPECTED = " or ".join(container.__name__ for container in CONTAINERS.values())
_HERMITE_NODES = 16
# Rows beside complete pooling: so many that units' posteriors show none of them.
_BOUNDARY_ROWS = 48
_boundary_posterior = partial(jax.jit, static_argnums=3)(boundary_posterior)


def fit(
    counts: Observations,
    model: Model | None = None,
    method: Method | None = None,
    *,
    key: Key[Array, ""] | None = None,
    precision: Precision = "float64",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> "Fit":
    """Infers the hyperparameters of a hierarchy.

    Args:
        counts: Validated data of the units: `Counts` of successes among trials, `Events` over
            exposures, or `Measurements` with standard errors.
        model: Family and hyperprior; by default the family of the data under its default
            hyperprior, for counts beta-binomial under (alpha + beta)^(-5/2).
        method: Settings of the method; by default quadrature.
        key: Typed random key, for methods that draw.
        precision: Floating type to compute in; JAX's own setting is left as it is.
        progress: Called by samplers with steps done and steps in all.
        checkpoint: File that samplers write after every chunk and go on from if it is there.

    Returns:
        The fit. Look at its `status`: trouble is reported there, not raised.

    Raises:
        ModelError: If the posterior would be improper, or the method cannot do the model.
        TypeError: If a method that draws is given no typed key.
        ConfigError: If the precision is unknown, the model's family is not that of the data, or
            data, model or method are something else.

    Example:
        >>> import hierjax as hj
        >>> result = hj.fit(hj.datasets.rat_tumors())
        >>> print(f"{result.predict(4, 14)['mean'][0]:.6f}")
        0.210205
    """
    if precision not in DTYPES:
        raise ConfigError(f"precision: expected 'float64' or 'float32', found {precision!r}")
    of_kind("counts", counts, Observations, _EXPECTED)
    family = FAMILIES[counts.family]
    model = Model(family) if model is None else model
    method = method or Quadrature()
    of_kind("model", model, Model, "a Model")
    of_kind("method", method, Method, "a method's settings, such as Gibbs()")
    require_family(model, counts)
    with jax.enable_x64(precision == "float64"):
        problem = Problem(model, counts, DTYPES[precision], key, progress, checkpoint)
        result = method.run(problem).on_host()
    return Fit(counts, problem.model, method, precision, result)


def require_family(model: Model, data: Observations) -> None:
    """Refuses a model of another family than the data are for.

    Args:
        model: Family and hyperprior.
        data: The units.

    Raises:
        ConfigError: If the families differ.
    """
    if model.family.name != data.family:
        raise ConfigError(
            f"model: expected the family {data.family}, as of {type(data).__name__}, "
            f"found {model.family.name}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Estimates, Decisions, Draws):
    """What a method found, and the answers that follow from it.

    Attributes:
        counts: The units.
        model: Family and hyperprior.
        method: The method's settings.
        precision: Floating type of the computation.
        result: Posterior, draws, status and diagnostics, as NumPy arrays.
    """

    def __repr__(self) -> str:
        method = self.method.name
        return f"Fit(method={method!r}, units={len(self.counts)}, status={self.status!r})"

    def estimate(self, parameter: str) -> float:
        """The point estimate of a hyperparameter, or its posterior median.

        Args:
            parameter: One of logit_mean, log_concentration, mean, concentration, alpha, beta.

        Returns:
            Its value.

        Raises:
            ConfigError: If there is no such hyperparameter.
        """
        names = self.model.family.hyperparameters.names
        if parameter not in names:
            raise ConfigError(f"parameter: expected one of {', '.join(names)}, found {parameter!r}")
        return float(self.summary()["median"][names.index(parameter)])

    def summary(self, level: float = 0.9) -> Table:
        """Estimates, intervals and diagnostics of the hyperparameters.

        For posteriors low, median and high are quantiles; for point estimates mean and median
        are the estimate, and sd, low and high Wald's. NaN marks what is not available, and the
        means and standard deviations that do not exist under the hyperprior.

        Args:
            level: Probability of the central interval.

        Returns:
            One row a parameter: parameter, mean, sd, low, median, high, ess_bulk, ess_tail, r_hat.

        Raises:
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1).
        """
        levels = _levels(level)
        reported = self.model.family.hyperparameters
        if self.is_estimate:
            carried = self.result.estimate
            eta = self.posterior.points[0, 0] if carried is None else carried
            columns = summarize_point(eta, self.result.covariance, levels, reported)
        elif (places := self.result.lattice) is not None:
            columns = summarize_lattice(self.posterior, places, levels, reported)
        elif self.draws is not None:
            columns = summarize_draws(self.draws, levels, self.info, reported)
        if not self.is_estimate:
            moments = self.model.moments(self.counts)
            columns = without_moments(columns, *moments, reported)
        names = ("mean", "sd", "low", "median", "high", "ess_bulk", "ess_tail", "r_hat")
        missing = np.full(len(reported.names), np.nan)
        ordered = {name: columns.get(name, missing) for name in names}
        return Table({"parameter": np.array(reported.names), **ordered})

    def corrected(self) -> "Fit":
        r"""This fit with the error of its point estimate carried into all answers about units.

        Plug-in empirical Bayes intervals take the estimated hyperparameters for the truth and are
        too short. Here answers are averaged over the estimate's approximate distribution,

        .. math:: \hat\eta \sim N(\eta, I(\hat\eta)^{-1})

        by a product Gauss-Hermite rule (Kass & Steffey 1989, "Approximate Bayesian inference in
        conditionally independent hierarchical models", sec. 2). At complete pooling, where there
        is no standard error, they are averaged over the likelihood beside it, normalised by the
        correlation within units, 1 / (alpha + beta + 1). The estimate itself, and what `summary`
        says of it, stay.

        Returns:
            A fit whose answers about units are mixtures.

        Raises:
            InferenceError: If there is neither a standard error nor complete pooling, or no
                estimate: posteriors carry their uncertainty already.

        Example:
            >>> import hierjax as hj
            >>> fit = hj.fit(hj.datasets.rat_tumors(), method=hj.Type2MLE())
            >>> for each in (fit, fit.corrected()):
            ...     unit = each.predict(4, 14)
            ...     print(f"{unit['low'][0]:.3f} {unit['high'][0]:.3f}")
            0.100 0.337
            0.100 0.342
        """
        covariance, is_pooled = self.result.covariance, self.status == Status.BOUNDARY
        if not self.is_point or (covariance is None and not is_pooled):
            raise InferenceError(
                f"{self.method.name}: expected a point estimate with standard errors to correct "
                "intervals with, found none"
            )
        eta = np.asarray(self.posterior.points[0, 0], np.float64)
        if covariance is None:
            posterior = self._beside_pooling(eta)
        else:
            x, share = np.polynomial.hermite_e.hermegauss(_HERMITE_NODES)
            standard = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
            points = eta + standard @ np.linalg.cholesky(covariance).T
            weights = np.outer(share, share).ravel() / share.sum() ** 2
            posterior = HyperPosterior(points[None], weights[None])
        posterior = jax.tree.map(lambda x: np.asarray(x, self.dtype), posterior)
        return replace(self, result=replace(self.result, posterior=posterior, estimate=eta))

    def _beside_pooling(self, eta: Float[np.ndarray, "2"]) -> HyperPosterior:
        with self._x64():
            problem = Problem(self.model, self.counts, self.dtype)
            tally = jax.tree.map(jnp.asarray, problem.tally())
            start = jnp.asarray(eta[0], self.dtype)
            return _boundary_posterior(self.model, tally, start, _BOUNDARY_ROWS)

    def loo(self) -> checks.Loo:
        """Leave-one-unit-out expected log predictive density; see `hierjax.checks.loo`."""
        with self._x64():
            return checks.loo(self.model, self.counts, self.posterior, self.dtype)

    def influence(
        self,
        of: str | Sequence[str] = (),
        *,
        new: New = (),
        levels: float | Sequence[float] = (),
        above: float | Sequence[float] = (),
    ) -> Table:
        """How answers move with each unit's weight; see `hierjax.influence.influence`."""
        with self._x64():
            return influence.influence(self, of, new=new, levels=levels, above=above)

    def sensitivity(
        self,
        of: str | Sequence[str] = (),
        *,
        new: New = (),
        levels: float | Sequence[float] = (),
        above: float | Sequence[float] = (),
    ) -> Table:
        """How answers move with the hyperprior; see `hierjax.sensitivity.sensitivity`."""
        with self._x64():
            return sensitivity.sensitivity(self, of, new=new, levels=levels, above=above)

    def loo_pit(self) -> checks.LooPit:
        """Where each unit falls in its prediction from the others; see `hierjax.checks.loo_pit`."""
        with self._x64():
            return checks.loo_pit(self.model, self.counts, self.posterior, self.dtype)

    def posterior_predictive(
        self,
        key: Key[Array, ""],
        draws: int = 4000,
        level: float = 0.9,
        rates: str = "population",
    ) -> checks.PredictiveCheck:
        """Data against replicates; see `hierjax.checks.posterior_predictive`."""
        return checks.posterior_predictive(self, key, draws, level, rates)

    def pooling(self) -> checks.Pooling:
        """Partial against complete pooling; see `hierjax.checks.pooling`."""
        return checks.pooling(self)

    def update(
        self, counts: Observations | Mapping[str, ArrayLike], *, key: Key[Array, ""] | None = None
    ) -> "Fit":
        """The fit of these and more counts together; see `hierjax.updating.refit`."""
        return updating.refit(self, counts, key)

    def to_arviz(self) -> Any:
        """The draws as ArviZ's container; see `hierjax.storage.to_arviz`."""
        return storage.to_arviz(self)

    def save(self, path: str | Path) -> None:
        """Writes the fit to a file, whole or not at all, in place of any that is there.

        See `hierjax.storage.save`.
        """
        storage.save(self, Path(path))

    @staticmethod
    def load(path: str | Path) -> "Fit":
        """Reads a fit that was saved; see `hierjax.storage.load`."""
        return storage.load(Path(path))


def rehearse(model: Model, method: Quadrature, precision: Precision) -> None:
    """Compiles the answers of a fit by quadrature before there is one, for a thread to do.

    Args:
        model: Family and hyperprior.
        method: Settings, which fix the shapes.
        precision: Floating type.
    """
    shape = (method.rows, method.columns)
    away = np.moveaxis(np.indices(shape), 0, -1) - np.array(shape) / 2
    # A posterior such as most are, so that as many points are left of it.
    points = np.array([-1.8, 3.0]) + away[..., ::-1] * np.array([0.02, 0.08])
    weights = np.exp(-0.5 * np.sum((away / np.array([5.0, 5.0])) ** 2, axis=-1))
    weights /= weights.sum()
    points, weights = (np.asarray(values, DTYPES[precision]) for values in (points, weights))
    result = Result(HyperPosterior(points, weights), Status.CONVERGED)
    few = CONTAINERS[model.family.name]([1, 2], [4, 5])
    Fit(few, model, method, precision, result).predict(1, 4)


def _levels(level: float) -> Float[np.ndarray, "3"]:
    """Probabilities of the lower end, the median and the upper end."""
    level = probability("level", level)
    return np.array([(1 - level) / 2, 0.5, (1 + level) / 2])
