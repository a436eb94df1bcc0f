"""Simulation-based calibration: true values must have uniform ranks among posterior draws.

If the true values are drawn from the hyperprior and the data from them, then the rank of each true
value among independent draws from its posterior is uniform (Talts, Betancourt, Simpson, Vehtari &
Gelman 2018, arXiv:1804.06788, theorem 1). A method whose ranks are not uniform draws from something
else: true values pile up at both ends where its posteriors are too narrow, in the middle where they
are too wide, and at one end where they are shifted.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Shaped

from hierjax.batch.data_sets import DataSets
from hierjax.errors import ConfigError, DataError
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.inference import Method
from hierjax.studies.ranks import LEVEL, Calibration, Verdict, holm
from hierjax.studies.simulation import Simulated

__all__ = ["LEVEL", "PARAMETERS", "Calibration", "Verdict", "calibration", "holm", "ranks"]

_REPORTED = BetaBinomial.hyperparameters
#: Hyperparameters whose ranks are taken, before those of rates: others are monotone in them.
PARAMETERS = tuple(parameter.name for parameter in _REPORTED.along)
_COUNTS = ("successes", "trials", "sizes")
# Spreads what is tied evenly over data sets.
_GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)


@runtime_checkable
class Drawn(Protocol):
    """Fits of the first of these data sets, with draws of each."""

    @property
    def data_sets(self) -> DataSets:
        """The counts."""

    @property
    def method(self) -> Method:
        """Settings of the method."""

    @property
    def status(self) -> Shaped[np.ndarray, "batch"]:
        """How far each data set's draws may be trusted."""

    @property
    def ess(self) -> Float[np.ndarray, "batch 2"]:
        """Effective sample sizes of the coordinates; NaN where draws are independent."""

    @property
    def draws(self) -> Float[np.ndarray, "batch draws 2"] | None:
        """Draws of the working coordinates."""

    @property
    def rate_draws(self) -> Float[np.ndarray, "batch draws rates"] | None:
        """Draws of chosen units' rates."""


def calibration(
    simulated: Simulated, fits: Drawn, rates: Sequence[int] = (), name: str | None = None
) -> Calibration:
    """Ranks the true values of simulated data sets among their fits' draws.

    Draws of a sampler should be nearly independent: ask for no more than a few for every ten that
    are effective.

    Args:
        simulated: Data sets of which the hyperparameters came from the model's own hyperprior.
        fits: Fits of all of them, or of the first, with draws.
        rates: Units of which rates were drawn too, by position, in the order of `rate_draws`.
        name: What to call the method; by default its own name.

    Returns:
        Ranks of logit_mean, log_concentration, alpha, beta and the rates.

    Raises:
        ConfigError: If the fits have no draws, or not of these rates, or a unit is not in every
            data set.
        DataError: If the fits are of other data sets.

    Example:
        >>> from types import SimpleNamespace
        >>> generator = np.random.default_rng(1)
        >>> data = DataSets(np.zeros((400, 1), int), np.zeros((400, 1), int))
        >>> truth, draws = generator.normal(size=(400, 2)), generator.normal(size=(400, 19, 2))
        >>> simulated = Simulated(data, np.full((400, 1), 0.5), truth)
        >>> known = {"status": np.full(400, "converged"), "ess": np.full((400, 2), np.nan)}
        >>> fits = SimpleNamespace(
        ...     data_sets=data, method=None, draws=draws, rate_draws=None, **known
        ... )
        >>> found = calibration(simulated, fits, name="the prior itself")
        >>> found.verdict().value, found.p_values()["failed"].tolist()
        ('passed', [0, 0, 0, 0])
    """
    draws, size = fits.draws, len(fits.status)
    if draws is None:
        raise ConfigError("fits: expected draws of the hyperparameters, found none")
    _require_same(simulated.data_sets, fits.data_sets)
    values = dict(zip(PARAMETERS, _hyperparameters(draws), strict=True))
    truths = dict(zip(PARAMETERS, _hyperparameters(simulated.coordinates[:size]), strict=True))
    if rates:
        drawn = _require_rates(simulated.data_sets, fits.rate_draws, rates)
        for place, unit in enumerate(rates):
            values[f"rate {unit}"] = drawn[..., place]
            truths[f"rate {unit}"] = simulated.rates[:size, unit]
    found = [ranks(truth, values[parameter]) for parameter, truth in truths.items()]
    return Calibration(
        name or fits.method.name,
        tuple(truths),
        np.stack(found, axis=1),
        draws.shape[1],
        np.asarray(fits.status),
        np.fmin(*fits.ess.T),
    )


def ranks(
    truth: Float[np.ndarray, "batch"], draws: Float[np.ndarray, "batch draws"]
) -> Int[np.ndarray, "batch"]:
    """How many draws lie below the true value.

    Where draws equal it, as rates that round to zero may, the ranks that would do are shared out
    evenly over data sets, without regard to anything but a data set's position.

    Args:
        truth: True values.
        draws: Draws from each data set's posterior.

    Returns:
        Ranks from 0 to the number of draws; -1 where there are no draws, which are then NaN.

    Example:
        >>> ranks(np.array([0.5, 2.0, 0.0]), np.array([[0.1, 0.9], [0.1, 0.9], [np.nan, np.nan]]))
        array([ 1,  2, -1])
    """
    below = np.sum(draws < truth[:, None], axis=1)
    equal = np.sum(draws == truth[:, None], axis=1)
    share = np.arange(1, len(truth) + 1) * _GOLDEN % 1.0
    missing = np.isnan(truth) | np.isnan(draws).any(axis=1)
    return np.where(missing, -1, below + (share * (equal + 1)).astype(int))


def _hyperparameters(
    points: Float[np.ndarray, "*batch 2"],
) -> tuple[Float[np.ndarray, "*batch"], ...]:
    """What `PARAMETERS` are, but for logarithms, which leave ranks as they are."""
    with np.errstate(invalid="ignore"):
        return tuple(_REPORTED.on_line(points))


def _require_same(simulated: DataSets, fitted: DataSets) -> None:
    size, shape = len(fitted), fitted.successes.shape[1]
    same = len(simulated) >= size and simulated.successes.shape[1] == shape
    pairs = ((getattr(each, name) for each in (simulated, fitted)) for name in _COUNTS)
    if not same or not all(np.array_equal(ours[:size], theirs) for ours, theirs in pairs):
        raise DataError(
            f"fits: expected fits of the first of {len(simulated)} simulated data sets, "
            f"found {size} of others"
        )


def _require_rates(
    data_sets: DataSets, drawn: Float[np.ndarray, "batch draws rates"] | None, rates: Sequence[int]
) -> Float[np.ndarray, "batch draws rates"]:
    smallest = int(data_sets.sizes.min())
    if wrong := [unit for unit in rates if not 0 <= unit < smallest]:
        raise ConfigError(
            f"rates: expected positions of units that every data set has, 0 to {smallest - 1}, "
            f"found {wrong[0]}"
        )
    if drawn is None or drawn.shape[2] != len(rates):
        found = 0 if drawn is None else drawn.shape[2]
        raise ConfigError(f"rates: expected draws of {len(rates)} units' rates, found {found}")
    return drawn
