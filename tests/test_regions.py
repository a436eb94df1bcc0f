"""Outlines from GeoJSON and TopoJSON: the same shapes from both, and clear errors."""

import json

import numpy as np
import pytest

from hierjax.errors import DataError
from hierjax.regions import Regions, matched, read_regions

# Two squares that share an edge, the second with a hole, and an island of the first.
LEFT = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]
RIGHT = [[2, 0], [4, 0], [4, 2], [2, 2], [2, 0]]
HOLE = [[2.5, 0.5], [2.5, 1.5], [3.5, 1.5], [3.5, 0.5], [2.5, 0.5]]
ISLAND = [[0, 3], [1, 3], [1, 4], [0, 3]]
GEOJSON = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": "01001",
            "properties": {"name": "left"},
            "geometry": {"type": "MultiPolygon", "coordinates": [[LEFT], [ISLAND]]},
        },
        {
            "type": "Feature",
            "id": "01003",
            "properties": {"name": "right"},
            "geometry": {"type": "Polygon", "coordinates": [RIGHT, HOLE]},
        },
        {"type": "Feature", "id": "9", "properties": {}, "geometry": None},
    ],
}


def steps(line):
    """Differences of positions in halves, as a topology stores them."""
    whole = (2 * np.array(line)).astype(int)
    return np.diff(whole, axis=0, prepend=[[0, 0]]).tolist()


# The shared edge, from (2, 0) to (2, 2), is arc 0: the right square has it backwards.
ARCS = [[[2, 0], [2, 2]], [[2, 2], [0, 2], [0, 0], [2, 0]], [[2, 0], [4, 0], [4, 2], [2, 2]]]
TOPOJSON = {
    "type": "Topology",
    "transform": {"scale": [0.5, 0.5], "translate": [0, 0]},
    "arcs": [steps(line) for line in (*ARCS, HOLE, ISLAND)],
    "objects": {
        "nation": {"type": "Polygon", "arcs": [[1, 2]]},
        "counties": {
            "type": "GeometryCollection",
            "geometries": [
                {
                    "type": "MultiPolygon",
                    "id": "01001",
                    "properties": {"name": "left"},
                    "arcs": [[[0, 1]], [[4]]],
                },
                {
                    "type": "Polygon",
                    "id": "01003",
                    "properties": {"name": "right"},
                    "arcs": [[2, -1], [3]],
                },
                {"type": None, "id": "9"},
            ],
        },
    },
}


def written(tmp_path, given):
    path = tmp_path / "map.json"
    path.write_text(given if isinstance(given, str) else json.dumps(given))
    return path


def corners(ring):
    """Positions of a closed ring from its lowest on, whichever way round it goes."""
    points = [tuple(point) for point in ring[:-1].tolist()]
    assert tuple(ring[-1]) == points[0]
    return set(points)


@pytest.mark.parametrize("given", [GEOJSON, TOPOJSON], ids=["geojson", "topojson"])
def test_both_formats_hold_the_same_shapes(tmp_path, given):
    regions = read_regions(written(tmp_path, given))
    assert regions.names == ("01001", "01003")
    wanted = ([LEFT, ISLAND], [RIGHT, HOLE])
    for rings, lines in zip(regions.rings, wanted, strict=True):
        assert [corners(ring) for ring in rings] == [corners(np.array(x, float)) for x in lines]
    by_name = read_regions(written(tmp_path, given), "name")
    assert by_name.names == ("left", "right")


def test_a_screen_grows_downwards(tmp_path):
    path = written(tmp_path, TOPOJSON)
    for turned, ring in zip(
        read_regions(path, downward=True).rings[0], read_regions(path).rings[0], strict=True
    ):
        np.testing.assert_array_equal(turned, ring * [1, -1])


def test_without_a_transform_arcs_hold_positions(tmp_path):
    given = {key: value for key, value in TOPOJSON.items() if key != "transform"}
    given["arcs"] = [*ARCS, HOLE, ISLAND]
    regions = read_regions(written(tmp_path, given))
    assert corners(regions.rings[1][0]) == corners(np.array(RIGHT, float))


@pytest.mark.parametrize(
    ("given", "name", "message"),
    [
        ("{", None, "map.json: expected JSON, found"),
        ({"type": "Feature"}, None, "expected a FeatureCollection .* found type 'Feature'"),
        ([1], None, "found type None"),
        (GEOJSON, "nam", "feature 0: expected a property 'nam' .* did you mean 'name'"),
        (GEOJSON, "state", "expected a property 'state' .* its properties are name"),
        ({"type": "FeatureCollection", "features": []}, None, "expected polygons, found none"),
        ({"type": "FeatureCollection"}, None, "expected a whole FeatureCollection, found it brok"),
        (TOPOJSON | {"arcs": TOPOJSON["arcs"][:1]}, None, "expected a whole Topology, found it"),
    ],
)
def test_files_that_are_no_map_are_refused(tmp_path, given, name, message):
    with pytest.raises(DataError, match=message):
        read_regions(written(tmp_path, given), name)
    with pytest.raises(DataError, match=r"none\.json: No such file"):
        read_regions(tmp_path / "none.json")


def test_units_are_found_with_and_without_zeros_in_front():
    ring = (np.zeros((4, 2)),)
    regions = Regions(("01001", "Baldwin"), (ring, ring))
    assert matched(regions, ["1001", "Baldwin", "7"], "map.json") == ([0, 1, -1], 1)
    with pytest.raises(DataError, match=r"map.json: expected regions called as the units are, as "):
        matched(regions, ["a", "b"], "map.json")
