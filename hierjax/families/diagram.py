"""What a family's plate diagram says."""

from typing import NamedTuple

__all__ = ["Diagram"]


class Diagram(NamedTuple):
    """What is written into a family's plate diagram, as matplotlib's mathematical text.

    Attributes:
        hyperparameters: Symbols of the hyperparameters.
        parameter: Symbol of what each unit has of its own.
        data: Symbol of what is observed of each unit.
        known: Symbol of what is given of each unit.
        statements: Distributions of the parameter and of the data.
        words: What the hyperparameters, the parameter and the data are.
        in_group: Distribution of the parameter of a unit in a group g.
        coordinates: The group's two working coordinates.
    """

    hyperparameters: tuple[str, ...]
    parameter: str
    data: str
    known: str
    statements: tuple[str, str]
    words: tuple[str, str, str]
    in_group: str
    coordinates: tuple[str, str]
