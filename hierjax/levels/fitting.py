"""GroupFit: units in labs, labs in a population of labs, and what is asked of all three."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from hierjax.asked import of_kind, probability
from hierjax.errors import ConfigError, DataError, InferenceError, ModelError
from hierjax.families import FAMILIES
from hierjax.fitted import DTYPES, Precision
from hierjax.fitting import Fit, fit
from hierjax.inference.convergence import effective_sample_sizes
from hierjax.inference.result import Progress, Status
from hierjax.levels.answers import lab_columns
from hierjax.levels.labs import Labs
from hierjax.levels.methods import GroupProblem, GroupQuadrature
from hierjax.levels.model import TOP, GroupModel
from hierjax.levels.result import GroupResult
from hierjax.levels.units import Mixtures, unit_answers
from hierjax.observations import Observations
from hierjax.table import Table
from hierjax.validation import ArrayLike

__all__ = ["GroupFit", "GroupMethod", "fit_groups"]


@runtime_checkable
class GroupMethod(Protocol):
    """Settings of a method for three levels."""

    name: ClassVar[str]

    def run(self, problem: GroupProblem) -> GroupResult:
        """Finds the result."""
        ...


def fit_groups(
    data: Observations,
    model: GroupModel | None = None,
    method: GroupMethod | None = None,
    *,
    key: Key[Array, ""] | None = None,
    checkpoint: Path | None = None,
    precision: Precision = "float64",
    progress: Progress | None = None,
) -> "GroupFit | Fit":
    """Infers a hierarchy of three levels: units in groups, groups in a population of groups.

    Args:
        data: Validated observations with the group of every unit.
        model: Family and hyperprior; by default the data's family.
        method: Settings of the method; by default nested quadrature.
        key: Typed random key, for methods that draw.
        checkpoint: File that a sampler goes on from if it is there, and writes as it goes.
        precision: Floating type of what is above the groups; groups' likelihoods are worked out
            in float64.
        progress: Called by samplers with steps done and steps in all.

    Returns:
        The fit. Look at its `status`. Of a single group, where nothing tells how groups differ,
        the two-level fit under its own default hyperprior, whose message says so.

    Raises:
        DataError: If units have no groups.
        ModelError: If the model's family is not the data's.
        ConfigError: If the precision is unknown, or an argument is of another kind.

    Example:
        >>> import hierjax as hj
        >>> labs = ["a"] * 3 + ["b"] * 3 + ["c"] * 3
        >>> data = hj.Counts([1, 2, 1, 5, 6, 4, 2, 3, 4], [20] * 9, groups=labs)
        >>> fitted = hj.fit_groups(data)
        >>> fitted.groups()["mean"].round(2).tolist()
        [0.1, 0.22, 0.15]
    """
    if precision not in DTYPES:
        raise ConfigError(f"precision: expected 'float64' or 'float32', found {precision!r}")
    model = model or GroupModel()
    settings: GroupMethod = GroupQuadrature() if method is None else method
    of_kind("data", data, Observations, "observations, such as Counts")
    of_kind("model", model, GroupModel, "a GroupModel")
    of_kind("method", settings, GroupMethod, "a method's settings, such as GroupQuadrature()")
    family = FAMILIES[data.family] if model.family is None else model.family
    if family.name != data.family:  # type: ignore[union-attr]
        raise ModelError(
            f"family: expected {data.family}, that of the data, found {family.name}"  # type: ignore[union-attr]
        )
    model = replace(model, family=family)
    labs = Labs.of(data)
    if len(labs) == 1:
        found = fit(data, precision=precision)
        said = f"one group ({labs.names[0]}): the two-level model was fitted"
        message = f"{said}; {found.message}" if found.message else said
        return replace(found, result=replace(found.result, message=message))
    with jax.enable_x64(precision == "float64"):
        dtype = DTYPES[precision]
        problem = GroupProblem(model, family, labs, dtype, key, progress, checkpoint)  # type: ignore[arg-type]
        result = settings.run(problem)
    return GroupFit(data, model, settings, precision, labs, result)


@dataclass(frozen=True, eq=False, repr=False)
class GroupFit:
    """What a method found of three levels, and the answers that follow from it.

    Attributes:
        data: The units.
        model: Family and hyperprior.
        method: The method's settings.
        precision: Floating type of the computation.
        labs: The units by group.
        result: Posteriors, draws, status and diagnostics.
    """

    data: Observations
    model: GroupModel
    method: GroupMethod
    precision: Precision
    labs: Labs
    result: GroupResult

    def __repr__(self) -> str:
        sizes = f"units={len(self.data)}, groups={len(self.labs)}"
        return f"GroupFit(method={self.method.name!r}, {sizes}, status={self.status!r})"

    @property
    def status(self) -> str:
        """`converged`, `boundary`, `not_converged` or `failed`."""
        return self.result.status.value

    @property
    def message(self) -> str:
        """A line about the status, empty if there is nothing to say."""
        return self.result.message

    @property
    def evidence(self) -> Table:
        """Log-evidence of labs that differ and of one population, and the log Bayes factor.

        One population is the same model without differences between labs, its two coordinates
        under the hyperprior of the labs' means.

        Raises:
            InferenceError: If the method gives no evidence.
        """
        info = self.result.info
        if "log_bayes_factor" not in info:
            raise InferenceError(f"{self.method.name}: no evidence; use GroupQuadrature")
        one, labs = info["log_evidence_one_population"], info["log_evidence"]
        return Table(
            {
                "model": ["one_population", "groups"],
                "log_evidence": [one, labs],
                "log_bayes_factor": [0.0, labs - one],
            }
        )

    def _require(self) -> None:
        if self.result.status is Status.FAILED:
            raise InferenceError(f"{self.method.name}: no result, {self.message}")

    def summary(self, level: float = 0.9) -> Table:
        """Estimates and intervals of what is above the groups.

        Args:
            level: Probability of the central interval; of estimates Wald's, of standard
                deviations on their logarithms.

        Returns:
            One row a parameter: parameter, mean, sd, low, median, high, ess_bulk, ess_tail, r_hat.

        Raises:
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1).
        """
        self._require()
        levels, result = _levels(level), self.result
        nothing = np.full(4, np.nan)
        columns = dict.fromkeys(("ess_bulk", "ess_tail", "r_hat"), nothing)
        if result.draws is not None:
            draws = result.draws.reshape(-1, 4)
            mean, sd, ends = draws.mean(axis=0), draws.std(axis=0), np.quantile(draws, levels, 0).T
            judged = [effective_sample_sizes(result.draws[..., i]) for i in range(4)]
            columns = dict(zip(columns, np.array(judged).T, strict=True))
        elif result.estimate is not None:
            mean, sd, ends = _wald(result.estimate, result.covariance, levels[2])
        else:
            assert result.top is not None
            mean, sd = result.top.moments()
            ends = result.top.quantiles(levels)
        quantiles = dict(zip(("low", "median", "high"), ends.T, strict=True))
        head = {"parameter": np.array(TOP), "mean": mean, "sd": sd}
        return Table({**head, **quantiles, **columns})

    def groups(self, level: float = 0.9) -> Table:
        """Estimates of every group.

        Args:
            level: Probability of the central intervals.

        Returns:
            One row a group: group, units, raw, then mean, sd, low, median and high of the
            group's mean parameter, and under the names of the family's coordinates, with the same
            endings, those of both; likewise of the concentration.

        Raises:
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1).
        """
        self._require()
        columns = lab_columns(self.model.family, self.result, _levels(level))  # type: ignore[arg-type]
        sizes = np.bincount(self.labs.group)
        head = {"group": self.labs.names, "units": sizes, "raw": self._raw()}
        return Table({**head, **columns})

    def _raw(self) -> Float[np.ndarray, "groups"]:
        """What each group alone says of its mean, all its units pooled."""
        t, v = self._statistic(self.data.pair)
        weights = np.ones(len(self.data)) if self.data.weights is None else self.data.weights
        sums = [np.bincount(self.labs.group, np.asarray(x) * weights) for x in (t, v)]
        return np.divide(sums[0], sums[1], out=np.full(len(self.labs), np.nan), where=sums[1] > 0)

    def _statistic(self, pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """What of units' data enters their updates, on the host."""
        with jax.enable_x64(True):
            value, size = (jnp.asarray(x, np.float64) for x in pair)
            t, v = self.model.family.statistic(value, size)  # type: ignore[union-attr]
            return np.asarray(t), np.asarray(v)

    def _mixtures(self, new: bool) -> Mixtures:
        result = self.result
        if new:
            if result.new is not None:
                return Mixtures.of_lattice(result.new)
            assert result.new_draws is not None
            return Mixtures.of_draws(result.new_draws.reshape(-1, 1, 2))
        if result.labs is not None:
            return Mixtures.of_lattice(result.labs)
        assert result.lab_draws is not None
        return Mixtures.of_draws(result.lab_draws.reshape(-1, len(self.labs), 2))

    def _answers(
        self, lab: np.ndarray, pair: tuple[np.ndarray, np.ndarray], level: float, new: bool
    ) -> dict[str, np.ndarray]:
        self._require()
        values = [np.asarray(x, np.float64) for x in pair]
        found = unit_answers(
            self.model.family,  # type: ignore[arg-type]
            self._mixtures(new),
            lab,
            values[0],
            values[1],
            _levels(level),
        )
        low, median, high = found.quantiles.T
        ends = {"low": low, "median": median, "high": high}
        return {"mean": found.mean, "sd": found.sd, **ends, "shrinkage": found.shrinkage}

    def units(self, level: float = 0.9) -> Table:
        """Posterior of every unit's parameter.

        Args:
            level: Probability of the central interval.

        Returns:
            One row a unit: label, group, the family's columns, raw_rate, mean, sd, low, median,
            high, shrinkage. Shrinkage is the posterior mean of the weight of the group's mean.

        Raises:
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1).
        """
        data = self.data
        answer = self._answers(self.labs.group, data.pair, level, False)
        pair = dict(zip(data.columns, data.pair, strict=True))
        head = {"label": data.labels, "group": data.groups, **pair, "raw_rate": data.raw}
        return Table({**head, **answer})

    def predict(
        self,
        value: ArrayLike,
        size: ArrayLike,
        group: str | Sequence[str] | None = None,
        level: float = 0.9,
        label: str | Sequence[str] = "new unit",
    ) -> Table:
        """Posterior of the parameter of units that were not in the data.

        Args:
            value: What was observed of each new unit.
            size: Its size.
            group: The group it belongs to, one for all or one for each; None for units of a group
                not seen.
            level: Probability of the central interval.
            label: What to call them.

        Returns:
            One row a new unit, with the columns of `units`.

        Raises:
            DataError: If there is no such group, or the data break a rule.
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1).
        """
        data, is_new = self.data, group is None
        pair = type(data).pairs(np.atleast_1d(value), np.atleast_1d(size))
        count = len(pair[0])
        names = np.broadcast_to(np.asarray("new group" if is_new else group, str), count)
        place = np.searchsorted(self.labs.names, names).clip(0, len(self.labs) - 1)
        unknown = names[self.labs.names[place] != names]
        if not is_new and len(unknown):
            known = ", ".join(map(str, self.labs.names[:5]))
            raise DataError(f"group: expected one of {known}, ..., found {str(unknown[0])!r}")
        lab = np.zeros(count, int) if is_new else place
        answer = self._answers(lab, pair, level, is_new)
        t, v = self._statistic(pair)
        raw = np.divide(t, v, out=np.full(count, np.nan), where=v > 0)
        labels = np.broadcast_to(np.asarray(label, str), count)
        given = dict(zip(data.columns, pair, strict=True))
        return Table({"label": labels, "group": names, **given, "raw_rate": raw, **answer})


def _wald(
    estimate: Float[np.ndarray, "4"], covariance: np.ndarray | None, upper: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An estimate, standard errors and Wald's intervals."""
    sd = np.full(4, np.nan) if covariance is None else np.sqrt(np.diagonal(covariance))
    z = NormalDist().inv_cdf(float(upper)) * np.array([-1.0, 0.0, 1.0])
    ends = estimate[:, None] + sd[:, None] * z
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.exp(sd[1::2, None] / estimate[1::2, None] * z)
    ends[1::2] = estimate[1::2, None] * ratio
    ends[:, 1] = estimate
    return estimate, sd, ends


def _levels(level: float) -> Float[np.ndarray, "3"]:
    level = probability("level", level)
    return np.array([(1 - level) / 2, 0.5, (1 + level) / 2])
