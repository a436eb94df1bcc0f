"""Which container of data is whose: one line a family."""

from hierjax.counts import Counts
from hierjax.measurements import Measurements
from hierjax.observations import Observations
from hierjax.poisson_events import Events

__all__ = ["CONTAINERS"]

CONTAINERS: dict[str, type[Observations]] = {
    container.family: container for container in (Counts, Events, Measurements)
}
