"""What is done to every data set of a batch, and what a data set is in compiled code."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float, Key

from hierjax.errors import ConfigError
from hierjax.inference import NUTS, CollapsedGibbs, Gibbs, Method, Moments, Quadrature, Type2MLE
from hierjax.tally import TallyArrays
from hierjax.units.row_mixture import NODES_OF_DRAWS, STRIPS, THREE

__all__ = ["AROUND_ESTIMATE", "SAMPLERS", "DataSetArrays", "Plan", "check_draws"]

SAMPLERS = (NUTS, Gibbs, CollapsedGibbs)
# Rows and columns of the product rule over a point estimate's error.
AROUND_ESTIMATE = 32, 8
# Nodes of a unit's density where data sets have few units, and otherwise.
_FINE, _COARSE = 128, 40


@dataclass(frozen=True)
class Plan:
    """Settings that compiled code is specialised to.

    Attributes:
        method: The method's settings.
        corrected: Whether a point estimate's error is carried into answers.
        rows: Rows of quadrature's lattice.
        columns: Its columns.
        few: Whether some data set has so few units that a row's posterior is far from normal.
        draws: Draws of the hyperparameters to keep.
    """

    method: Method
    corrected: bool = False
    rows: int = 0
    columns: int = 0
    few: bool = False
    draws: int = 0

    @property
    def components(self) -> int:
        """Distributions that a unit's posterior is a mixture of."""
        if isinstance(self.method, SAMPLERS):
            rows, columns = STRIPS, NODES_OF_DRAWS
        elif isinstance(self.method, Quadrature):
            rows, columns = self.rows or self.method.rows, self.columns or self.method.columns
        else:
            return AROUND_ESTIMATE[0] * AROUND_ESTIMATE[1] if self.corrected else 1
        return rows * (columns if self.few else THREE)

    @property
    def nodes(self) -> int:
        """Nodes of each unit's density."""
        return _FINE if self.few else _COARSE


class DataSetArrays(NamedTuple):
    """Data sets along a leading axis, or one of them where code is mapped over that axis.

    Attributes:
        tally: The units' tally.
        successes: y of every distinct pair.
        trials: n likewise; zero fills up.
        multiplicity: Units that have the pair.
        unit_successes: y of every unit, for samplers of rates; none for other methods.
        unit_trials: n likewise.
        present: One for what is a unit; zero for what fills up.
        rate_successes: y of the units whose rates are drawn.
        rate_trials: n likewise.
        key: Typed key of the data set.
    """

    tally: TallyArrays
    successes: Float[Any, "*batch pairs"]
    trials: Float[Any, "*batch pairs"]
    multiplicity: Float[Any, "*batch pairs"]
    unit_successes: Float[Any, "*batch units"]
    unit_trials: Float[Any, "*batch units"]
    present: Float[Any, "*batch units"]
    rate_successes: Float[Any, "*batch rates"]
    rate_trials: Float[Any, "*batch rates"]
    key: Key[Any, "*batch"]


def check_draws(method: Method, corrected: bool, draws: int) -> None:
    """Refuses draws that a method has not, and corrections of what is no point estimate.

    Args:
        method: The method's settings.
        corrected: Whether a point estimate's error is to be carried into answers.
        draws: Draws of each data set's hyperparameters to keep.

    Raises:
        ConfigError: If it cannot be done; the message says what can.
    """
    is_point = isinstance(method, (Moments, Type2MLE))
    if corrected and not is_point:
        raise ConfigError(
            "empirical_bayes: expected a point estimate, moments or type2_mle, to correct, "
            f"found {method.name}"
        )
    if draws and is_point and not corrected:
        raise ConfigError(
            f"draws: expected a method with a posterior, found {method.name}; with "
            "empirical_bayes='corrected' its estimate has an approximate distribution"
        )
    if isinstance(method, SAMPLERS) and draws > method.chains * method.draws:
        raise ConfigError(
            f"draws: expected at most {method.chains * method.draws} ({method.name}: "
            f"{method.chains} chains of {method.draws}), found {draws}"
        )
    if isinstance(method, Quadrature) and draws > _MOST_INDEPENDENT:
        raise ConfigError(f"draws: expected at most {_MOST_INDEPENDENT:,}, found {draws:,}")


_MOST_INDEPENDENT = 100_000
