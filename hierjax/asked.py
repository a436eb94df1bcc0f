"""Checks of what is asked of a fit: probabilities, numbers of things, kinds, units."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from hierjax.errors import ConfigError, DataError, HierjaxError, did_you_mean

__all__ = [
    "among",
    "counts_hyperprior",
    "counts_model",
    "inside",
    "of_kind",
    "probability",
    "unit_position",
    "whole_number",
]


def probability(name: str, value: Any) -> float:
    """A number strictly between 0 and 1.

    Args:
        name: What the error calls it.
        value: What was given.

    Returns:
        The number.

    Raises:
        ConfigError: If it is not one.

    Example:
        >>> probability("level", 0.9)
        0.9
    """
    number = isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0)
    if isinstance(value, bool) or not number or not 0 < value < 1:
        raise ConfigError(f"{name}: expected a probability inside (0, 1), found {value!r}")
    return float(value)


def inside(name: str, value: Any, limits: tuple[float, float]) -> float:
    """A number strictly between limits.

    Args:
        name: What the error calls it.
        value: What was given.
        limits: Of which either may be infinite.

    Returns:
        The number.

    Raises:
        ConfigError: If it is not one.

    Example:
        >>> inside("threshold", 2e-4, (0.0, float("inf")))
        0.0002
    """
    if limits == (0.0, 1.0):
        return probability(name, value)
    number = isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0)
    if isinstance(value, bool) or not number or not limits[0] < value < limits[1]:
        above = f" above {limits[0]:g}" if np.isfinite(limits[0]) else ""
        raise ConfigError(f"{name}: expected a finite number{above}, found {value!r}")
    return float(value)


def whole_number(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """A whole number in a range.

    Args:
        name: What the error calls it.
        value: What was given; 3.0 is a whole number, True is not.
        least: The smallest allowed.
        most: The largest allowed, if there is one.

    Returns:
        The number.

    Raises:
        ConfigError: If it is not one.

    Example:
        >>> whole_number("top", 10, most=70)
        10
    """
    whole = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    inside = whole and least <= value and (most is None or value <= most)
    if isinstance(value, bool) or not inside:
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ConfigError(f"{name}: expected a whole number {span}, found {value!r}")
    return int(value)


def among(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of a few words.

    Args:
        name: What the error calls it.
        value: What was given.
        choices: The words.

    Returns:
        The word.

    Raises:
        ConfigError: If it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(f"{name}: expected {' or '.join(map(repr, choices))}, found {value!r}")
    return value


def unit_position(
    name: str, labels: np.ndarray, label: Any, error: type[HierjaxError] = DataError
) -> int:
    """Where the only unit of a label is.

    Args:
        name: What the error calls the label.
        labels: Of all units.
        label: What was given.
        error: Which error to raise.

    Returns:
        The unit's position.

    Raises:
        HierjaxError: If no unit or more than one has the label, or it is no single label.

    Example:
        >>> unit_position("control", np.array(["north", "south"]), "south")
        1
    """
    found = np.flatnonzero((labels == str(label)) & (np.ndim(label) == 0))
    if len(found) == 1:
        return int(found[0])
    hint = f", which {len(found)} units have" if len(found) else ""
    if not hint and isinstance(label, str):
        hint = did_you_mean(label, map(str, labels))
    raise error(f"{name}: expected the label of one unit, found {label!r}{hint}")


def counts_model(model: Any, where: str) -> None:
    """Refuses a model of another family than the beta-binomial, where that alone is known.

    Args:
        model: Family and hyperprior.
        where: What knows no other family.

    Raises:
        ConfigError: If the family is another.
    """
    if model.family.name != "beta_binomial":
        raise ConfigError(
            f"model: expected the family beta_binomial, as {where} know no other, "
            f"found {model.family.name}"
        )


def counts_hyperprior(hyperprior: Any, where: str) -> None:
    """Refuses a hyperprior of another family than the beta-binomial, where that alone is known.

    Args:
        hyperprior: Density of hyperparameters; one that names no family will do.
        where: What knows no other family.

    Raises:
        ConfigError: If its family is another.
    """
    family = getattr(hyperprior, "family", "beta_binomial")
    if family != "beta_binomial":
        raise ConfigError(
            f"hyperprior: expected one for the family beta_binomial, as {where} know no other, "
            f"found {type(hyperprior).__name__}, which is for {family}"
        )


def of_kind(name: str, value: Any, kinds: Any, expected: str) -> None:
    """Refuses what is of no kind that would do, before it fails somewhere else.

    Args:
        name: What the error calls it.
        value: What was given.
        kinds: Classes that will do.
        expected: What they are.

    Raises:
        ConfigError: If it is of none of them.

    Example:
        >>> try:
        ...     of_kind("method", "gibbs", int, "a method's settings")
        ... except ConfigError as error:
        ...     print(error)
        method: expected a method's settings, found 'gibbs'
    """
    if not isinstance(value, kinds):
        raise ConfigError(f"{name}: expected {expected}, found {value!r}")
