"""Type-2 maximum likelihood (empirical Bayes): the mode of the log-marginal likelihood."""

from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hierjax.families import AnyFamily
from hierjax.inference.ascent import Optimizer, ascend, derivatives
from hierjax.inference.result import Problem, Result, Status
from hierjax.inference.stopwatch import Stopwatch
from hierjax.model import Model
from hierjax.posterior import HyperPosterior

__all__ = ["Optimum", "Type2MLE", "type2_mle"]

_CONCENTRATIONS = tuple(range(-2, 13))


class Optimum(NamedTuple):
    """Where the ascent ended.

    Attributes:
        eta: Working coordinates.
        log_marginal: Log-marginal likelihood there.
        gradient: Its gradient, per unit, before a last step of Newton's.
        information: Observed information, minus the Hessian of the log-marginal.
        steps: Steps taken.
        converged: Whether the gradient's largest entry fell below the tolerance.
        path: Working coordinates before each step (of the steps after the 1000th, only the last),
            then where the ascent ended, repeated.
        path_log_marginal: Log-marginal likelihood along the path.
        pooled: First working coordinate of complete pooling.
        pooled_log_marginal: Log-marginal likelihood of complete pooling, phi = 0.
        pooled_slope: Its one-sided derivative in phi there.
    """

    eta: Float[Array, "2"]
    log_marginal: Float[Array, ""]
    gradient: Float[Array, "2"]
    information: Float[Array, "2 2"]
    steps: Int[Array, ""]
    converged: Bool[Array, ""]
    path: Float[Array, "steps 2"]
    path_log_marginal: Float[Array, "steps"]
    pooled: Float[Array, ""]
    pooled_log_marginal: Float[Array, ""]
    pooled_slope: Float[Array, ""]

    @property
    def pooled_is_best(self) -> Any:
        """Whether complete pooling is the maximum, but for rounding of the log-marginals."""
        slack = 8 * jnp.finfo(self.eta.dtype).eps * abs(self.log_marginal)
        highest = self.pooled_log_marginal >= self.log_marginal - slack
        return (self.pooled_slope <= 0) & highest


def _start(model: Model, tally: Any) -> Float[Array, "2"]:
    """The best of a few concentrations at the pooled mean."""
    pooled = model.family.start(tally)
    w = model.family.frame(tally).log_concentration + jnp.asarray(_CONCENTRATIONS, pooled.dtype)
    points = jnp.stack([jnp.full_like(w, pooled), w], axis=-1)
    return points[jnp.argmax(jax.vmap(lambda eta: model.log_marginal(tally, eta))(points))]


