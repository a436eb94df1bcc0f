"""Deterministic methods for three levels: nested quadrature, and Type-2 maximum likelihood."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import jax
import numpy as np
from jaxtyping import Array, Float, Key
from pydantic import ConfigDict, Field, field_validator
from pydantic.dataclasses import dataclass as settings

from hierjax.families import AnyFamily
from hierjax.inference.result import Progress, Status
from hierjax.levels.lab_posterior import LARGEST_LOSS, LabPosteriors, lab_posteriors, new_lab
from hierjax.levels.labs import Labs
from hierjax.levels.model import GroupModel, TopPrior
from hierjax.levels.nested import TopPosterior, integrate
from hierjax.levels.result import GroupResult
from hierjax.levels.rule import Block
from hierjax.levels.top import Level, Maximum, ascend, units

__all__ = ["GroupProblem", "GroupQuadrature", "GroupType2MLE"]

# Rules of fewer nodes could not be told from every second of them.
_Nodes = Annotated[int, Field(ge=5, strict=True)]
_LabNodes = Annotated[int, Field(ge=12, strict=True)]
# Standard deviations below this share of their unit are none.
_NONE = 1e-3
_LARGEST_EDGE, _LARGEST_ERROR = 1e-3, 0.3


@dataclass(frozen=True)
class GroupProblem:
    """All that a method is given.

    Attributes:
        model: Family and hyperprior.
        family: Conjugate family.
        labs: The units by group.
        dtype: Floating type to compute in.
        key: Typed random key; None for methods that need none.
        progress: Called with steps done and steps in all.
        checkpoint: File that a sampler goes on from, and writes after every chunk.
    """

    model: GroupModel
    family: AnyFamily
    labs: Labs
    dtype: type
    key: Key[Array, ""] | None = None
    progress: Progress | None = None
    checkpoint: Path | None = None

    def whole(self) -> Any:
        """The tally of all units, in float64."""
        data = self.labs.data
        with jax.enable_x64(True):
            return self.family.tally(*data.pair, data.weights)

    def prior(self) -> TopPrior:
        """The hyperprior in numbers."""
        with jax.enable_x64(True):
            return self.model.hyperprior.of(self.family, self.whole())


def log_evidence_of_one(problem: GroupProblem, rows: int, columns: int) -> float:
    r"""Log-evidence of one population of all units: the labs' model where labs do not differ.

    .. math:: \log \int p(Y \mid \eta) N(u \mid \text{its hyperprior})
        N(w \mid \text{its hyperprior}) \, d\eta

    The two means have the hyperprior that they have above labs, so that evidences compare.

    Args:
        problem: Model and data.
        rows: Log-concentrations.
        columns: Locations in each row.
    """
    prior = problem.prior()
    alone = Level.of(problem.family, [problem.whole()], rows, columns, np.float64)
    nodes = np.stack([prior.centers, prior.sds], axis=1)
    with jax.enable_x64(True):
        value = alone.log_likelihoods(nodes[:1], nodes[1:])
    return float(value[0, 0]) + alone.log_largest


class _Stages:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        found = function()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
        return found


@settings(frozen=True, config=ConfigDict(extra="forbid"))
class GroupQuadrature:
    """Nested quadrature: exact and deterministic.

    Args:
        rows: Standard deviations in each of the two blocks above the labs, odd.
        columns: Means in each row, odd.
        lab_rows: Log-concentrations of every lab's likelihood.
        lab_columns: Locations in each of these rows.

    Example:
        >>> GroupQuadrature().name
        'group_quadrature'
    """

    rows: _Nodes = 17
    columns: _Nodes = 19
    lab_rows: _LabNodes = 56
    lab_columns: _LabNodes = 48

    name: ClassVar[str] = "group_quadrature"

    @field_validator("rows", "columns")
    @classmethod
    def _odd(cls, value: int) -> int:
        """Every second node of a rule has to be a rule itself, with the same ends."""
        if value % 2 == 0:
            raise ValueError(f"expected an odd number, found {value}")
        return value

    def run(self, problem: GroupProblem) -> GroupResult:
        """Integrates; see `hierjax.levels.nested`.

        A lab unlike all others has its likelihood and its population where both are next to
        nothing: where its posterior is off, there are twice as many columns and nodes of labs.
        """
        stage, family = _Stages(), problem.family
        tallies = stage("tallies", lambda: problem.labs.tallies(family, np.float64))
        for turn in range(2):
            columns = (self.columns - 1 << turn) + 1
            sizes = self.lab_rows << turn, self.lab_columns << turn
            level = stage("labs", partial(Level.of, family, tallies, *sizes, problem.dtype))
            top: TopPosterior = stage(
                "top", partial(integrate, level, problem.prior(), self.rows, columns)
            )
            labs = stage("answers", partial(lab_posteriors, family, level, top))
            if not _missed(problem, labs):
                break
        one = stage("one_population", lambda: log_evidence_of_one(problem, *sizes))
        message = _trouble(problem, top, labs)
        return GroupResult(
            Status.NOT_CONVERGED if message else Status.CONVERGED,
            message,
            top=top,
            labs=labs,
            new=new_lab(top, problem.dtype),
            lattice=sizes,
            info={
                "log_evidence": top.log_evidence,
                "log_evidence_one_population": one,
                "log_bayes_factor": top.log_evidence - one,
                "error_estimate": top.error_estimate,
                "edge_mass": top.edge_mass,
                "lab_loss": float(np.abs(labs.total - 1).max()),
            },
            seconds=stage.seconds,
        )


def _missed(problem: GroupProblem, labs: LabPosteriors) -> str:
    """What keeps the labs' own posteriors from being trusted."""
    off = np.abs(labs.total - 1)
    worst = int(np.argmax(off))
    if off[worst] <= LARGEST_LOSS:
        return ""
    return (
        f"group {str(problem.labs.names[worst])!r} is too unlike the others: its posterior sums to "
        f"{labs.total[worst]:.3g}, not 1"
    )


