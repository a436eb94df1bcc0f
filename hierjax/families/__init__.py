"""Conjugate families, one a file: the log-densities of one unit, and words for the population.

`FAMILIES` holds those whose densities are here, by name; `tests/families` holds every one of them
to the protocol. Methods and answers are not yet written for every one: `hierjax.model.Model` says
for which they are.
"""

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.families.gamma_poisson import GammaPoisson
from hierjax.families.normal_normal import NormalNormal
from hierjax.families.protocol import AnyFamily, Family

__all__ = ["FAMILIES", "AnyFamily", "Family"]

FAMILIES: dict[str, AnyFamily] = {
    family.name: family for family in (BetaBinomial(), GammaPoisson(), NormalNormal())
}
