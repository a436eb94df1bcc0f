"""Models from their configuration; distributions are NumPyro's, by the names of their classes."""

import inspect
import math
from typing import Any

from hierjax.errors import ConfigError, ModelError, did_you_mean
from hierjax.experiment.schema_base import DistributionConfig
from hierjax.families import FAMILIES
from hierjax.hyperpriors import HYPERPRIORS_OF, Hyperprior
from hierjax.model import Model

__all__ = ["build_model"]

_KEY = "model.hyperprior"
# NumPyro makes these from their parameters by functions.
_FUNCTIONS = ("TruncatedCauchy", "TruncatedNormal")
_WITHOUT_DENSITY = {"HurdleGamma", "HurdleLogNormal", "Unit"}


def build_model(config: Any) -> Model:
    """The model that a configuration describes.

    Distributions hold their parameters as arrays: call this in the precision of the fit.

    Args:
        config: A checked configuration's `model`, of any family.

    Returns:
        The model.

    Raises:
        ConfigError: If a distribution is unknown or its parameters do not suit it, or it has the
            wrong support. The message names the key and the nearest valid name.

    Examples:
        >>> from hierjax.experiment.schema import ModelConfig
        >>> build_model(ModelConfig()).hyperprior
        PowerLaw(exponent=2.5)
    """
    return Model(FAMILIES[config.family], _hyperprior(config.family, config.hyperprior))


def _hyperprior(family: str, config: Any) -> Hyperprior:
    parts = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        is_distribution = isinstance(value, DistributionConfig)
        parts[name] = _distribution(value, f"{_KEY}.{name}") if is_distribution else value
    try:
        made: Hyperprior = HYPERPRIORS_OF[family][parts.pop("kind")](**parts)
    except ModelError as error:
        raise ConfigError(f"{_KEY}: {error}") from None
    return made


def _distribution(config: DistributionConfig, key: str) -> Any:
    """The distribution of one hyperparameter."""
    known = _scalar_distributions()
    name, given = config.distribution, dict(config.model_extra or {})
    if name not in known:
        near = did_you_mean(name, known) or f"; known are {', '.join(sorted(known))}"
        raise ConfigError(
            f"{key}.distribution: expected a continuous distribution of NumPyro, "
            f"found {name!r}{near}"
        )
    parameters = _parameters(known[name])
    for parameter in given:
        if parameter not in parameters:
            near = did_you_mean(parameter, parameters) or f"; it has {', '.join(parameters)}"
            raise ConfigError(f"{key}.{parameter}: expected a parameter of {name}{near}")
    for parameter, default in parameters.items():
        if default is inspect.Parameter.empty and parameter not in given:
            raise ConfigError(
                f"{key}.{parameter}: expected a number, as {name} needs, found nothing"
            )
    _require_valid(known[name], given, key)
    try:
        distribution = known[name](**given)
    except ValueError as error:
        found = " ".join(str(error).split())
        raise ConfigError(f"{key}: expected parameters that suit {name}; {found}") from None
    _require_density(distribution, name, key)
    return distribution


def _scalar_distributions() -> dict[str, Any]:
    """Distributions with a density of one number, whose parameters are numbers."""
    import numpyro.distributions as dist

    found = {name: getattr(dist, name) for name in _FUNCTIONS}
    for name in set(dist.__all__) - _WITHOUT_DENSITY:
        each = getattr(dist, name)
        if isinstance(each, type) and issubclass(each, dist.Distribution) and _is_scalar(each):
            found[name] = each
    return found


def _is_scalar(cls: Any) -> bool:
    """Whether a distribution's parameters are numbers with stated limits, and its values too."""
    if not cls.arg_constraints or set(_parameters(cls)) != set(cls.arg_constraints):
        return False
    try:
        return not (cls.support.event_dim > 0 or cls.support.is_discrete)
    except NotImplementedError:  # known only once there are parameters
        return True


def _parameters(cls: Any) -> dict[str, Any]:
    """Names of a distribution's parameters, with their defaults."""
    signature = inspect.signature(cls)
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if name not in ("self", "validate_args")
    }


def _require_valid(cls: Any, given: dict[str, float], key: str) -> None:
    """Parameters within the limits that the distribution states for each alone."""
    for parameter, value in given.items():
        constraint = getattr(cls, "arg_constraints", {}).get(parameter)
        try:
            if constraint is None or bool(constraint(value)):
                continue
        except ValueError:  # a limit that depends on other parameters
            continue
        limits = [
            f"{words} {bound:g}"
            for words, name in (("above", "lower_bound"), ("below", "upper_bound"))
            if (bound := getattr(constraint, name, None)) is not None
        ]
        raise ConfigError(
            f"{key}.{parameter}: expected a number {' and '.join(limits)}, found {value:g}"
        )


def _require_density(distribution: Any, name: str, key: str) -> None:
    """Parameters may be wrong together, as a lower bound above the upper one."""
    support = distribution.support
    low, high = (getattr(support, bound, None) for bound in ("lower_bound", "upper_bound"))
    inside = support.feasible_like(1.0)
    if low is not None and high is not None and low >= high:
        found = f"the bounds {float(low):g} and {float(high):g}"
    elif not bool(support(inside)) or not math.isfinite(float(distribution.log_prob(inside))):
        found = "none"
    else:
        return
    raise ConfigError(f"{key}: expected parameters that give {name} a density, found {found}")