def _trouble(problem: GroupProblem, top: TopPosterior, labs: LabPosteriors) -> str:
    """What keeps quadrature from being trusted."""
    found = []
    if top.edge_mass > _LARGEST_EDGE or top.error_estimate > _LARGEST_ERROR:
        found.append(
            f"nodes above the labs: error of every second {top.error_estimate:.2g}, mass at the "
            f"edge {top.edge_mass:.2g}"
        )
    if missed := _missed(problem, labs):
        found.append(missed)
    return "; ".join(found)


@settings(frozen=True, config=ConfigDict(extra="forbid"))
class GroupType2MLE:
    """Type-2 maximum likelihood of what is above the labs, the labs integrated out.

    A standard deviation whose likelihood is largest at 0 is reported as 0, with the status
    `boundary`: labs do not differ in that coordinate.

    Args:
        lab_rows: Log-concentrations of every lab's likelihood.
        lab_columns: Locations in each of these rows.
    """

    lab_rows: _LabNodes = 56
    lab_columns: _LabNodes = 48

    name: ClassVar[str] = "group_type2_mle"

    def run(self, problem: GroupProblem) -> GroupResult:
        """Ascends; see `hierjax.levels.top.ascend`."""
        stage, family, prior = _Stages(), problem.family, problem.prior()
        tallies = stage("tallies", lambda: problem.labs.tallies(family, np.float64))
        level = stage(
            "labs",
            lambda: Level.of(family, tallies, self.lab_rows, self.lab_columns, problem.dtype),
        )
        found: Maximum = stage("top", lambda: ascend(level, prior, posterior=False))
        unit = units(level, prior)
        estimate = found.top.copy()
        estimate[1::2] = np.abs(estimate[1::2])
        none = np.array(
            [False, estimate[1] < _NONE * unit[1], False, estimate[3] < _NONE * unit[3]]
        )
        estimate[none] = 0.0
        status, message, covariance = _verdict(problem, found, none, unit)
        blocks = (
            Block.at(float(estimate[0]), float(estimate[1]), float(unit[0])),
            Block.at(float(estimate[2]), float(estimate[3]), float(unit[2])),
        )
        single = TopPosterior(blocks, np.ones((1, 1)), np.nan, 0.0, 0.0, found)
        labs = stage("answers", lambda: lab_posteriors(family, level, single))
        if missed := _missed(problem, labs):
            status, message = Status.NOT_CONVERGED, missed
        return GroupResult(
            status,
            message,
            top=single,
            estimate=estimate,
            covariance=covariance,
            labs=labs,
            new=new_lab(single, problem.dtype),
            lattice=(self.lab_rows, self.lab_columns),
            info={"log_likelihood": found.value, "iterations": found.iterations},
            seconds=stage.seconds,
        )


def _verdict(
    problem: GroupProblem, found: Maximum, none: np.ndarray, unit: Float[np.ndarray, "4"]
) -> tuple[Status, str, Float[np.ndarray, "4 4"]]:
    """Status, a line about it, and the covariance from the observed information."""
    covariance = np.full((4, 4), np.nan)
    free = np.flatnonzero(~none)
    scaled = -found.hessian[np.ix_(free, free)] * np.outer(unit[free], unit[free])
    values = np.linalg.eigvalsh(scaled)
    if values.min() > 1e-6:
        inverse = np.linalg.inv(scaled) * np.outer(unit[free], unit[free])
        covariance[np.ix_(free, free)] = inverse
    names = problem.family.coordinates
    if found.decrement > 1e-3 * max(1, len(problem.labs)):
        return Status.NOT_CONVERGED, f"Newton's decrement is {found.decrement:.2g}", covariance
    if none.any():
        which = " and ".join(name for name, at in zip(names, none[1::2], strict=True) if at)
        return Status.BOUNDARY, f"labs do not differ in {which}", covariance
    if values.min() <= 1e-4:
        message = "the likelihood hardly changes in some direction: no standard errors"
        return Status.BOUNDARY, message, np.full((4, 4), np.nan)
    return Status.CONVERGED, "", covariance
