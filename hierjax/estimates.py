"""Estimates: what a fit says of units, seen or new, under equal-tailed or shortest intervals."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hierjax import units
from hierjax.asked import among, probability
from hierjax.errors import DataError, InferenceError
from hierjax.fitted import Fitted
from hierjax.frames import attach
from hierjax.table import Table
from hierjax.validation import ArrayLike, Source, checked_pairs, whole_numbers

__all__ = ["UNIT_COUNTS", "Estimates"]

_INTERVALS = ("equal_tailed", "highest_density")
# Columns of `Fit.unit_table` that the table of the counts has already.
UNIT_COUNTS = ("label", "successes", "trials")
_THE_UNIT = Source(
    "the unit", lambda _: "the unit", {"trials": "its trials so far, the argument trials"}
)


class Estimates(Fitted):
    """Questions about units' rates, asked of a fit."""

    def _answer(
        self, successes: np.ndarray, trials: np.ndarray, level: float, interval: str
    ) -> dict[str, np.ndarray]:
        """Moments and intervals of units."""
        interval = among("interval", interval, _INTERVALS)
        level = probability("level", level)
        moments = self._units.moments(successes, trials)
        shrinkage = moments.pop("shrinkage")
        highest = interval == "highest_density"
        ends = self._units.intervals(successes, trials, level, highest)
        return {**moments, **ends, "shrinkage": shrinkage}

    def units(self, level: float = 0.9, interval: str = "equal_tailed") -> Any:
        """Posterior of every unit's rate, in the user's own table where there is one.

        Args:
            level: Probability of the interval from `low` to `high`.
            interval: `equal_tailed`, or `highest_density` for the shortest.

        Returns:
            The table of `unit_table`; of counts that came from a data frame, a frame of the same
            kind with the user's columns, then raw_rate, mean, sd, low, median, high, shrinkage.
            An answer whose name is a user's column's already has ``_fit`` at its end.

        Raises:
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1).
            DataError: If the frame no longer holds the counts that were fitted.

        Example:
            >>> import pandas
            >>> import hierjax as hj
            >>> columns = {"lab": ["a", "b", "c"], "y": [0, 2, 5], "n": [20, 19, 18]}
            >>> frame = pandas.DataFrame(columns)
            >>> hj.fit(hj.Counts.from_frame(frame, "y", "n")).units().columns.tolist()[:5]
            ['lab', 'y', 'n', 'raw_rate', 'mean']
        """
        table, counts = self.unit_table(level, interval), self.counts
        if counts.frame is None:
            return table
        answers = {name: table[name] for name in table if name not in UNIT_COUNTS}
        return attach(counts.frame, counts.successes, counts.trials, answers)

    def unit_table(self, level: float = 0.9, interval: str = "equal_tailed") -> Table:
        """Posterior of every unit's rate, beside its counts.

        Args:
            level: Probability of the interval from `low` to `high`.
            interval: `equal_tailed`, or `highest_density` for the shortest.

        Returns:
            One row a unit: label, successes, trials, raw_rate, mean, sd, low, median, high,
            shrinkage. Shrinkage is the posterior mean of kappa / (kappa + n), the weight of the
            population's mean in the unit's.

        Raises:
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1), or there is no such interval.
        """
        counts = self.counts
        answer = self._answer(counts.successes, counts.trials, level, interval)
        return Table({**self._counted, "raw_rate": counts.raw_rates, **answer})

    def predict(
        self,
        successes: ArrayLike,
        trials: ArrayLike,
        level: float = 0.9,
        label: str | Sequence[str] = "new unit",
        interval: str = "equal_tailed",
    ) -> Table:
        """Posterior of the rate of units that were not in the data.

        Their counts inform their own rates, not the hyperparameters.

        Args:
            successes: y of each new unit.
            trials: n of each; 0 for a unit without data, whose posterior is the population's.
            level: Probability of the central interval.
            label: What to call them.
            interval: As for `units`.

        Returns:
            One row a new unit, with the columns of `units`.

        Raises:
            DataError: If the counts break a rule, or labels are neither one nor one for each.
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1), or there is no such interval.

        Example:
            >>> import hierjax as hj
            >>> table = hj.fit(hj.datasets.rat_tumors()).predict(4, 14)
            >>> print(f"{table['low'][0]:.5f} {table['high'][0]:.5f}")
            0.10070 0.34623
        """
        y, n, labels = (np.atleast_1d(values) for values in (successes, trials, label))
        if len(labels) not in (1, len(y)) or not len(y):
            raise DataError(
                "new units: expected one or more, with a label for each or one for all, "
                f"found {len(y)} with {len(labels)} labels"
            )
        labels = np.broadcast_to(labels, y.shape).astype(str)
        y, n = checked_pairs(y, n, Source("new units", lambda i: f"new unit {str(labels[i])!r}"))
        given = {"label": labels, "successes": y, "trials": n}
        raw_rate = np.divide(y, n, out=np.full(len(n), np.nan), where=n > 0)
        return Table({**given, "raw_rate": raw_rate, **self._answer(y, n, level, interval)})

    def predictive(
        self, new_trials: int, successes: int = 0, trials: int = 0
    ) -> Float[np.ndarray, "outcomes"]:
        """Probabilities of 0, 1, ... successes in the next trials of a unit.

        Args:
            new_trials: Number of next trials.
            successes: The unit's successes so far.
            trials: Its trials so far; 0 for a unit without data.

        Returns:
            One probability for each number of successes from 0 to `new_trials`.

        Raises:
            DataError: If the counts break a rule.
            InferenceError: If the method failed.
        """
        y, n = (values[0] for values in checked_pairs([successes], [trials], _THE_UNIT))
        size = int(whole_numbers([new_trials], "new trials", _THE_UNIT)[0])
        with self._x64():
            values = (np.arange(size + 1), size, y, n)
            logs = units.log_predictive(
                self.model.family,
                jax.tree.map(jnp.asarray, self.posterior),
                *(jnp.asarray(value, self.dtype) for value in values),
            )
            return np.exp(np.asarray(logs))

    def unit_density(
        self, successes: int, trials: int, rates: Float[np.ndarray, "points"]
    ) -> Float[np.ndarray, "points"]:
        """Posterior density of a unit's rate; with no trials, the population's.

        Args:
            successes: y.
            trials: n.
            rates: Where, strictly between 0 and 1.

        Returns:
            Density with respect to the rate.

        Raises:
            InferenceError: Under complete pooling, where the rate has no density.
            DataError: If the counts break a rule, or a rate is not strictly between 0 and 1.
        """
        y, n = (values[0] for values in checked_pairs([successes], [trials], _THE_UNIT))
        outside = np.asarray(rates)[~((np.asarray(rates) > 0) & (np.asarray(rates) < 1))]
        if outside.size:
            raise DataError(
                f"rates: expected numbers strictly between 0 and 1, found {outside.flat[0]}"
            )
        if self._units.is_pooled:
            raise InferenceError(f"{self.method.name}: complete pooling, rates have no density")
        with self._x64():
            return self._units.density(int(y), int(n), np.asarray(rates))
