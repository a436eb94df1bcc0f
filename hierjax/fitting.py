"""Fit: a model, its data, a method and what it found; every answer is asked of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from hierjax import checks, influence, sensitivity, storage, units, updating
from hierjax.counts import Counts
from hierjax.decisions import Decisions
from hierjax.errors import ConfigError, DataError, InferenceError
from hierjax.frames import attach
from hierjax.hyperparameters import (
    PARAMETERS,
    summarize_draws,
    summarize_lattice,
    summarize_point,
)
from hierjax.inference import Method, Quadrature
from hierjax.inference.quadrature import QuadratureResult, draw
from hierjax.inference.result import Problem, Progress, Result, Status
from hierjax.keys import require_key
from hierjax.model import Model
from hierjax.posterior import HyperPosterior
from hierjax.table import Table
from hierjax.tally import Tally
from hierjax.units.answers import Units
from hierjax.units.draws import draw_rates
from hierjax.validation import ArrayLike, Source, checked_pairs, whole_numbers

__all__ = ["Fit", "fit"]

Precision = Literal["float64", "float32"]
_INTERVALS = ("equal_tailed", "highest_density")
_DTYPES: dict[str, type] = {"float64": np.float64, "float32": np.float32}
_HERMITE_NODES = 16
# Columns of `Fit.unit_table` that the table of the counts has already.
UNIT_COUNTS = ("label", "successes", "trials")
_THE_UNIT = Source("the unit", lambda _: "the unit")


def fit(
    counts: Counts,
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
        counts: Validated counts of the units.
        model: Family and hyperprior; by default beta-binomial under (alpha + beta)^(-5/2).
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
        ConfigError: If the precision is unknown.

    Example:
        >>> import hierjax as hj
        >>> result = hj.fit(hj.datasets.rat_tumors())
        >>> print(f"{result.predict(4, 14)['mean'][0]:.6f}")
        0.210205
    """
    if precision not in _DTYPES:
        raise ConfigError(f"precision: expected 'float64' or 'float32', found {precision!r}")
    model, method = model or Model(), method or Quadrature()
    with jax.enable_x64(precision == "float64"):
        problem = Problem(model, counts, _DTYPES[precision], key, progress, checkpoint)
        result = method.run(problem).on_host()
    return Fit(counts, model, method, precision, result)


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Decisions):
    """What a method found, and the answers that follow from it.

    Attributes:
        counts: The units.
        model: Family and hyperprior.
        method: The method's settings.
        precision: Floating type of the computation.
        result: Posterior, draws, status and diagnostics, as NumPy arrays.
    """

    counts: Counts
    model: Model
    method: Method
    precision: Precision
    result: Result

    def __repr__(self) -> str:
        method = self.method.name
        return f"Fit(method={method!r}, units={len(self.counts)}, status={self.status!r})"

    @property
    def status(self) -> str:
        """`converged`, `boundary`, `not_converged` or `failed`."""
        return self.result.status.value

    @property
    def message(self) -> str:
        """A line about the status, empty if there is nothing to say."""
        return self.result.message

    @property
    def posterior(self) -> HyperPosterior:
        """Weighted points of the hyperparameters.

        Raises:
            InferenceError: If the method failed.
        """
        if self.result.posterior is None:
            raise InferenceError(f"{self.method.name}: no result, {self.message}")
        return self.result.posterior

    @property
    def draws(self) -> Float[np.ndarray, "chains draws 2"] | None:
        """Working coordinates drawn by a sampler."""
        return self.result.draws

    @property
    def unit_draws(self) -> Float[np.ndarray, "chains draws units"] | None:
        """Rates drawn by a sampler that was asked to store them."""
        return self.result.unit_draws

    @property
    def info(self) -> dict[str, Any]:
        """The method's diagnostics by name."""
        return self.result.info

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent compiling and running."""
        return self.result.seconds

    @property
    def is_point(self) -> bool:
        """Whether the method gives a point, not a distribution, of the hyperparameters."""
        return self.posterior.weights.size == 1

    @cached_property
    def dtype(self) -> type:
        """Floating type of the computation."""
        return _DTYPES[self.precision]

    def _x64(self) -> Any:
        return jax.enable_x64(self.precision == "float64")

    @cached_property
    def _units(self) -> Units:
        """Answers about units, under this posterior."""
        is_lattice = self.result.lattice is not None
        return Units(self.model.family, self.posterior, is_lattice, self.dtype)

    def estimate(self, parameter: str) -> float:
        """The point estimate of a hyperparameter, or its posterior median.

        Args:
            parameter: One of logit_mean, log_concentration, mean, concentration, alpha, beta.

        Raises:
            ConfigError: If there is no such hyperparameter.
        """
        if parameter not in PARAMETERS:
            raise ConfigError(
                f"parameter: expected one of {', '.join(PARAMETERS)}, found {parameter!r}"
            )
        return float(self.summary()["median"][PARAMETERS.index(parameter)])

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
        is_estimate = self.is_point or self.result.covariance is not None
        if is_estimate:
            weights = np.asarray(self.posterior.weights, np.float64)[..., None]
            eta = np.sum(weights * self.posterior.points, axis=(0, 1))
            columns = summarize_point(eta, self.result.covariance, levels)
        elif (places := self.result.lattice) is not None:
            columns = summarize_lattice(self.posterior, places, levels)
        elif self.draws is not None:
            columns = summarize_draws(self.draws, levels, self.info)
        if not is_estimate:
            exist = self.model.hyperprior.concentration_moments()
            for column, order in (("mean", 1), ("sd", 2)):
                if exist < order:
                    columns[column][PARAMETERS.index("concentration") :] = np.nan
        names = ("mean", "sd", "low", "median", "high", "ess_bulk", "ess_tail", "r_hat")
        missing = np.full(len(PARAMETERS), np.nan)
        ordered = {name: columns.get(name, missing) for name in names}
        return Table({"parameter": np.array(PARAMETERS), **ordered})

    def _answer(
        self, successes: np.ndarray, trials: np.ndarray, level: float, interval: str
    ) -> dict[str, np.ndarray]:
        """Moments and intervals of units."""
        if interval not in _INTERVALS:
            expected = " or ".join(map(repr, _INTERVALS))
            raise ConfigError(f"interval: expected {expected}, found {interval!r}")
        if not 0 < level < 1:
            raise ConfigError(f"level: expected a probability inside (0, 1), found {level}")
        moments = self._units.moments(successes, trials)
        shrinkage = moments.pop("shrinkage")
        highest = interval == "highest_density"
        ends = self._units.intervals(successes, trials, level, highest)
        return {**moments, **ends, "shrinkage": shrinkage}

    def units(self, level: float = 0.9, interval: str = "equal_tailed") -> Any:
        """Posterior of every unit's rate, in the user's own table where there is one.

        Args:
            level: Probability of the interval from `low` to `high`.
            interval: `equal_tailed`, or `highest_density` for the shortest.

        Returns:
            The table of `unit_table`; of counts that came from a data frame, a frame of the same
            kind with the user's columns, then raw_rate, mean, sd, low, median, high, shrinkage.
            An answer whose name is a user's column's already has ``_fit`` at its end.

        Raises:
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1).
            DataError: If the frame no longer holds the counts that were fitted.

        Example:
            >>> import pandas
            >>> import hierjax as hj
            >>> columns = {"lab": ["a", "b", "c"], "y": [0, 2, 5], "n": [20, 19, 18]}
            >>> frame = pandas.DataFrame(columns)
            >>> hj.fit(hj.Counts.from_frame(frame, "y", "n")).units().columns.tolist()[:5]
            ['lab', 'y', 'n', 'raw_rate', 'mean']
        """
        table, counts = self.unit_table(level, interval), self.counts
        if counts.frame is None:
            return table
        answers = {name: table[name] for name in table if name not in UNIT_COUNTS}
        return attach(counts.frame, counts.successes, counts.trials, answers)

    def unit_table(self, level: float = 0.9, interval: str = "equal_tailed") -> Table:
        """Posterior of every unit's rate, beside its counts.

        Args:
            level: Probability of the interval from `low` to `high`.
            interval: `equal_tailed`, or `highest_density` for the shortest.

        Returns:
            One row a unit: label, successes, trials, raw_rate, mean, sd, low, median, high,
            shrinkage. Shrinkage is the posterior mean of kappa / (kappa + n), the weight of the
            population's mean in the unit's.

        Raises:
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1).
        """
        counts = self.counts
        given = {"label": counts.labels, "successes": counts.successes, "trials": counts.trials}
        answer = self._answer(counts.successes, counts.trials, level, interval)
        return Table({**given, "raw_rate": counts.raw_rates, **answer})

    def predict(
        self,
        successes: ArrayLike,
        trials: ArrayLike,
        level: float = 0.9,
        label: str | Sequence[str] = "new unit",
        interval: str = "equal_tailed",
    ) -> Table:
        """Posterior of the rate of units that were not in the data.

        Their counts inform their own rates, not the hyperparameters.

        Args:
            successes: y of each new unit.
            trials: n of each; 0 for a unit without data, whose posterior is the population's.
            level: Probability of the central interval.
            label: What to call them.
            interval: As for `units`.

        Returns:
            One row a new unit, with the columns of `units`.

        Raises:
            DataError: If the counts break a rule.

        Example:
            >>> import hierjax as hj
            >>> table = hj.fit(hj.datasets.rat_tumors()).predict(4, 14)
            >>> print(f"{table['low'][0]:.5f} {table['high'][0]:.5f}")
            0.10070 0.34623
        """
        y, n, labels = (np.atleast_1d(values) for values in (successes, trials, label))
        if len(labels) not in (1, len(y)) or not len(y):
            raise DataError(
                "new units: expected one or more, with a label for each or one for all, "
                f"found {len(y)} with {len(labels)} labels"
            )
        labels = np.broadcast_to(labels, y.shape).astype(str)
        y, n = checked_pairs(y, n, Source("new units", lambda i: f"new unit {str(labels[i])!r}"))
        given = {"label": labels, "successes": y, "trials": n}
        raw_rate = np.divide(y, n, out=np.full(len(n), np.nan), where=n > 0)
        return Table({**given, "raw_rate": raw_rate, **self._answer(y, n, level, interval)})

    def predictive(
        self, new_trials: int, successes: int = 0, trials: int = 0
    ) -> Float[np.ndarray, "outcomes"]:
        """Probabilities of 0, 1, ... successes in the next trials of a unit.

        Args:
            new_trials: Number of next trials.
            successes: The unit's successes so far.
            trials: Its trials so far; 0 for a unit without data.

        Returns:
            One probability for each number of successes from 0 to `new_trials`.

        Raises:
            DataError: If the counts break a rule.
        """
        y, n = (values[0] for values in checked_pairs([successes], [trials], _THE_UNIT))
        size = int(whole_numbers([new_trials], "new trials", _THE_UNIT)[0])
        with self._x64():
            values = (np.arange(size + 1), size, y, n)
            logs = units.log_predictive(
                self.model.family,
                jax.tree.map(jnp.asarray, self.posterior),
                *(jnp.asarray(value, self.dtype) for value in values),
            )
            return np.exp(np.asarray(logs))

    def unit_density(
        self, successes: int, trials: int, rates: Float[np.ndarray, "points"]
    ) -> Float[np.ndarray, "points"]:
        """Posterior density of a unit's rate; with no trials, the population's.

        Args:
            successes: y.
            trials: n.
            rates: Where, strictly between 0 and 1.

        Returns:
            Density with respect to the rate.

        Raises:
            InferenceError: Under complete pooling, where the rate has no density.
            DataError: If the counts break a rule, or a rate is not strictly between 0 and 1.
        """
        y, n = (values[0] for values in checked_pairs([successes], [trials], _THE_UNIT))
        outside = np.asarray(rates)[~((np.asarray(rates) > 0) & (np.asarray(rates) < 1))]
        if outside.size:
            raise DataError(
                f"rates: expected numbers strictly between 0 and 1, found {outside.flat[0]}"
            )
        if np.isinf(self.posterior.points).any():
            raise InferenceError(f"{self.method.name}: complete pooling, rates have no density")
        with self._x64():
            return self._units.density(int(y), int(n), np.asarray(rates))

    def corrected(self) -> "Fit":
        r"""This fit with the error of its point estimate carried into all answers about units.

        Plug-in empirical Bayes intervals take the estimated hyperparameters for the truth and are
        too short. Here answers are averaged over the estimate's approximate distribution,

        .. math:: \hat\eta \sim N(\eta, I(\hat\eta)^{-1})

        by a product Gauss-Hermite rule (Kass & Steffey 1989, "Approximate Bayesian inference in
        conditionally independent hierarchical models", sec. 2). The estimate itself, and what
        `summary` says of it, stay.

        Returns:
            A fit whose answers about units are mixtures.

        Raises:
            InferenceError: If there is no standard error, at the boundary, or no estimate:
                posteriors carry their uncertainty already.

        Example:
            >>> import hierjax as hj
            >>> fit = hj.fit(hj.datasets.rat_tumors(), method=hj.Type2MLE())
            >>> for each in (fit, fit.corrected()):
            ...     unit = each.predict(4, 14)
            ...     print(f"{unit['low'][0]:.3f} {unit['high'][0]:.3f}")
            0.100 0.337
            0.100 0.342
        """
        covariance = self.result.covariance
        if covariance is None or not self.is_point:
            raise InferenceError(
                f"{self.method.name}: expected a point estimate with standard errors to correct "
                "intervals with, found none"
            )
        x, share = np.polynomial.hermite_e.hermegauss(_HERMITE_NODES)
        standard = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
        points = self.posterior.points[0, 0] + standard @ np.linalg.cholesky(covariance).T
        weights = np.outer(share, share).ravel() / share.sum() ** 2
        posterior = HyperPosterior(
            np.asarray(points[None], self.dtype), np.asarray(weights[None], self.dtype)
        )
        return replace(self, result=replace(self.result, posterior=posterior))

    def log_posterior(self, points: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch"]:
        """Unnormalised log-posterior density at given working coordinates."""
        with self._x64():
            flat = jnp.asarray(points, self.dtype).reshape(-1, 2)
            tally = jax.tree.map(jnp.asarray, Tally.of(self.counts).arrays(self.dtype))
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
        if draws < 1:
            raise ConfigError(f"draws: expected a number above 0, found {draws}")
        places = self.result.lattice
        with self._x64():
            if places is not None:
                posterior, on_device = jax.tree.map(jnp.asarray, (self.posterior, places))
                zero = jnp.zeros((), self.dtype)
                found = QuadratureResult(posterior, on_device, zero, zero, zero)
                tally = Tally.of(self.counts).arrays(self.dtype)
                return np.asarray(draw(self.model, tally, found, key, draws))
            points = self.posterior.points.reshape(-1, 2)
            weights = jnp.asarray(self.posterior.weights.ravel())
            index = jax.random.choice(key, len(points), (draws,), p=weights)
            return points[np.asarray(index)]

    def sample_rates(
        self, draws: int, key: Key[Array, ""]
    ) -> tuple[Float[np.ndarray, "draws 2"], Float[np.ndarray, "draws units"]]:
        """Independent joint draws of the hyperparameters and of all units' rates.

        The hyperparameters are drawn as by `sample`, then every rate from its conjugate posterior
        given them.

        Args:
            draws: Number of draws.
            key: Typed random key.

        Returns:
            Working coordinates, and rates.

        Raises:
            TypeError: If the key is not a single typed key.
            ConfigError: If no draws are asked for.

        Example:
            >>> import hierjax as hj, jax
            >>> fit = hj.fit(hj.datasets.rat_tumors())
            >>> eta, rates = fit.sample_rates(1000, jax.random.key(0))
            >>> eta.shape, rates.shape
            ((1000, 2), (1000, 70))
        """
        key_points, key_rates = jax.random.split(require_key(key))
        points = self.sample(draws, key_points)
        return points, draw_rates(points, self.counts.successes, self.counts.trials, key_rates)

    def loo(self) -> checks.Loo:
        """Leave-one-unit-out expected log predictive density; see `hierjax.checks.loo`."""
        with self._x64():
            return checks.loo(self.model, self.counts, self.posterior, self.dtype)

    def influence(
        self,
        of: str | Sequence[str] = (),
        *,
        new: tuple[int, int] | Sequence[tuple[int, int]] = (),
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
        new: tuple[int, int] | Sequence[tuple[int, int]] = (),
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
        self, counts: Counts | Mapping[str, ArrayLike], *, key: Key[Array, ""] | None = None
    ) -> "Fit":
        """The fit of these and more counts together; see `hierjax.updating.refit`."""
        return updating.refit(self, counts, key)

    def to_arviz(self) -> Any:
        """The draws as ArviZ's container; see `hierjax.storage.to_arviz`."""
        return storage.to_arviz(self)

    def save(self, path: str | Path) -> None:
        """Writes the fit to a file, whole or not at all; see `hierjax.storage.save`."""
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
    points = np.moveaxis(np.indices(shape), 0, -1)[..., ::-1] * np.array([0.05, 0.1])
    weights = np.full(shape, 1 / np.prod(shape))
    points, weights = (np.asarray(values, _DTYPES[precision]) for values in (points, weights))
    result = Result(HyperPosterior(points, weights), Status.CONVERGED)
    Fit(Counts([1, 2], [4, 5]), model, method, precision, result).predict(1, 4)


@jax.jit
def _log_posterior(
    model: Model, tally: Any, points: Float[Array, "points 2"]
) -> Float[Array, "points"]:
    return jax.vmap(lambda eta: model.log_posterior(tally, eta))(points)


def _levels(level: float) -> Float[np.ndarray, "3"]:
    """Probabilities of the lower end, the median and the upper end."""
    if not 0 < level < 1:
        raise ConfigError(f"level: expected a probability inside (0, 1), found {level}")
    return np.array([(1 - level) / 2, 0.5, (1 + level) / 2])
