"""What messages call the parts of a family."""

from typing import NamedTuple

__all__ = ["Words"]


class Words(NamedTuple):
    """Words of a family's messages.

    Attributes:
        parameters: What units have of their own, in the plural.
        noise: What makes equal units differ.
        population: The population's distribution.
        variation: Its variance over the variance function, the moments' measure of variation.
        dispersion: The dispersion in terms of the distribution's parameters.
    """

    parameters: str
    noise: str
    population: str
    variation: str
    dispersion: str
