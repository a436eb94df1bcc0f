"""A map of the units, from a file that the user has."""

from typing import TYPE_CHECKING

from pydantic import StrictBool

from hierjax.experiment.schema_base import Strict, Text
from hierjax.observations import Observations
from hierjax.regions import Regions, matched, read_regions

if TYPE_CHECKING:
    from hierjax.experiment.schema import Config

__all__ = ["MapConfig", "load_map"]


class MapConfig(Strict):
    """Outlines of the units, to draw them on a map."""

    path: Text
    """File of GeoJSON or TopoJSON; a relative path starts at the configuration."""
    id: Text | None = None
    """Property that names a region as units are labelled; by default its id."""
    downward: StrictBool = False
    """Whether the second coordinate grows downwards, as in files projected to a screen."""


def load_map(config: "Config", counts: Observations) -> tuple[Regions | None, tuple[str, ...]]:
    """The regions that a configuration names, if it does, and a warning if units have none.

    Raises:
        DataError: If the file is no map, or none of its regions is a unit's.
    """
    if config.map is None:
        return None, ()
    regions = read_regions(config.map.path, config.map.id, downward=config.map.downward)
    _, missing = matched(regions, counts.labels.tolist(), config.map.path)
    if not missing:
        return regions, ()
    text = f"{config.map.path}: expected a region for each unit, found {missing:,} units without"
    return regions, (text,)
