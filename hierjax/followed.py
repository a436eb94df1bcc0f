"""What influence and sensitivity follow beside the posterior means of the hyperparameters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from hierjax.asked import unit_position
from hierjax.counts import Counts
from hierjax.errors import ConfigError, DataError
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.families.hyperparameters import Hyperparameters
from hierjax.validation import Source, checked_pairs

__all__ = ["ANSWERS", "Followed", "New"]

_BETA_BINOMIAL = BetaBinomial.hyperparameters
ANSWERS = _BETA_BINOMIAL.answers
New = tuple[int, int] | Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Followed:
    """Units, levels of quantiles and thresholds of rates.

    Attributes:
        names: What units are called.
        successes: Their y.
        trials: Their n.
        levels: Probabilities of quantiles.
        above: Thresholds of rates.
        reported: The family's hyperparameters.
    """

    names: tuple[str, ...]
    successes: Int[np.ndarray, "followed"]
    trials: Int[np.ndarray, "followed"]
    levels: Float[np.ndarray, "levels"]
    above: Float[np.ndarray, "thresholds"]
    reported: Hyperparameters = _BETA_BINOMIAL

    @classmethod
    def of(
        cls,
        counts: Counts,
        of: str | Sequence[str] = (),
        new: New = (),
        levels: float | Sequence[float] = (),
        above: float | Sequence[float] = (),
        reported: Hyperparameters = _BETA_BINOMIAL,
    ) -> "Followed":
        """Checks what is asked for.

        Args:
            counts: The data.
            of: Labels of units.
            new: Successes and trials of a new unit, or of several.
            levels: Probabilities of quantiles.
            above: Rates to be above.
            reported: The family's hyperparameters.

        Returns:
            What to follow.

        Raises:
            DataError: If there is no unit, or more than one, of a label, or a new unit's counts
                break a rule.
            ConfigError: If a level or a threshold is not inside (0, 1), something is asked twice,
                or a threshold without a unit.
        """
        labels = [of] if isinstance(of, str) else [str(label) for label in of]
        y, n = _new_units(new)
        names = [*labels, *(f"{a}/{b}" for a, b in zip(y, n, strict=True))]
        _require_once("of and new", names)
        thresholds = _probabilities("above", above)
        if len(thresholds) and not names:
            raise ConfigError("above: expected units in `of` or `new` to be above it, found none")
        at = [unit_position("of", counts.labels, label) for label in labels]
        y, n = np.append(counts.successes[at], y), np.append(counts.trials[at], n)
        return cls(tuple(names), y, n, _probabilities("levels", levels), thresholds, reported)

    @property
    def columns(self) -> list[str]:
        """Names of all answers, the log-evidence before those about units and quantiles."""
        rates = [f"rate of {name}" for name in self.names]
        quantiles = [
            f"{100 * level:.12g}% of {of}"
            for level in self.levels
            for of in (*self.reported.names, *rates)
        ]
        exceedance = [f"P({rate} > {threshold:.12g})" for threshold in self.above for rate in rates]
        return [*self.reported.answers, "log_evidence", *rates, *quantiles, *exceedance]


def _new_units(new: New) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.asarray(new)
    pairs = pairs.reshape(-1, 2) if pairs.size == 0 else np.atleast_2d(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise DataError(f"new: expected successes and trials of new units, found {new!r}")
    return checked_pairs(pairs[:, 0], pairs[:, 1], Source("new", lambda i: f"new unit {i + 1}"))


def _probabilities(name: str, given: float | Sequence[float]) -> Float[np.ndarray, "probabilities"]:
    found = np.atleast_1d(np.asarray(given, float))
    if (outside := found[~((found > 0) & (found < 1))]).size:
        raise ConfigError(f"{name}: expected probabilities inside (0, 1), found {outside[0]}")
    _require_once(name, found.tolist())
    return found


def _require_once(name: str, given: Sequence[str | float]) -> None:
    if twice := [each for i, each in enumerate(given) if each in given[:i]]:
        raise ConfigError(f"{name}: expected each once, found {twice[0]!r} twice")
