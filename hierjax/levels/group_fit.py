"""GroupFit: units in labs, labs in a population of labs, and what is asked of all three."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from statistics import NormalDist
from typing import ClassVar, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float, Shaped

from hierjax.asked import probability
from hierjax.entries import Source
from hierjax.errors import DataError, InferenceError
from hierjax.families import FAMILIES, AnyFamily
from hierjax.fitted import DTYPES, Precision
from hierjax.given_units import checked_units
from hierjax.inference.convergence import effective_sample_sizes
from hierjax.inference.result import Status
from hierjax.levels.answers import lab_columns
from hierjax.levels.labs import Labs
from hierjax.levels.methods import GroupProblem
from hierjax.levels.model import TOP, GroupHyperprior, GroupModel
from hierjax.levels.new_units import mixtures_of, new_unit_answers
from hierjax.levels.result import GroupResult
from hierjax.levels.units import UnitAnswers, unit_answers
from hierjax.observations import Observations
from hierjax.table import Table
from hierjax.validation import ArrayLike

__all__ = ["GroupFit", "GroupMethod"]


@runtime_checkable
class GroupMethod(Protocol):
    """Settings of a method for three levels."""

    name: ClassVar[str]

    def run(self, problem: GroupProblem) -> GroupResult:
        """Finds the result."""
        ...


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

    @property
    def _family(self) -> AnyFamily:
        return FAMILIES[self.data.family]

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
        columns = lab_columns(self._family, self.result, _levels(level))
        sizes = np.bincount(self.labs.group)
        head = {"group": self.labs.names, "units": sizes, "raw": self._raw()}
        return Table({**head, **columns})

    def _raw(self) -> Float[np.ndarray, "groups"]:
        """What each group alone says of its mean, all its units pooled."""
        t, v = self._family.on_host.statistic(*self.data.pair)
        weights = np.ones(len(self.data)) if self.data.weights is None else self.data.weights
        sums = [np.bincount(self.labs.group, np.asarray(x) * weights) for x in (t, v)]
        return np.divide(sums[0], sums[1], out=np.full(len(self.labs), np.nan), where=sums[1] > 0)

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
        self._require()
        values, sizes = (np.asarray(x, np.float64) for x in data.pair)
        mixtures = mixtures_of(self.result, new=False)
        found = unit_answers(self._family, mixtures, self.labs.group, values, sizes, _levels(level))
        answer = _columns(found)
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

        A new unit's data tell of its own parameter and, as a group may have few units, of its
        group and what is above it: each answer is what a fit with this unit alone appended would
        give; an estimate is held, unless a unit is so unlike all others that it is fitted again.
        Two-level `Fit.predict` holds the hyperparameters, which one unit more hardly moves.

        Args:
            value: What was observed of each new unit.
            size: Its size. That of a unit without data, whose posterior is its group's, is 0 (of
                an error: infinite).
            group: The group it belongs to, one for all or one for each; None for units of a group
                not seen.
            level: Probability of the central interval.
            label: What to call them.

        Returns:
            One row a new unit, with the columns of `units`.

        Raises:
            DataError: If there is no such group, or the data break a rule.
            InferenceError: If the method failed, or the group of a unit that is too unlike all
                others was not found: from draws, and otherwise even by fitting again with it.
            ConfigError: If the level is not inside (0, 1).

        Example:
            >>> import hierjax as hj
            >>> labs = ["a"] * 3 + ["b"] * 3 + ["c"] * 3
            >>> data = hj.Counts([1, 2, 1, 5, 6, 4, 2, 3, 4], [20] * 9, groups=labs)
            >>> table = hj.fit_groups(data).predict([4, 4], [14, 14], group=["a", "b"])
            >>> table["mean"].round(2).tolist()
            [0.15, 0.24]
        """
        data, is_new = self.data, group is None
        family = self._family
        source = Source("new units", lambda i: f"new unit {i + 1}")
        pair = checked_units(family, np.atleast_1d(value), np.atleast_1d(size), source)
        count = len(pair[0])
        names = np.broadcast_to(np.asarray("new group" if is_new else group, str), count)
        place = np.searchsorted(self.labs.names, names).clip(0, len(self.labs) - 1)
        unknown = names[self.labs.names[place] != names]
        if not is_new and len(unknown):
            known = ", ".join(map(str, self.labs.names[:5]))
            raise DataError(f"group: expected one of {known}, ..., found {str(unknown[0])!r}")
        self._require()
        found = new_unit_answers(
            family,
            *(self.labs, self.result, None if is_new else place, pair, _levels(level)),
            self._with_unit,
        )
        raw = family.on_host.raw(*pair)
        labels = np.broadcast_to(np.asarray(label, str), count)
        given = dict(zip(data.columns, pair, strict=True))
        return Table({"label": labels, "group": names, **given, "raw_rate": raw, **_columns(found)})

    def _with_unit(self, value: Real, size: Real, place: int | None) -> tuple[GroupResult, int]:
        """The result with a unit appended, under the same hyperprior, and its group's position.

        Raises:
            InferenceError: If the method does not converge then.
        """
        label, names = _unused("new unit", self.data.labels), self.labs.names
        name = _unused("new group", names) if place is None else str(names[place])
        labs = Labs.of(self.data.append(label, value, size, group=name))
        dtype = DTYPES[self.precision]
        with jax.enable_x64(self.precision == "float64"):
            prior = GroupProblem(self.model, self._family, self.labs, dtype).prior()
            model = replace(self.model, hyperprior=GroupHyperprior.of_numbers(prior))
            found = self.method.run(GroupProblem(model, self._family, labs, dtype))
        if found.status not in (Status.CONVERGED, Status.BOUNDARY):
            raise InferenceError(
                f"new unit of {value:g} and {size:g}: it is too unlike all others, and with it "
                f"{self.method.name} ended as {found.status.value}: {found.message}"
            )
        return found, int(np.searchsorted(labs.names, name))


def _unused(name: str, taken: Shaped[np.ndarray, "names"]) -> str:
    while np.any(taken == name):
        name += "~"
    return name


def _columns(found: UnitAnswers) -> dict[str, np.ndarray]:
    low, median, high = found.quantiles.T
    ends = {"low": low, "median": median, "high": high}
    return {"mean": found.mean, "sd": found.sd, **ends, "shrinkage": found.shrinkage}


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
