"""The figures of a run: their files, their captions, and runs of every kind."""

import numpy as np
import pytest
from figure_fits import five_fits, point_fit, record, sampled_fit

import hierjax as hj
from hierjax.plots import figures, write_figures
from hierjax.plots.figures import PICTURES, estimates, pictures

NEW = (("experiment 71",), (4,), (14,))
EVERY = [
    "model",
    "new_units",
    "raw_rates",
    "shrinkage",
    "shrinkage_by_size",
    "pooling",
    "caterpillar",
    "funnel",
    "interval_widths",
    "hyperparameters",
    "path_type2_mle",
    "agreement",
    "chains_nuts",
    "chains_gibbs",
    "loo_pit",
    "posterior_predictive",
]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Few pixels: what is drawn does not depend on how many."""
    monkeypatch.setattr(figures, "_DPI", 25)


@pytest.fixture(scope="module")
def run(rats, fits):
    return record(rats, fits, new=NEW)


@pytest.mark.slow
def test_same_run_gives_the_same_bytes(run, tmp_path):
    first = write_figures(tmp_path / "a", run)
    second = write_figures(tmp_path / "b", run)
    assert list(first) == EVERY
    for name, path in first.items():
        assert path == tmp_path / "a" / "figures" / f"{name}.png"
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert content == second[name].read_bytes()
        for text in (b"Software", b"matplotlib", b"tEXt", b"tIME"):
            assert text not in content
    names = {path.name for path in (tmp_path / "a" / "figures").iterdir()}
    assert names == {f"{name}.png" for name in EVERY}


def test_figures_that_are_there_are_replaced(rats, tmp_path):
    run = record(rats, {"moments": point_fit(rats, method=hj.Moments())}, reference="")
    old = tmp_path / "figures" / "raw_rates.png"
    old.parent.mkdir()
    old.write_bytes(b"half a fig")
    write_figures(tmp_path, run)
    assert old.read_bytes().startswith(b"\x89PNG")


def test_every_figure_says_what_to_see(run):
    found = pictures(run)
    assert [picture.name for picture in found] == EVERY
    for picture in found:
        assert picture.section in ("model", "units", "questions", "hyperparameters", "checks")
        assert picture.caption.endswith(".")
        assert picture.alt.endswith(".")
    assert "90% intervals" in next(p.caption for p in found if p.name == "pooling")
    assert len(PICTURES) == 13


def test_estimates_are_each_methods_own(run):
    tables = estimates(run)
    assert list(tables) == list(run.fits)
    for name, fit in run.fits.items():
        assert np.array_equal(tables[name]["mean"], fit.units()["mean"])


def test_what_was_asked_is_drawn_as_the_tables_say(rats, exact, tmp_path):
    asked = {"above": 0.2, "fdr": 0.1, "top": 5, "control": "$70"}
    counts = hj.Counts(rats.successes, rats.trials, [*rats.labels[:-1], "$70"])
    fit = hj.Fit(counts, exact.model, exact.method, "float64", exact.result)
    answers = {
        "exceedance": fit.exceedance(0.2, 0.1),
        "ranks": hj.Table({"label": counts.labels}),
        "contrasts": hj.Table(
            {
                "label": ["1", "2"],
                "control": ["$70", "$70"],
                "p_greater": [0.01, 0.02],
                "difference_mean": [-0.2, -0.2],
                "difference_low": [-0.3, -0.3],
                "difference_high": [-0.1, -0.1],
            }
        ),
        "influence": fit.influence(),
    }
    config = {"seed": 7, "questions": asked}
    fits = {"type2_mle": point_fit(counts), "quadrature": fit}
    run = record(counts, fits, config=config, answered_by="quadrature", **answers)
    found = {picture.name: picture for picture in pictures(run)}
    assert {"exceedance", "ranks", "contrasts", "influence"} <= set(found)
    assert found["exceedance"].title == "How long a list of units above 0.2?"
    assert found["exceedance"].caption.endswith("ends where it would pass 0.1.")
    assert "less that of $70, with 90% intervals" in found["contrasts"].caption
    assert "on the list asked for" in found["funnel"].caption
    axes = {name: found[name].draw() for name in ("exceedance", "funnel", "contrasts", "influence")}
    assert "4 of 70 units selected" in axes["exceedance"].texts[0].get_text()
    assert {text.get_text() for text in axes["funnel"].texts} == {"67", "68", "69", "$70"}
    assert len(found["ranks"].draw().collections[0].get_array().ravel()) == 70**2


def names_drawn(run, tmp_path):
    return set(write_figures(tmp_path, run))


def test_without_samplers(rats, exact, tmp_path):
    fits = {"type2_mle": point_fit(rats), "quadrature": exact}
    drawn = names_drawn(record(rats, fits), tmp_path)
    assert {"interval_widths", "hyperparameters"} <= drawn
    assert not any(name.startswith(("chains", "agreement", "new_units")) for name in drawn)


@pytest.mark.slow
def test_without_quadrature(rats, tmp_path):
    fits = {"nuts, long": sampled_fit(rats, hj.NUTS()), "gibbs": sampled_fit(rats, chains=1)}
    drawn = names_drawn(record(rats, fits, new=NEW), tmp_path)
    assert {"chains_nuts, long", "chains_gibbs", "hyperparameters", "new_units"} <= drawn
    assert not {"agreement", "interval_widths"} & drawn


def test_point_estimates_alone(rats, tmp_path):
    fits = {"moments": point_fit(rats, method=hj.Moments())}
    assert names_drawn(record(rats, fits, new=NEW), tmp_path) == {
        "model", "new_units", "raw_rates", "shrinkage", "shrinkage_by_size", "pooling",
        "caterpillar", "funnel", "loo_pit", "posterior_predictive",
    }  # fmt: skip


@pytest.mark.slow
def test_complete_pooling(exact, tmp_path):
    counts = hj.Counts([5] * 12, [20] * 12)
    eta = (float(np.log(1 / 3)), np.inf)
    path = np.array([[-1.0, 3.0], [-1.1, 9.0], [-1.0986, 31.0]])
    fits = {"type2_mle": point_fit(counts, eta, path=path), "gibbs": sampled_fit(counts)}
    drawn = names_drawn(record(counts, fits, new=NEW), tmp_path)
    assert {"path_type2_mle", "new_units", "raw_rates", "shrinkage"} <= drawn
    assert "interval_widths" not in drawn


@pytest.mark.slow
@pytest.mark.parametrize(
    "counts",
    [
        hj.Counts([3, 9], [20, 30], ["<b>", "$a_$"]),
        hj.Counts([0, 3, 0, 7, 0], [20, 20, 0, 30, 0]),
    ],
    ids=["two units", "units without trials"],
)
def test_few_units(counts, exact, tmp_path):
    quadrature = hj.Fit(counts, exact.model, exact.method, "float64", exact.result)
    new = (("<i>u</i>", "v", "w", "x", "y"), (0, 4, 1, 2, 3), (0, 14, 9, 9, 9))
    drawn = names_drawn(record(counts, five_fits(counts, quadrature), new=new), tmp_path)
    assert drawn == set(EVERY)


@pytest.mark.slow
def test_many_units(tmp_path):
    trials = np.tile(np.arange(1, 51), 100)
    counts = hj.Counts(trials // 3, trials)
    fits = {"type2_mle": point_fit(counts), "nuts": sampled_fit(counts, hj.NUTS())}
    assert {"shrinkage", "pooling"} <= names_drawn(record(counts, fits), tmp_path)


def test_a_run_that_found_nothing_has_no_figures(rats, run):
    import dataclasses

    assert pictures(dataclasses.replace(run, fits={})) == []
