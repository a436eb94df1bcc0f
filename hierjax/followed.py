"""What influence and sensitivity follow beside the posterior means of the hyperparameters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from hierjax.asked import unit_position
from hierjax.entries import Number, Source
from hierjax.errors import ConfigError, DataError
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.families.protocol import AnyFamily
from hierjax.given_units import checked_units
from hierjax.observations import Observations

__all__ = ["Followed", "New"]

_BETA_BINOMIAL = BetaBinomial()
New = tuple[Number, Number] | Sequence[tuple[Number, Number]]


@dataclass(frozen=True)
class Followed:
    """Units, levels of quantiles and thresholds.

    Attributes:
        names: What units are called.
        values: Their y.
        sizes: Their sizes.
        levels: Probabilities of quantiles.
        above: Thresholds of rates or effects.
        family: The conjugate family.
    """

    names: tuple[str, ...]
    values: Shaped[np.ndarray, "followed"]
    sizes: Shaped[np.ndarray, "followed"]
    levels: Float[np.ndarray, "levels"]
    above: Float[np.ndarray, "thresholds"]
    family: AnyFamily = _BETA_BINOMIAL

    @classmethod
    def of(
        cls,
        counts: Observations,
        of: str | Sequence[str] = (),
        new: New = (),
        levels: float | Sequence[float] = (),
        above: float | Sequence[float] = (),
        family: AnyFamily = _BETA_BINOMIAL,
    ) -> "Followed":
        """Checks what is asked for.

        Args:
            counts: The data.
            of: Labels of units.
            new: Value and size of a new unit, or of several.
            levels: Probabilities of quantiles.
            above: Rates or effects to be above.
            family: The conjugate family.

        Returns:
            What to follow.

        Raises:
            DataError: If there is no unit, or more than one, of a label, or a new unit's data
                break a rule.
            ConfigError: If a level is not inside (0, 1) or a threshold beyond the parameter's
                limits, something is asked twice, or a threshold without a unit.
        """
        labels = [of] if isinstance(of, str) else [str(label) for label in of]
        y, n = _new_units(family, new)
        names = [*labels, *(f"{a:.12g}/{b:.12g}" for a, b in zip(y, n, strict=True))]
        _require_once("of and new", names)
        thresholds = _thresholds(family, above)
        if len(thresholds) and not names:
            raise ConfigError("above: expected units in `of` or `new` to be above it, found none")
        at = [unit_position("of", counts.labels, label) for label in labels]
        y, n = (np.append(old[at], more) for old, more in zip(counts.pair, (y, n), strict=True))
        return cls(tuple(names), y, n, _probabilities("levels", levels), thresholds, family)

    @property
    def columns(self) -> list[str]:
        """Names of all answers, the log-evidence before those about units and quantiles."""
        word = "effect" if self.family.support == "reals" else "rate"
        rates = [f"{word} of {name}" for name in self.names]
        reported = self.family.hyperparameters
        quantiles = [
            f"{100 * level:.12g}% of {of}"
            for level in self.levels
            for of in (*reported.names, *rates)
        ]
        exceedance = [f"P({rate} > {threshold:.12g})" for threshold in self.above for rate in rates]
        return [*reported.answers, "log_evidence", *rates, *quantiles, *exceedance]


def _new_units(family: AnyFamily, new: New) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.asarray(new)
    pairs = pairs.reshape(-1, 2) if pairs.size == 0 else np.atleast_2d(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        wanted = " and ".join(family.columns)
        raise DataError(f"new: expected {wanted} of new units, found {new!r}")
    source = Source("new", lambda i: f"new unit {i + 1}")
    return checked_units(family, pairs[:, 0], pairs[:, 1], source)


def _thresholds(
    family: AnyFamily, given: float | Sequence[float]
) -> Float[np.ndarray, "thresholds"]:
    if family.limits == (0.0, 1.0):
        return _probabilities("above", given)
    least, most = family.limits
    found = np.atleast_1d(np.asarray(given, float))
    if (outside := found[~((found > least) & (found < most))]).size:
        raise ConfigError(
            f"above: expected numbers inside ({least:g}, {most:g}), found {outside[0]}"
        )
    _require_once("above", found.tolist())
    return found


def _probabilities(name: str, given: float | Sequence[float]) -> Float[np.ndarray, "probabilities"]:
    found = np.atleast_1d(np.asarray(given, float))
    if (outside := found[~((found > 0) & (found < 1))]).size:
        raise ConfigError(f"{name}: expected probabilities inside (0, 1), found {outside[0]}")
    _require_once(name, found.tolist())
    return found


def _require_once(name: str, given: Sequence[str | float]) -> None:
    if twice := [each for i, each in enumerate(given) if each in given[:i]]:
        raise ConfigError(f"{name}: expected each once, found {twice[0]!r} twice")
