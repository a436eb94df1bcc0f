"""Estimates: what a fit says of units, seen or new, under equal-tailed or shortest intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hierjax import units
from hierjax.asked import among, probability
from hierjax.entries import ArrayLike, Number, Source
from hierjax.errors import ConfigError, DataError, InferenceError
from hierjax.fitted import Fitted
from hierjax.frames import attach
from hierjax.given_units import checked_size, checked_units, given, one_unit
from hierjax.table import Table
from hierjax.units.prediction import most_events

__all__ = ["Estimates"]

_INTERVALS = ("equal_tailed", "highest_density")
# What events of one unit leave out, if there is no largest number, and most of them enumerated.
_TAIL, _MOST_EVENTS = 1e-9, 10_000_000


class Estimates(Fitted):
    """Questions about units' rates or effects, asked of a fit."""

    def _answer(
        self, values: np.ndarray, sizes: np.ndarray, level: float, interval: str
    ) -> dict[str, np.ndarray]:
        """Moments and intervals of units."""
        interval = among("interval", interval, _INTERVALS)
        level = probability("level", level)
        moments = self._units.moments(values, sizes)
        shrinkage = moments.pop("shrinkage")
        highest = interval == "highest_density"
        ends = self._units.intervals(values, sizes, level, highest)
        return {**moments, **ends, "shrinkage": shrinkage}

    def units(self, level: float = 0.9, interval: str = "equal_tailed") -> Any:
        """Posterior of every unit's rate or effect, in the user's own table where there is one.

        Args:
            level: Probability of the interval from `low` to `high`.
            interval: `equal_tailed`, or `highest_density` for the shortest.

        Returns:
            The table of `unit_table`; of data that came from a data frame, a frame of the same
            kind with the user's columns, then raw_rate, mean, sd, low, median, high, shrinkage.
            An answer whose name is a user's column's already has ``_fit`` at its end.

        Raises:
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1).
            DataError: If the frame no longer holds the data that were fitted.

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
        answers = {name: table[name] for name in table if name not in self._counted}
        values, sizes = counts.pair
        return attach(counts.frame, values, sizes, answers)

    def unit_table(self, level: float = 0.9, interval: str = "equal_tailed") -> Table:
        """Posterior of every unit's rate or effect, beside its data.

        Args:
            level: Probability of the interval from `low` to `high`.
            interval: `equal_tailed`, or `highest_density` for the shortest.

        Returns:
            One row a unit: label, successes, trials (or events, exposures; values, errors),
            raw_rate (of measurements the value itself), mean, sd, low, median, high, shrinkage.
            Shrinkage is the posterior mean of kappa / (kappa + n), the weight of the population's
            mean in the unit's; n is the unit's size, of measurements 1 / error^2.

        Raises:
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1), or there is no such interval.
        """
        counts = self.counts
        values, sizes = counts.pair
        answer = self._answer(values, sizes, level, interval)
        return Table({**self._counted, "raw_rate": counts.raw, **answer})

    def predict(
        self,
        successes: ArrayLike | None = None,
        trials: ArrayLike | None = None,
        level: float = 0.9,
        label: str | Sequence[str] = "new unit",
        interval: str = "equal_tailed",
        **columns: ArrayLike,
    ) -> Table:
        """Posterior of the rate or effect of units that were not in the data.

        Their data inform their own parameters, not the hyperparameters.

        Args:
            successes: y of each new unit: successes, events or values.
            trials: Its size: trials, exposures or errors. That of a unit without data, whose
                posterior is the population's, is 0 (of an error: infinite).
            level: Probability of the central interval.
            label: What to call them.
            interval: As for `units`.
            columns: The first two by their family's names, as in `events=4, exposures=2.5`.

        Returns:
            One row a new unit, with the columns of `units`.

        Raises:
            DataError: If the data break a rule, or labels are neither one nor one for each.
            InferenceError: If the method failed.
            ConfigError: If the level is not inside (0, 1), or there is no such interval or column.

        Example:
            >>> import hierjax as hj
            >>> table = hj.fit(hj.datasets.rat_tumors()).predict(4, 14)
            >>> print(f"{table['low'][0]:.5f} {table['high'][0]:.5f}")
            0.10070 0.34623
        """
        family = self.model.family
        pair = given(family.columns, (successes, trials), columns)
        if any(column is None for column in pair):
            raise ConfigError(f"predict: expected {' and '.join(family.columns)} of new units")
        y, n, labels = (np.atleast_1d(values) for values in (*pair, label))
        if len(labels) not in (1, len(y)) or not len(y):
            raise DataError(
                "new units: expected one or more, with a label for each or one for all, "
                f"found {len(y)} with {len(labels)} labels"
            )
        labels = np.broadcast_to(labels, y.shape).astype(str)
        y, n = checked_units(
            family, y, n, Source("new units", lambda i: f"new unit {str(labels[i])!r}")
        )
        own = {"label": labels, **dict(zip(family.columns, (y, n), strict=True))}
        raw = family.on_host.raw(y, n)
        return Table({**own, "raw_rate": raw, **self._answer(y, n, level, interval)})

    def predictive(
        self,
        new_trials: Number | None = None,
        successes: Number | None = None,
        trials: Number | None = None,
        *,
        tail: float = _TAIL,
        **columns: Number,
    ) -> Float[np.ndarray, "outcomes"]:
        """Probabilities of 0, 1, ... successes or events in the next trials of a unit.

        Args:
            new_trials: Number of next trials, or next exposure.
            successes: The unit's successes or events so far.
            trials: Its trials or exposure so far; by default it has no data.
            tail: The most probability that is left out beyond the last number of events, which
                has no largest; of successes nothing is.
            columns: The first three by their family's names, as in `new_exposures=2.5`.

        Returns:
            One probability for each number of successes from 0 to `new_trials`, or of events from
            0 on.

        Raises:
            DataError: If the counts break a rule.
            ConfigError: If measurements are predicted, which `predictive_density` does, or there
                are too many numbers of events, or no such column.
            InferenceError: If the method failed.
        """
        family = self.model.family
        if family.support == "reals":
            raise ConfigError(
                "predictive: expected outcomes that can be counted, found measurements; use "
                "predictive_density or predictions"
            )
        size, y, n = self._next(new_trials, successes, trials, columns)
        most = int(size)
        if family.support == "counts":
            most = most_events(self._units, (float(y), float(n)), size, probability("tail", tail))
        if most > _MOST_EVENTS:
            raise ConfigError(
                f"predictive: expected at most {_MOST_EVENTS:,} outcomes, found {most:,}; use "
                "predictive_density"
            )
        return self._predictive(np.arange(most + 1), size, y, n)

    def predictive_density(
        self,
        outcomes: ArrayLike,
        new_trials: Number | None = None,
        successes: Number | None = None,
        trials: Number | None = None,
        **columns: Number,
    ) -> Float[np.ndarray, "outcomes"]:
        """Density of a unit's next value, at any values; of counts, their probabilities.

        Args:
            outcomes: Values: measurements, or numbers of successes or events.
            new_trials: Size of the next value: number of trials, exposure or error.
            successes: The unit's value so far.
            trials: Its size so far; by default it has no data.
            columns: All but the first by their family's names, as in `new_errors=10`.

        Returns:
            One density, or probability, for each outcome.

        Raises:
            DataError: If the data break a rule, or an outcome is none.
            ConfigError: If there is no such column.
            InferenceError: If the method failed.

        Example:
            >>> import hierjax as hj
            >>> fit = hj.fit(hj.datasets.rat_tumors())
            >>> print(f"{fit.predictive_density([4], 14)[0]:.4f}")
            0.0877
        """
        size, y, n = self._next(new_trials, successes, trials, columns)
        asked = np.atleast_1d(np.asarray(outcomes, np.float64))
        least, most = self.model.family.on_host.outcomes_within(float(size))
        wrong = asked[~((asked >= least) & (asked <= most))]
        if self.model.family.support != "reals":
            wrong = np.append(wrong, asked[asked != np.floor(asked)])
        if wrong.size:
            kind = "number" if self.model.family.support == "reals" else "whole number"
            raise DataError(
                f"outcomes: expected a {kind} from {least:g} to {most:g}, found {wrong[0]:g}"
            )
        return self._predictive(asked, size, y, n)

    def _next(
        self, new_size: Any, value: Any, size: Any, named: Mapping[str, Any]
    ) -> tuple[Number, Any, Any]:
        """Size of a unit's next value, and what it has so far, by position or by name."""
        columns = self.model.family.columns
        name = f"new_{columns[1]}"
        (following,) = given((name,), (new_size,), {k: v for k, v in named.items() if k == name})
        if following is None:
            raise ConfigError(f"{name}: expected the size of the next value, found none")
        rest = {k: v for k, v in named.items() if k != name}
        y, n = one_unit(self.model.family, value, size, rest)
        words = name.replace("_", " ")
        return checked_size(self.model.family, words, following), y, n

    def _predictive(
        self, outcomes: np.ndarray, size: Number, y: Any, n: Any
    ) -> Float[np.ndarray, "outcomes"]:
        with self._x64():
            logs = units.log_predictive(
                self.model.family,
                jax.tree.map(jnp.asarray, self.posterior),
                *(jnp.asarray(value, self.dtype) for value in (outcomes, size, y, n)),
            )
            return np.exp(np.asarray(logs))

    def unit_density(
        self, successes: Number, trials: Number, rates: Float[np.ndarray, "points"]
    ) -> Float[np.ndarray, "points"]:
        """Posterior density of a unit's rate or effect; without data, the population's.

        Args:
            successes: y: successes, events or a value.
            trials: Its size: trials, an exposure or an error.
            rates: Where, strictly between the parameter's limits (of a rate of successes: 0 and 1).

        Returns:
            Density with respect to the rate or effect.

        Raises:
            InferenceError: Under complete pooling, where there is no density.
            DataError: If the data break a rule, or a rate is beyond the limits.
        """
        y, n = one_unit(self.model.family, successes, trials, {})
        least, most = self.model.family.limits
        outside = np.asarray(rates)[~((np.asarray(rates) > least) & (np.asarray(rates) < most))]
        if outside.size:
            raise DataError(
                f"rates: expected numbers strictly between {least:g} and {most:g}, "
                f"found {outside.flat[0]}"
            )
        if self._units.is_pooled:
            raise InferenceError(f"{self.method.name}: complete pooling, rates have no density")
        with self._x64():
            return self._units.density(y.item(), n.item(), np.asarray(rates))
