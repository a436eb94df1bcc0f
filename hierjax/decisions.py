"""What a fit answers to questions that end in a decision: lists, ranks, contrasts, predictions."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int, Key, Shaped

from hierjax.asked import among, inside, probability, unit_position, whole_number
from hierjax.entries import Number
from hierjax.errors import ConfigError, InferenceError
from hierjax.fitted import Fitted
from hierjax.given_units import checked_size, given, one_unit
from hierjax.inference.result import Progress
from hierjax.keys import require_key
from hierjax.table import Table
from hierjax.tally import distinct_pairs
from hierjax.units.contrasts import contrasts
from hierjax.units.exceedance import above_population_mean, q_values
from hierjax.units.prediction import draw_values, predict_values
from hierjax.units.ranks import draw_ranks, integrate_ranks

__all__ = ["Decisions"]

# Contrasts of all pairs grow with the square of the units.
_MOST_PAIRS = 100_000


class Decisions(Fitted):
    """Questions about units, asked of a fit."""

    def exceedance(self, threshold: float, fdr: float = 0.05, direction: str = "above") -> Table:
        r"""Which units are above (or below) a threshold, and which of them to list.

        The posterior error probability (pep) of a unit is the probability that it does not belong
        on the list, the q-value the expected share of false discoveries among the units at least
        as sure, :math:`q_j = mean(pep_i : pep_i \le pep_j)`; the list holds all units with a
        q-value of at most `fdr` (Newton et al. 2004, sec. 4).

        Args:
            threshold: Rate or effect, strictly between its limits.
            fdr: Expected share of false discoveries allowed on the list.
            direction: Whether rates `above` or `below` the threshold are discoveries.

        Returns:
            One row a unit: label, successes, trials, threshold, probability_above, pep, q_value,
            selected.

        Raises:
            ConfigError: If the threshold is beyond the limits, `fdr` is not inside (0, 1), or
                there is no such direction.
            InferenceError: If the method failed.

        Example:
            >>> import hierjax as hj
            >>> table = hj.fit(hj.datasets.rat_tumors()).exceedance(0.2, fdr=0.1)
            >>> [str(label) for label in table["label"][table["selected"]]]
            ['67', '68', '69', '70']
        """
        threshold = inside("threshold", threshold, self.model.family.limits)
        fdr = probability("fdr", fdr)
        direction = among("direction", direction, ("above", "below"))
        below = self._units.below(*self._pairs, np.array([threshold]))[:, 0].astype(float)
        pep = below if direction == "above" else 1 - below
        q = q_values(pep)
        answers = {"probability_above": 1 - below, "pep": pep, "q_value": q, "selected": q <= fdr}
        return self._table({"threshold": np.full(len(pep), threshold), **answers})

    def sign_rates(self, reference: Number | None = None) -> Table:
        r"""How sure it is on which side of a reference each unit is.

        The local false sign rate is the smaller of the probabilities of both sides, the chance of
        naming the wrong one; the s-value is its average over the units at least as sure (Stephens
        2017, "False discovery rates: a new deal", eq. 6 and sec. 2.4).

        Args:
            reference: Rate or effect, strictly between its limits; by default the population's
                mean, whose own uncertainty then counts.

        Returns:
            One row a unit: label, successes, trials, reference, probability_above,
            local_false_sign_rate, s_value. Without a `reference` that column is the posterior
            mean of the population's mean.

        Raises:
            ConfigError: If the reference is beyond the limits.
            InferenceError: If the method failed, or pooling is complete and there are no sides.
        """
        y, n = self._pairs
        if reference is None:
            self._require_spread("which side of the population's mean they are on")
            pairs, inverse = distinct_pairs(y, n)
            family, mixture = self.model.family, self._units.mixture
            above = above_population_mean(family, mixture, *pairs.astype(float))[inverse]
            posterior = self._units.posterior
            kept = posterior.weights > 0
            means = family.on_host.parameter_at(np.asarray(posterior.points[kept][:, 0], float))
            value = float(np.sum(posterior.weights[kept] * means))
        else:
            value = inside("reference", reference, self.model.family.limits)
            above = 1 - self._units.below(y, n, np.array([value]))[:, 0].astype(float)
        lfsr = np.minimum(above, 1 - above)
        columns = {"probability_above": above, "local_false_sign_rate": lfsr}
        return self._table(
            {"reference": np.full(len(above), value), **columns, "s_value": q_values(lfsr)}
        )

    def ranks(
        self,
        top: int = 10,
        *,
        key: Key[Array, ""],
        draws: int = 4000,
        level: float = 0.9,
        progress: Progress | None = None,
    ) -> Table:
        """Where each unit stands among all: rank 1 is the highest rate or effect.

        Expected ranks and the probabilities of being best are integrals wherever a lattice can
        hold all units, rank intervals and the probabilities of being among the `top` come from
        joint draws, with their Monte Carlo standard error.

        Args:
            top: k of the top k.
            key: Typed random key.
            draws: Number of joint draws.
            level: Probability of the rank intervals.
            progress: Called with the number of draws made and their total.

        Returns:
            One row a unit: label, successes, trials, expected_rank, low, high, p_best, p_top_k,
            p_top_k_mcse, in_top_k. The `top` units likeliest to be among the top k are marked; the
            sum of their p_top_k is the expected number of true members.

        Raises:
            TypeError: If the key is not a single typed key.
            ConfigError: If `top` is not between 1 and the number of units, or the draws or the
                level are out of range.
            InferenceError: If the method failed, or pooling is complete and all are equal.
        """
        key, level = require_key(key), probability("level", level)
        y, n = self._pairs
        top = whole_number("top", top, most=len(y))
        ranks = self.rank_draws(key=key, draws=draws, progress=progress)
        pairs, inverse = distinct_pairs(y, n)
        multiplicity = np.bincount(inverse).astype(float)
        mixture = self._units.coarse_mixture
        exact = integrate_ranks(self.model.family, mixture, pairs.astype(float), multiplicity)
        expected = ranks.mean(axis=0) if exact is None else exact.expected_rank[inverse]
        best = (ranks == 1).mean(axis=0) if exact is None else exact.best[inverse]
        inside = (ranks <= top).mean(axis=0)
        low, high = np.quantile(
            ranks, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf"
        )
        chosen = np.zeros(len(y), bool)
        chosen[np.lexsort((expected, -inside))[:top]] = True
        return self._table(
            {
                "expected_rank": expected,
                "low": low.astype(int),
                "high": high.astype(int),
                "p_best": best,
                "p_top_k": inside,
                "p_top_k_mcse": np.sqrt(inside * (1 - inside) / draws),
                "in_top_k": chosen,
            }
        )

    def rank_draws(
        self, *, key: Key[Array, ""], draws: int = 4000, progress: Progress | None = None
    ) -> Int[np.ndarray, "draws units"]:
        """Ranks of all units in joint draws of their rates or effects.

        Args:
            key: Typed random key.
            draws: Number of joint draws.
            progress: Called with the number of draws made and their total.

        Returns:
            Ranks from 1, the highest, in every draw.

        Raises:
            TypeError: If the key is not a single typed key.
            ConfigError: If there are no draws.
            InferenceError: If the method failed, or pooling is complete and all are equal.
        """
        key = require_key(key)
        self._require_spread("their ranks")
        y, n = (values.astype(float) for values in self._pairs)
        mixture = self._units.coarse_mixture
        draws = whole_number("draws", draws)
        return draw_ranks(self.model.family, mixture, y, n, key, draws, progress)

    def rank_probabilities(
        self, *, key: Key[Array, ""], draws: int = 4000
    ) -> Float[np.ndarray, "units ranks"]:
        """Probability of every rank for every unit, from joint draws; for a heat map.

        Args:
            key: Typed random key.
            draws: Number of joint draws.

        Returns:
            Rows are units, columns ranks from 1, the highest.

        Raises:
            TypeError: If the key is not a single typed key.
            ConfigError: If there are no draws.
            InferenceError: If the method failed, or pooling is complete and all are equal.
        """
        ranks = self.rank_draws(key=key, draws=draws) - 1
        size = ranks.shape[1]
        cells = (np.arange(size) * size + ranks).ravel()
        return np.bincount(cells, minlength=size * size).reshape(size, size) / draws

    def contrasts(
        self,
        control: str | None = None,
        level: float = 0.9,
        *,
        progress: Progress | None = None,
    ) -> Table:
        """Every unit against a control, or all pairs of units.

        Under the shared hyperparameters, whose uncertainty counts: units are independent only
        given them.

        Args:
            control: Label of the unit to compare with; by default every pair is compared.
            level: Probability of the equal-tailed intervals.
            progress: Called with the number of distinct comparisons made and their total.

        Returns:
            One row a comparison: label, control, p_greater (of the first's), difference_mean,
            difference_low, difference_high, ratio_low, ratio_high (first over control; not of
            measurements, whose effects may have either sign), and expected_loss: what choosing the
            first is expected to cost in rate or effect.

        Raises:
            DataError: If the control is not one unit's label.
            ConfigError: If there are too many pairs, or the level is not inside (0, 1).
            InferenceError: If the method failed, or pooling is complete and all are equal.

        Example:
            >>> import hierjax as hj
            >>> table = hj.fit(hj.datasets.rat_tumors()).contrasts(control="1")
            >>> print(f"{table['p_greater'][-1]:.3f} {table['ratio_low'][-1]:.2f}")
            0.996 1.70
        """
        level, labels = probability("level", level), self.counts.labels
        self._require_spread("how they differ")
        if control is None:
            count = len(labels) * (len(labels) - 1) // 2
            if count > _MOST_PAIRS:
                raise ConfigError(
                    f"contrasts: expected at most {_MOST_PAIRS:,} pairs, found {count:,} of "
                    f"{len(labels):,} units; name a control"
                )
            first, second = np.triu_indices(len(labels), 1)
        else:
            at = unit_position("control", labels, control)
            first = np.delete(np.arange(len(labels)), at)
            second = np.full(len(first), at)
        y, n = (values.astype(float) for values in self._pairs)
        asked = np.stack([y[first], n[first], y[second], n[second]])
        distinct, inverse = np.unique(asked, axis=1, return_inverse=True)
        family, mixture = self.model.family, self._units.coarse_mixture
        found = contrasts(family, mixture, distinct[:2], distinct[2:], level, progress)
        columns = {
            name: values[inverse.ravel()]
            for name, values in found._asdict().items()
            if family.on_host.has_ratios or not name.startswith("ratio")
        }
        return Table({"label": labels[first], "control": labels[second], **columns})

    def predictions(
        self, new_trials: Number | None = None, level: float = 0.9, **columns: Number
    ) -> Table:
        """How many successes or events each unit's next trials will have, or what is measured.

        Args:
            new_trials: Size of the next value of every unit: number of trials, exposure or error.
            level: Probability of the central interval.
            columns: The first by its family's name, as in `new_exposures=2.5`.

        Returns:
            One row a unit: label, successes, trials, new_trials (or as their family calls them),
            mean, sd, low, median, high of the next value.

        Raises:
            ConfigError: If there are no next trials, or the level is not inside (0, 1).
            DataError: If the next exposure or error is none.
            InferenceError: If the method failed.
        """
        level, name = probability("level", level), f"new_{self.model.family.columns[1]}"
        (size,) = given((name,), (new_trials,), columns)
        size = self._next_size(name, size)
        answers = predict_values(self._units, *self._pairs, size, level)
        return self._table({name: np.full(len(self.counts), size), **answers})

    def predictive_draws(
        self,
        new_trials: Number | None = None,
        *,
        key: Key[Array, ""],
        draws: int = 4000,
        successes: Number | None = None,
        trials: Number | None = None,
        **columns: Number,
    ) -> Shaped[np.ndarray, "draws"]:
        """Draws of a unit's next value, all uncertainty included.

        Args:
            new_trials: Size of the next value: number of trials, exposure or error.
            key: Typed random key.
            draws: Number of draws.
            successes: The unit's successes, events or value so far.
            trials: Their size so far; by default the unit has no data.
            columns: All of these by their family's names, as in `events=4`.

        Returns:
            Numbers of successes or events, or measurements.

        Raises:
            TypeError: If the key is not a single typed key.
            ConfigError: If a number is not whole, or out of its range.
            DataError: If the unit's data break a rule.
        """
        family = self.model.family
        name = f"new_{family.columns[1]}"
        names = (name, *family.columns)
        size, y, n = given(names, (new_trials, successes, trials), columns)
        if family.support == "counts_up_to_size":
            n = whole_number("trials", 0 if n is None else n, 0)
            y = whole_number("successes", 0 if y is None else y, 0, n)
        y, n = (x.item() for x in one_unit(family, y, n, {}))
        size, draws = self._next_size(name, size), whole_number("draws", draws)
        return draw_values(self._units, (y, n), size, require_key(key), draws)

    def _next_size(self, name: str, size: Any) -> Number:
        if self.model.family.support == "counts_up_to_size":
            return whole_number(name, size)
        return checked_size(self.model.family, name, size)

    @property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        return self.counts.pair

    def _table(self, columns: dict[str, Any]) -> Table:
        return Table({**self._counted, **columns})

    def _require_spread(self, question: str) -> None:
        if self._units.is_pooled:
            raise InferenceError(f"complete pooling: rates are all equal, not to ask {question}")
