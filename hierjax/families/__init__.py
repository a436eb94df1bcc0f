"""Conjugate families, one a file: the log-densities of one unit, and words for the population.

`FAMILIES` holds them by name; `tests/families` holds every one of them to the protocol.
"""

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.families.gamma_poisson import GammaPoisson
from hierjax.families.normal_normal import NormalNormal
from hierjax.families.protocol import AnyFamily, Family

__all__ = ["FAMILIES", "AnyFamily", "Family"]

FAMILIES: dict[str, AnyFamily] = {
    family.name: family for family in (BetaBinomial(), GammaPoisson(), NormalNormal())
}
