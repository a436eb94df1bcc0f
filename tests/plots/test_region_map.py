"""The map of units: which colors regions have, holes, and how a configuration asks for it."""

import json

import numpy as np
import pytest
from figure_fits import quick_table

import hierjax as hj
from hierjax.errors import DataError
from hierjax.experiment.answers import answer
from hierjax.experiment.config import resolved, validated
from hierjax.experiment.runner import fit_all, prepare
from hierjax.experiment.terminal import watch
from hierjax.plots.figures import pictures
from hierjax.plots.region_map import region_map
from hierjax.regions import Regions


def square(x, y, size=1.0):
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    return size * corners + [x, y]


PUMPS = Regions(
    (*(str(j + 1) for j in range(10)), "elsewhere"),
    tuple((square(j % 4, j // 4),) for j in range(11)),
)


def colors(ax):
    return ax.collections[0].get_facecolors()


def test_regions_have_the_colors_of_their_values():
    fit = hj.fit(hj.datasets.pumps(), method=hj.Moments())
    table = quick_table(fit)
    ax = region_map(fit, PUMPS, table=table)
    raw, mean, bar = ax.figure.axes
    assert raw.get_title(loc="left") == "raw rate"
    assert bar.get_ylabel() == "rate"
    order = np.argsort(table["mean"])
    # Lightness grows with the value.
    assert (np.diff(colors(mean)[order, :3].sum(axis=1)) >= -1e-9).all()
    np.testing.assert_allclose(colors(mean)[10, :3], 0xE6 / 255, atol=1e-6)
    highest = int(np.argmax(table["raw_rate"]))
    np.testing.assert_array_equal(colors(raw)[highest], colors(mean)[order[-1]])


@pytest.mark.parametrize("turned", [1, -1])
def test_holes_stay_empty_whichever_way_they_are_wound(turned):
    rings = (square(0, 0, 4.0), square(1, 1)[::turned], square(6, 0)[::turned])
    regions = Regions(("1", "2"), (rings, (square(9, 9),)))
    fit = hj.fit(hj.datasets.pumps(), method=hj.Moments())
    path = region_map(fit, regions, table=quick_table(fit)).collections[0]
    (around, hole, island) = path.get_paths()[0].to_polygons()

    def winding(points):
        x, y = points.T
        return np.sign(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))

    assert winding(around) == winding(island) == -winding(hole)


def test_a_configuration_names_a_file(tmp_path):
    features = [
        {
            "type": "Feature",
            "properties": {"pump": name},
            "geometry": {"type": "Polygon", "coordinates": [rings[0].tolist()]},
        }
        for name, rings in zip(PUMPS.names[:9], PUMPS.rings, strict=False)
    ]
    (tmp_path / "pumps.json").write_text(
        json.dumps({"type": "FeatureCollection", "features": features})
    )
    given = {"data": {"dataset": "pumps"}, "methods": [{"method": "moments"}]}
    given["map"] = {"path": "pumps.json", "id": "pump"}
    config = validated(given, "c.yaml", directory=tmp_path)
    path = str(tmp_path / "pumps.json")
    assert resolved(config)["map"] == {"path": path, "id": "pump", "downward": False}
    prepared = prepare(config)
    text = f"{path}: expected a region for each unit, found 1 units without"
    assert prepared.warnings == (text,)
    run = answer(prepared, fit_all(prepared, watch), compare=False)
    (picture,) = (each for each in pictures(run) if each.name == "map")
    assert picture.draw().get_title(loc="left") == "raw rate"
    given["map"] = {"path": "pumps.json"}
    with pytest.raises(DataError, match="feature 0: expected an id that names the region"):
        prepare(validated(given, "c.yaml", directory=tmp_path))
