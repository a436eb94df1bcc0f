"""Partial against complete pooling: by evidence, and by likelihood ratio at the boundary."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.inference.exact import Quadrature
from hierjax.inference.result import Problem, Status
from hierjax.inference.type2_mle import Type2MLE
from hierjax.model import Model
from hierjax.table import Table

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["Pooling", "pooling"]


@dataclass(frozen=True)
class _Pooled(Model):
    """A model whose units have one parameter, whatever the concentration."""

    def log_marginal(self, tally: Any, eta: Float[Array, "2"]) -> Float[Array, ""]:
        """Log-likelihood of all units at dispersion 0."""
        population = self.family.population_at(eta[0], jnp.zeros_like(eta[0]))
        return self.family.log_marginal_tally(tally, population)


jax.tree_util.register_dataclass(_Pooled, data_fields=["hyperprior"], meta_fields=["family"])


@dataclass(frozen=True)
class Pooling:
    """How the data speak for rates that differ (partial pooling) against one rate of all.

    Attributes:
        log_evidence_partial: log p(Y) of partial pooling, the hyperparameters integrated out.
        log_evidence_complete: log p(Y) of complete pooling, under the same density of the mean.
        log_bayes_factor: The former less the latter; above 0 the rates differ.
        log_likelihood_partial: Largest log-marginal likelihood over both hyperparameters.
        log_likelihood_complete: Largest over the mean alone, at dispersion 0.
        likelihood_ratio: Twice the former less the latter; 0 where both are the same maximum.
        p_value: Probability of a ratio this large or larger if all rates are equal.
        message: Why a number is NaN, or not to be trusted; empty if there is nothing to say.
    """

    log_evidence_partial: float
    log_evidence_complete: float
    log_bayes_factor: float
    log_likelihood_partial: float
    log_likelihood_complete: float
    likelihood_ratio: float
    p_value: float
    message: str

    @property
    def table(self) -> Table:
        """One row a model: model, log_evidence, log_likelihood, parameters."""
        return Table(
            {
                "model": ["complete_pooling", "partial_pooling"],
                "log_evidence": [self.log_evidence_complete, self.log_evidence_partial],
                "log_likelihood": [self.log_likelihood_complete, self.log_likelihood_partial],
                "parameters": [1, 2],
            }
        )


def pooling(fit: "Fit") -> Pooling:
    r"""Compares partial pooling with complete pooling, whatever the method of the fit.

    The evidence of partial pooling is quadrature's. Complete pooling is its limit at dispersion 0,
    of binomial counts 1/(alpha + beta); its evidence takes the mean's density from the same
    hyperprior,

    .. math:: p(Y \mid \text{complete}) = \int\! p(m) \prod_j p(y_j \mid \theta_j = m) \, dm

    Evidences need a proper hyperprior: an improper one has no constant, and no density of the
    mean, so that the Bayes factor is NaN. The likelihood ratio needs no hyperprior. The null
    hypothesis lies on the boundary of the dispersions, and there twice the difference of
    log-likelihoods tends, as units become many, to 0 half the time and to a chi-square of one
    degree of freedom in the other half (Self & Liang 1987, *JASA* 82:605-610, case 5; Chernoff
    1954), so that

    .. math:: p = \tfrac12 P(\chi^2_1 \ge LR) \text{ for } LR > 0, \qquad p = 1 \text{ for } LR = 0

    A unit's weight counts it that many times; of weights that are not whole numbers the p-value
    is only indicative. Everything is computed in float64.

    Args:
        fit: Any fit; only its data and model matter.

    Returns:
        Evidences, likelihoods and how they compare.

    Raises:
        ModelError: If the posterior is improper.

    Example:
        >>> import hierjax as hj
        >>> found = hj.fit(hj.datasets.rat_tumors()).pooling()
        >>> print(f"{found.likelihood_ratio:.2f} {found.p_value:.1g}")
        31.01 1e-08
        >>> found.message.split(":")[0]
        'no Bayes factor'
    """
    with jax.enable_x64(True):
        problem = Problem(fit.model, fit.counts, np.float64)
        messages: list[str] = []
        partial, complete = _log_evidences(fit, problem, messages)
        likelihoods = _log_likelihoods(fit, problem, messages)
    difference = 2 * (likelihoods[0] - likelihoods[1])
    ratio = difference if math.isnan(difference) else max(0.0, difference)
    p_value = 0.5 * math.erfc(math.sqrt(ratio / 2)) if ratio != 0 else 1.0
    return Pooling(
        partial, complete, partial - complete, *likelihoods, ratio, p_value, "; ".join(messages)
    )


def _log_evidences(fit: "Fit", problem: Problem, messages: list[str]) -> tuple[float, float]:
    """Evidences of partial and of complete pooling; NaN under an improper hyperprior."""
    if not fit.model.hyperprior.proper:
        messages.append(
            "no Bayes factor: under an improper hyperprior evidences have no constant; use a "
            "proper one, such as mean_concentration"
        )
        return math.nan, math.nan
    method = fit.method if isinstance(fit.method, Quadrature) else Quadrature()
    reused = isinstance(fit.method, Quadrature) and fit.precision == "float64"
    partial = fit.result if reused else method.run(problem)
    pooled = _Pooled(fit.model.family, fit.model.hyperprior)
    complete = method.run(replace(problem, model=pooled))
    for name, result in (("partial", partial), ("complete", complete)):
        if result.status is not Status.CONVERGED:
            messages.append(f"evidence of {name} pooling: {result.message}")
    return float(partial.info["log_evidence"]), float(complete.info["log_evidence"])


def _log_likelihoods(fit: "Fit", problem: Problem, messages: list[str]) -> tuple[float, float]:
    """Largest log-marginal likelihoods of partial and of complete pooling."""
    reused = isinstance(fit.method, Type2MLE) and fit.precision == "float64"
    result = fit.result if reused else Type2MLE().run(problem)
    if result.status not in (Status.CONVERGED, Status.BOUNDARY):
        messages.append(f"likelihood ratio: {result.message}")
    found = (result.info.get(name, math.nan) for name in ("log_marginal", "pooled_log_marginal"))
    partial, complete = (float(value) for value in found)
    return partial, complete
