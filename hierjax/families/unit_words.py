"""What a family's units are called in figures and reports."""

from typing import NamedTuple

__all__ = ["UnitWords"]


class UnitWords(NamedTuple):
    """Words for a unit's parameter and data.

    Attributes:
        parameter: What a unit has of its own.
        raw: What the unit alone says of it.
        size: What a unit has the more of, the more it tells.
        amount: What it has where it tells little.
        unit: An observed value and its size, to be formatted with `value` and `size`.
        told: How much a unit tells, to be formatted.
        sizes: What sizes are called.
        chance: What a value's error comes from.
        data: What a unit's data are called.
        value: What an observed value is called.
    """

    parameter: str
    raw: str
    size: str
    amount: str
    unit: str
    told: str
    sizes: str
    chance: str
    data: str
    value: str