def _pooled(
    family: AnyFamily, tally: Any
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    place = family.pooled(tally)

    def at(phi: Float[Array, ""]) -> Float[Array, ""]:
        return family.log_marginal_tally(tally, family.population_at(place, phi))

    return place, *jax.value_and_grad(at)(jnp.zeros_like(place))


def _polish(
    eta: Float[Array, "2"], gradient: Float[Array, "2"], hessian: Float[Array, "2 2"]
) -> Float[Array, "2"]:
    """A last step, too small for a line search to see: where the ascent began no longer matters."""
    (a, b), (_, d) = hessian
    adjugate = jnp.stack([jnp.stack([d, -b]), jnp.stack([-b, a])])
    step = -adjugate @ gradient / (a * d - b * b)
    small = jnp.max(jnp.abs(step)) < jnp.finfo(eta.dtype).eps ** 0.25
    return jnp.where(small, eta + step, eta)


@partial(jax.jit, static_argnames=("optimizer", "max_steps"))
def type2_mle(
    model: Model,
    tally: Any,
    tolerance: Float[Array, ""],
    learning_rate: Float[Array, ""] | None = None,
    start: Float[Array, "2"] | None = None,
    *,
    optimizer: Optimizer = "lbfgs",
    max_steps: int = 2000,
) -> Optimum:
    r"""Ascends the log-marginal likelihood per unit in the working coordinates.

    .. math:: \hat\eta = \arg\max_\eta \frac{1}{J} \sum_j \log p(y_j \mid \eta)

    One jitted loop of an optax transformation, or of Newton's method; may be batched.

    Args:
        model: Family; the hyperprior does not enter.
        tally: The units.
        tolerance: Largest entry of the gradient per unit at which to stop.
        learning_rate: Step of `adam` and `gradient_ascent`; by default 0.05, and the inverse of
            the largest curvature at the start.
        start: Working coordinates to start from; by default the best of a few concentrations at
            the pooled mean.
        optimizer: Which optax transformation, or `newton`.
        max_steps: Most steps to take.

    Returns:
        The optimum and the path to it.
    """
    units, frame = tally.weight, model.family.frame(tally)
    origin = jnp.stack([frame.location, jnp.zeros_like(frame.location)])
    unit = jnp.stack([frame.scale, jnp.ones_like(frame.scale)])

    def scaled(x: Float[Array, "2"]) -> Float[Array, ""]:
        return model.log_marginal(tally, origin + unit * x) / units

    start = ((_start(model, tally) if start is None else start) - origin) / unit
    ascent = ascend(scaled, start, tolerance, learning_rate, optimizer, max_steps)
    value, gradient, hessian = derivatives(scaled, ascent.eta)
    converged = jnp.max(jnp.abs(gradient)) <= tolerance
    x = jnp.where(converged, _polish(ascent.eta, gradient, hessian), ascent.eta)
    length = len(ascent.path)
    taken = jnp.arange(length) < jnp.minimum(ascent.steps, length - 1)
    return Optimum(
        origin + unit * x,
        value * units,
        gradient / unit,
        -units * hessian / jnp.outer(unit, unit),
        ascent.steps,
        converged,
        origin + unit * jnp.where(taken[:, None], ascent.path, x),
        jnp.where(taken, ascent.path_values, value) * units,
        *_pooled(model.family, tally),
    )


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Type2MLE:
    """Empirical Bayes: the hyperparameters that make the data most probable.

    Args:
        optimizer: `lbfgs` (with a zoom line search), `newton` (within a trust region), `adam`, or
            plain `gradient_ascent`.
        learning_rate: Step of `adam` and `gradient_ascent` on the log-marginal per unit; by
            default 0.05, and the inverse of the largest curvature at the start.
        max_steps: Most steps to take; by default 200 for `lbfgs` and `newton`, 20,000 for the
            others.
        gradient_tolerance: Largest entry of the gradient per unit at which to stop; by default
            1e-10 in float64 and 1e-5 in float32.

    Example:
        >>> import hierjax as hj
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=hj.Type2MLE())
        >>> print(f"{fit.estimate('alpha'):.6f} {fit.estimate('beta'):.6f} {fit.status}")
        2.304783 14.079809 converged
    """

    optimizer: Optimizer = "lbfgs"
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    max_steps: Annotated[int, Field(gt=0, strict=True)] | None = None
    gradient_tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    name: ClassVar[str] = "type2_mle"

    def __post_init__(self) -> None:
        if self.optimizer in ("lbfgs", "newton") and self.learning_rate is not None:
            raise ValueError(f"learning_rate: {self.optimizer} searches its step and takes none")

    @property
    def most_steps(self) -> int:
        """Most steps to take, the default filled in."""
        return self.max_steps or (200 if self.optimizer in ("lbfgs", "newton") else 20_000)

    def tolerance(self, dtype: Any) -> float:
        """Largest entry of the gradient per unit at which to stop, the default filled in."""
        return self.gradient_tolerance or (1e-10 if dtype == np.float64 else 1e-5)

    def run(self, problem: Problem) -> Result:
        """Maximises and says whether the maximum is one; see `Type2MLE`."""
        weights = problem.counts.weights
        used = slice(None) if weights is None else weights > 0
        if message := problem.model.family.no_maximum(*(x[used] for x in problem.data)):
            return Result(None, Status.FAILED, message)
        dtype = problem.dtype
        rate = self.learning_rate
        with Stopwatch() as watch:
            optimum = type2_mle(
                problem.model,
                jax.tree.map(jnp.asarray, problem.tally()),
                jnp.asarray(self.tolerance(dtype), dtype),
                None if rate is None else jnp.asarray(rate, dtype),
                None if problem.start is None else jnp.asarray(problem.start, dtype),
                optimizer=self.optimizer,
                max_steps=self.most_steps,
            )
            optimum = jax.tree.map(np.asarray, jax.block_until_ready(optimum))
        return _judge(optimum, problem.model.family.words.dispersion, watch.seconds)


def _judge(optimum: Optimum, dispersion: str, seconds: dict[str, float]) -> Result:
    steps = int(optimum.steps)
    info = {
        "steps": steps,
        "gradient": optimum.gradient,
        "path": optimum.path[: steps + 1],
        "log_marginal_path": optimum.path_log_marginal[: steps + 1],
        "log_marginal": float(optimum.log_marginal),
        "pooled_log_marginal": float(optimum.pooled_log_marginal),
        "pooled_slope": float(optimum.pooled_slope),
    }
    eta, information = optimum.eta, optimum.information
    if optimum.pooled_is_best:
        message = (
            "no overdispersion: the likelihood is largest at complete pooling, where its "
            f"derivative in {dispersion} is {float(optimum.pooled_slope):.4g}"
        )
        info["log_marginal"] = info["pooled_log_marginal"]
        pooled = HyperPosterior.at(jnp.array([optimum.pooled, np.inf], eta.dtype))
        return Result(pooled, Status.BOUNDARY, message, info=info, seconds=seconds)
    if not (np.all(np.isfinite(eta)) and np.isfinite(optimum.log_marginal)):
        message = "the ascent left the finite numbers"
        return Result(None, Status.FAILED, message, info=info, seconds=seconds)
    status, message, covariance = Status.CONVERGED, "", None
    if not optimum.converged:
        status = Status.NOT_CONVERGED
        size = float(np.max(np.abs(optimum.gradient)))
        message = f"gradient per unit still {size:.2g} after {steps} steps"
    if np.all(np.linalg.eigvalsh(information) > 0):
        covariance = np.linalg.inv(information)
    else:
        status = Status.NOT_CONVERGED
        message = "the observed information is not positive definite: not a maximum"
    return Result(
        HyperPosterior.at(jnp.asarray(eta)),
        status,
        message,
        covariance=covariance,
        info=info,
        seconds=seconds,
    )
