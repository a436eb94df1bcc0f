"""What a run's configuration asks of the units, and how it checks the fit that answers."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from hierjax.checks import Pooling, PredictiveCheck
from hierjax.errors import InferenceError, ModelError
from hierjax.experiment.runner import Prepared, method_key
from hierjax.fitting import Fit
from hierjax.inference.result import Progress
from hierjax.table import Table

__all__ = ["decide", "judge"]

_RANKS, _CHECKS = "ranks", "checks"


def decide(
    prepared: Prepared, fit: Fit, progress: Progress | None = None
) -> tuple[dict[str, Table], list[str]]:
    """Answers to what is asked, by name of the record's field.

    Args:
        prepared: Configuration and data.
        fit: The fit that answers.
        progress: Called with steps done and steps in all of what takes long, one after the other.

    Returns:
        Tables of what was asked and has an answer, and why the rest has none.
    """
    config, asked = prepared.config, prepared.config.questions

    def ranks(top: int) -> Table:
        key = method_key(config.seed, _RANKS)
        return fit.ranks(top, key=key, level=config.level, progress=progress)

    def contrasts(control: str) -> Table:
        return fit.contrasts(control, config.level, progress=progress)

    answers: dict[str, tuple[Any, Callable[[Any], Table]]] = {
        "exceedance": (asked.above, lambda rate: fit.exceedance(rate, asked.fdr)),
        "next_counts": (asked.next_size, lambda m: fit.predictions(m, config.level)),
        "ranks": (asked.top, ranks),
        "contrasts": (asked.control, contrasts),
    }
    found: dict[str, Table] = {}
    refused = []
    for name, (question, answer) in answers.items():
        if question is None:
            continue
        try:
            found[name] = answer(question)
        except InferenceError as error:
            refused.append(f"no {name}: {error}")
    return found, refused


def judge(prepared: Prepared, fit: Fit) -> dict[str, Any]:
    """Checks of the fit and the influence of its units, where the method has them.

    Args:
        prepared: Configuration and data.
        fit: The fit that is judged.

    Returns:
        Values of the record's fields of these names.
    """
    found: dict[str, Any] = {}
    with suppress(InferenceError, ModelError):
        key = method_key(prepared.config.seed, _CHECKS)
        found["predictive"] = fit.posterior_predictive(key, level=prepared.config.level)
        found["checks"] = _checks(found["predictive"], fit.pooling())
    with suppress(InferenceError, ModelError):
        found["loo_pit"] = fit.loo_pit()
    with suppress(InferenceError, ModelError):
        found["influence"] = fit.influence()
    return found


def _checks(predictive: PredictiveCheck, pooling: Pooling) -> Table:
    """Posterior predictive checks, and below them the likelihood ratio of complete pooling."""
    names = ("observed", "mean", "low", "high", "tail_probability", "mcse")
    ratio: Mapping[str, Any] = {
        "observed": pooling.likelihood_ratio, "tail_probability": pooling.p_value
    }  # fmt: skip
    columns = {name: [*predictive[name], ratio.get(name, np.nan)] for name in names}
    labels = [*predictive["statistic"], "likelihood_ratio_of_complete_pooling"]
    return Table({"check": labels, **columns})
