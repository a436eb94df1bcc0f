"""What every hyperprior answers, and how compiled code takes it."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float

from hierjax.errors import ModelError
from hierjax.families.protocol import Frame

__all__ = ["Hyperprior", "Scaled", "check_proper", "register", "unchecked"]

Scalar = Float[Array, ""]


@runtime_checkable
class Hyperprior(Protocol):
    """What every hyperprior answers; one of a single family names it as `family`."""

    kind: ClassVar[str]
    proper: ClassVar[bool]

    def log_density(self, eta: Float[Array, "2"]) -> Scalar:
        """Log-density on the working coordinates."""
        ...

    def impropriety(self, informative: float) -> str | None:
        """Why the posterior would be improper, or None if it is proper.

        Args:
            informative: Weight of the units on which that depends, as the family counts them.
        """
        ...

    def concentration_moments(self) -> int:
        """How many posterior moments (0, 1 or 2) of the concentration are known to exist."""
        ...

    def mean_moments(self, informative: float) -> int:
        """How many posterior moments (0, 1 or 2) are known to exist of the population's mean.

        And of what is reported beside it that grows as the concentration falls.

        Args:
            informative: As for `impropriety`.
        """
        ...


@runtime_checkable
class Scaled(Protocol):
    """A hyperprior that may take its scale from the units."""

    def scaled(self, frame: Frame) -> Hyperprior:
        """The hyperprior itself, with a scale if it had none."""
        ...


def check_proper(hyperprior: Hyperprior, informative: float) -> None:
    """Refuses data for which the posterior would be improper.

    Args:
        hyperprior: The hyperprior.
        informative: Weight of the units on which that depends, as the family counts them.

    Raises:
        ModelError: If the posterior would be improper; the message names proper hyperpriors.
    """
    message = hyperprior.impropriety(informative)
    if message:
        raise ModelError(message)


def unchecked(cls: type, parts: Mapping[str, Any]) -> Any:
    """A hyperprior of these parts, which may be traced, as they are."""
    value: Any = object.__new__(cls)
    for name, part in parts.items():
        object.__setattr__(value, name, part)
    return value


def register(cls: type) -> None:
    """Makes a hyperprior a pytree of its parameters; rebuilding one does not check it again."""
    names = [field.name for field in fields(cls)]

    def flatten(value: Any) -> tuple[list[Any], Any]:
        parts = [getattr(value, name) for name in names]
        leaves, structure = jax.tree.flatten(parts)
        order = _by_name(parts)
        return [leaves[i] for i in order], (structure, order)

    def unflatten(arrangement: Any, leaves: Any) -> Any:
        structure, order = arrangement
        places = dict(zip(order, leaves, strict=True))
        parts = jax.tree.unflatten(structure, [places[i] for i in range(len(order))])
        return unchecked(cls, dict(zip(names, parts, strict=True)))

    jax.tree_util.register_pytree_node(cls, flatten, unflatten)


def _by_name(parts: list[Any]) -> tuple[int, ...]:
    """The leaves' order by name.

    NumPyro's own is that of a set, another in every process: compiled code that is kept would be
    of no use to the next one.
    """

    def name(path: Any) -> str:
        node, found = parts[path[0].idx], [f"{path[0].idx}"]
        for key in path[1:]:
            # Constraints and transforms within a distribution have an order of their own.
            fields_of = getattr(node, "gather_pytree_data_fields", None)
            found.append(fields_of()[key.key] if fields_of else str(key))
            node = getattr(node, found[-1], None) if fields_of else None
        return "/".join(found)

    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(parts)[0]]
    return tuple(sorted(range(len(paths)), key=lambda i: name(paths[i])))
