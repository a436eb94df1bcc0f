"""Regions of a map from files of GeoJSON or TopoJSON: polygons by the region's name."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from hierjax.errors import DataError, did_you_mean

__all__ = ["Regions", "matched", "read_regions"]

Ring = Float[np.ndarray, "_ 2"]
_POLYGONS = ("Polygon", "MultiPolygon")


@dataclass(frozen=True)
class Regions:
    """Outlines of regions.

    Attributes:
        names: What each region is called; no two are the same.
        rings: The closed lines around each region and around its holes.
    """

    names: tuple[str, ...]
    rings: tuple[tuple[Ring, ...], ...]

    def __len__(self) -> int:
        """Number of regions."""
        return len(self.names)


def read_regions(path: str | Path, name: str | None = None, *, downward: bool = False) -> Regions:
    """Reads the polygons of a GeoJSON FeatureCollection or a TopoJSON Topology.

    Of a topology's objects the one with the most polygons is taken: of a nation, its states and
    its counties, the counties. An arc's positions are steps of whole numbers where there is a
    transform, and the arc ~i is arc i backwards (the TopoJSON format specification, sections 2.1.2
    to 2.1.4).

    Args:
        path: The file.
        name: The property that names a region; by default its ``id``.
        downward: Whether the second coordinate grows downwards, as in files that are projected to
            a screen; it is turned round.

    Returns:
        The regions that have polygons; several features of one name are one region.

    Raises:
        DataError: If the file cannot be read, or is neither, or a region has no such name.

    Example:
        >>> import tempfile
        >>> square = [[[0, 0], [1, 0], [1, 1], [0, 0]]]
        >>> shape = {"type": "Polygon", "coordinates": square}
        >>> feature = {"type": "Feature", "id": "06", "properties": {}, "geometry": shape}
        >>> path = Path(tempfile.mkdtemp()) / "one.json"
        >>> given = {"type": "FeatureCollection", "features": [feature]}
        >>> _ = path.write_text(json.dumps(given))
        >>> read_regions(path).names
        ('06',)
    """
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, found {error}") from None
    kind = given.get("type") if isinstance(given, dict) else None
    found: dict[str, list[Ring]] = {}
    try:
        if kind == "FeatureCollection":
            features: Iterator[tuple[Any, Iterator[Ring]]] = _of_geojson(given)
        elif kind == "Topology":
            features = _of_topology(given)
        else:
            raise DataError(
                f"{path}: expected a FeatureCollection (GeoJSON) or a Topology (TopoJSON), "
                f"found type {kind!r}"
            )
        for index, (feature, rings) in enumerate(features):
            found.setdefault(_name(feature, name, f"{path}, feature {index}"), []).extend(rings)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: expected a whole {kind}, found it broken ({error!r})") from None
    if not found:
        raise DataError(f"{path}: expected polygons, found none")
    turn = np.array([1.0, -1.0 if downward else 1.0])
    return Regions(tuple(found), tuple(tuple(ring * turn for ring in x) for x in found.values()))


def _name(feature: Mapping[str, Any], name: str | None, place: str) -> str:
    """What a feature is called."""
    given = feature if name is None else feature.get("properties") or {}
    key = name or "id"
    value = given.get(key)
    if value is None or isinstance(value, dict | list | bool):
        known = list(feature.get("properties") or {})
        near = did_you_mean(key, known)
        have = f"; its properties are {', '.join(known)}" if known and not near else near
        what = "an id" if name is None else f"a property {name!r}"
        raise DataError(f"{place}: expected {what} that names the region, found none{have}")
    return str(value)


def _of_geojson(given: Mapping[str, Any]) -> Iterator[tuple[Any, Iterator[Ring]]]:
    for feature in given["features"]:
        shape = feature.get("geometry")
        if shape is not None and shape["type"] in _POLYGONS:
            polygons = shape["coordinates"]
            polygons = [polygons] if shape["type"] == "Polygon" else polygons
            rings = (_ring(line) for polygon in polygons for line in polygon)
            yield feature, rings


def _ring(line: Sequence[Any]) -> Ring:
    """Positions without what they may hold beyond two coordinates."""
    ring = np.array([position[:2] for position in line], np.float64)
    if ring.ndim != 2 or ring.shape[1] != 2 or not np.isfinite(ring).all():
        raise ValueError("positions of two finite numbers")
    return ring


def _of_topology(given: Mapping[str, Any]) -> Iterator[tuple[Any, Iterator[Ring]]]:
    transform = given.get("transform")
    arcs = [_arc(arc, transform) for arc in given["arcs"]]
    for shape in _shapes(given):
        polygons = [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]
        rings = (_joined(line, arcs) for polygon in polygons for line in polygon)
        yield shape, rings


def _shapes(given: Mapping[str, Any]) -> list[Any]:
    """Polygons of the object with the most of them: of counties, states and a nation counties."""
    groups = [
        [each for each in _flat(found) if each.get("type") in _POLYGONS]
        for found in given["objects"].values()
    ]
    return max(groups, key=len, default=[])


def _flat(shape: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if shape.get("type") == "GeometryCollection":
        for each in shape["geometries"]:
            yield from _flat(each)
    else:
        yield shape


def _arc(arc: Sequence[Any], transform: Mapping[str, Any] | None) -> Ring:
    positions = _ring(arc)
    if transform is None:
        return positions
    steps = np.cumsum(positions, axis=0)
    return steps * np.array(transform["scale"], float) + np.array(transform["translate"], float)


def _joined(line: Sequence[int], arcs: Sequence[Ring]) -> Ring:
    """Arcs one after the other, of which each begins where the last one ends."""
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in line]
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def matched(regions: Regions, labels: Sequence[str], place: str) -> tuple[list[int], int]:
    """The region of every unit.

    Codes that are whole numbers are the same with and without zeros in front, as tables lose them.

    Args:
        regions: Regions.
        labels: Labels of units.
        place: What errors call the file of regions.

    Returns:
        For every unit the position of its region, or -1; and how many units have none.

    Raises:
        DataError: If no unit has a region.
    """
    at = {_code(name): position for position, name in enumerate(regions.names)}
    found = [at.get(_code(str(label)), -1) for label in labels]
    missing = sum(position < 0 for position in found)
    if missing == len(found):
        raise DataError(
            f"{place}: expected regions called as the units are, as {str(labels[0])!r}, found "
            f"none of these; regions are called {regions.names[0]!r} and so on"
        )
    return found, missing


def _code(name: str) -> str:
    return name.lstrip("0") or "0" if name.isdecimal() else name
