"""Checks of what is asked of a fit: probabilities, numbers of things, kinds."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from hierjax.errors import ConfigError

__all__ = ["among", "probability", "whole_number"]


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
