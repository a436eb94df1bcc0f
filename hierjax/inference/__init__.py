"""Methods of inference, one a file; each returns the same kind of posterior."""

from hierjax.inference.collapsed_gibbs import CollapsedGibbs
from hierjax.inference.exact import Quadrature
from hierjax.inference.gibbs import Gibbs
from hierjax.inference.moments import Moments
from hierjax.inference.nuts import NUTS
from hierjax.inference.type2_mle import Type2MLE

__all__ = [
    "METHODS",
    "NUTS",
    "CollapsedGibbs",
    "Gibbs",
    "Method",
    "Moments",
    "Quadrature",
    "Type2MLE",
]

Method = Moments | Type2MLE | Quadrature | NUTS | Gibbs | CollapsedGibbs

METHODS: dict[str, type[Method]] = {
    method.name: method for method in (Moments, Type2MLE, Quadrature, NUTS, Gibbs, CollapsedGibbs)
}
