"""The figures of a run: which there are, what they say, and their files.

A new figure is one more function of the run here, named in `PICTURES`.
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from hierjax.experiment.per import per_of
from hierjax.experiment.record import RunRecord
from hierjax.families.unit_words import UnitWords
from hierjax.fitting import Fit
from hierjax.plots.answer_pictures import answer_pictures, check_pictures
from hierjax.plots.chains import agreement, ranks, trace
from hierjax.plots.density import new_unit
from hierjax.plots.diagram import plate
from hierjax.plots.extremes import shrinkage_by_size
from hierjax.plots.hyperparameters import contours, optimizer_path
from hierjax.plots.per import rates_per
from hierjax.plots.picture import Picture, estimates
from hierjax.plots.pooling import interval_widths, pooling
from hierjax.plots.population import raw_rates, shrinkage
from hierjax.plots.style import (
    is_complete_pooling,
    method_styles,
    new_panels,
    point_estimate,
    reference,
)

__all__ = ["PICTURES", "Picture", "estimates", "pictures", "write_figures", "write_pictures"]

_DPI = 150
_MOST_NEW_UNITS = 4


def _plate(run: RunRecord) -> Iterator[Picture]:
    model, units = next(iter(run.fits.values())).model, len(run.counts)
    yield Picture(
        "model",
        "model",
        "As a diagram",
        "Circles are unknown, shaded shapes are data. What is inside the box exists once for "
        "every unit; what is outside is shared by all units, and is how they inform each other.",
        f"Plate diagram: the hyperparameters lead to the {_words(run).parameter} of each unit, "
        f"which with its {model.family.columns[1]} leads to its {model.family.columns[0]}.",
        lambda: plate(model, units),
    )


def _words(run: RunRecord) -> UnitWords:
    return next(iter(run.fits.values())).model.family.unit_words


def _raw_rates(run: RunRecord) -> Iterator[Picture]:
    words = _words(run)
    raw = words.raw
    yield Picture(
        "raw_rates",
        "units",
        f"{raw[:1].upper()}{raw[1:]}s and the population",
        f"Bars count units by {raw}. Curves are the density of a further unit's true "
        f"{words.parameter}, scaled to the bars. {raw[:1].upper()}{raw[1:]}s spread more widely "
        f"than true {words.parameter}s: each also carries the chance of its own {words.chance}.",
        f"Histogram of the {raw}s of {len(run.counts):,} units under the fitted population "
        "density.",
        lambda: raw_rates(run.fits),
    )


def _shrinkage(run: RunRecord) -> Iterator[Picture]:
    words = _words(run)
    yield Picture(
        "shrinkage",
        "units",
        "Shrinkage",
        f"Each unit's estimate against its {words.raw}. On the diagonal data are taken at face "
        f"value, on the dashed line all units have one {words.parameter}. Small markers "
        f"({words.amount}) are drawn furthest from the diagonal.",
        f"Scatter plot of posterior means against {words.raw}s: a flatter line than the diagonal.",
        lambda: shrinkage(run.fits, estimates=estimates(run)),
    )


def _shrinkage_by_size(run: RunRecord) -> Iterator[Picture]:
    words = _words(run)
    size = words.size.partition(",")[0]
    yield Picture(
        "shrinkage_by_size",
        "units",
        f"Shrinkage and {words.sizes}",
        f"The share that the population's mean has in a unit's estimate; the rest is the unit's "
        f"own {words.raw}. Where it is one half, the unit tells as much as all others together.",
        f"Curve that falls from near one for the smallest {size} to its least for the largest.",
        lambda: shrinkage_by_size(run.fits, estimates=estimates(run)),
    )


def _pooling(run: RunRecord) -> Iterator[Picture]:
    words = _words(run)
    yield Picture(
        "pooling",
        "units",
        "No, complete and partial pooling",
        f"{100 * run.level:g}% intervals of the same units under three assumptions: nothing in "
        f"common ({words.raw}s as points, Jeffreys intervals), one {words.parameter} for all, and "
        f"{words.parameter}s from a common population. Partial pooling has shorter intervals than "
        "no pooling, without denying that units differ.",
        "Three panels of intervals, one row a unit: wide and spread out, all alike, and in "
        "between.",
        lambda: pooling(run.fits, level=run.level, estimates=estimates(run))[0],
    )


def _new_units(run: RunRecord) -> Iterator[Picture]:
    new = run.new_units
    if not len(new):
        return
    shown = list(zip(new.labels, new.values, new.sizes, strict=True))[:_MOST_NEW_UNITS]

    def draw() -> Axes:
        panels = new_panels(len(shown), 1, 6.0, 4.0 * len(shown))[:, 0]
        for (label, value, size), ax in zip(shown, panels, strict=True):
            new_unit(run.fits, value, size, ax, label=label)
        return panels[0]

    more = "" if len(shown) == len(new) else f" The first {len(shown)} of {len(new)} are shown."
    yield Picture(
        "new_units",
        "units",
        "New units" if len(shown) > 1 else f"New unit: {shown[0][0]}",
        f"What the unit's own {_words(run).data} say (dashed), what the population says (shaded), "
        f"and both together by each method.{more}",
        f"Densities of the unit's {_words(run).parameter}: likelihood, population, and between "
        "them the posterior by each method.",
        draw,
    )


def _interval_widths(run: RunRecord) -> Iterator[Picture]:
    empirical = point_estimate(run.fits)
    if reference(run.fits) is None or empirical is None or is_complete_pooling(run.fits[empirical]):
        return
    yield Picture(
        "interval_widths",
        "units",
        "What empirical Bayes leaves out",
        "A point estimate of the hyperparameters is used as if it were known, so its intervals "
        "for units are too short. Below the line they are shorter than full Bayes's.",
        "Ratio of interval widths, empirical over full Bayes, against the "
        f"{_words(run).size}; most lie below one.",
        lambda: interval_widths(run.fits, level=run.level, estimates=estimates(run)),
    )


def _contours(run: RunRecord) -> Iterator[Picture]:
    if reference(run.fits) is None:
        return
    yield Picture(
        "hyperparameters",
        "hyperparameters",
        "Posterior of the hyperparameters",
        "Regions that hold 50, 90 and 99% of the posterior. Samplers that agree with it scatter "
        "their draws accordingly; point estimates are single marks, and need not lie at its "
        "centre.",
        "Contours of the posterior of both hyperparameters, with draws and point estimates.",
        lambda: contours(run.fits),
    )


def _optimizer_path(run: RunRecord) -> Iterator[Picture]:
    for name, fit in run.fits.items():
        if fit.info.get("path") is not None:
            yield Picture(
                f"path_{name}",
                "hyperparameters",
                "The way to the Type-2 maximum",
                "Contours of the log-marginal likelihood where it lies ½, 2, 4½, … below its "
                "maximum, and the optimiser's steps across them.",
                "Contours of the marginal likelihood with the path of the optimiser to its "
                "maximum.",
                partial(optimizer_path, fit),
            )


def _agreement(run: RunRecord) -> Iterator[Picture]:
    table = run.agreement
    if table is None or not np.isfinite(table["z"].astype(float)).any():
        return
    styles, family = method_styles(run.fits), next(iter(run.fits.values())).model.family
    yield Picture(
        "agreement",
        "checks",
        "Agreement at a glance",
        "Each sampler's answer less quadrature's, in the sampler's own Monte Carlo standard "
        "errors. A sampler that is right stays within the band 95 times of 100; beyond 4 is a "
        "defect.",
        "Dot plot of differences between samplers and quadrature in standard errors, around zero.",
        lambda: agreement(table, styles, family=family),
    )


def _chains(run: RunRecord) -> Iterator[Picture]:
    styles = method_styles(run.fits)
    for name, fit in run.fits.items():
        if fit.draws is None:
            continue

        def draw(fit: Fit = fit) -> Axes:
            panels = new_panels(2, 2, 6.4, 4.6)
            for row, parameter in zip(panels, fit.model.family.coordinates, strict=True):
                trace(fit, parameter, row[0])
                ranks(fit, parameter, row[1])
            return panels[0, 0]

        yield Picture(
            f"chains_{name}",
            "checks",
            f"Chains of {styles[name].label}",
            "Left, draws in order, one shade a chain: chains should be indistinguishable and show "
            "no drift. Right, ranks of each chain's draws among all: flat (up to the dashed line) "
            "where chains have mixed.",
            f"Trace plots and rank histograms of the {len(fit.draws)} chains of {name}.",
            draw,
        )


#: All figures, in the order in which a report shows them within each section.
PICTURES: tuple[Callable[[RunRecord], Iterator[Picture]], ...] = (
    _plate,
    _new_units,
    _raw_rates,
    _shrinkage,
    _shrinkage_by_size,
    _pooling,
    answer_pictures,
    _interval_widths,
    _contours,
    _optimizer_path,
    _agreement,
    _chains,
    check_pictures,
)


def pictures(run: RunRecord) -> list[Picture]:
    """The figures that a run has, none of them drawn yet.

    Args:
        run: What the run found.

    Returns:
        The figures; none if no method found anything.
    """
    if not run.fits:
        return []
    found = [picture for make in PICTURES for picture in make(run)]
    return [picture._replace(draw=partial(_per, picture, run)) for picture in found]


def _per(picture: Picture, run: RunRecord) -> Axes:
    per = per_of(run)
    return picture.draw() if per is None else rates_per(picture.draw(), per)


def write_figures(directory: Path, run: RunRecord) -> dict[str, Path]:
    """Draws a run's figures as PNG files; the same run gives the same bytes.

    Args:
        directory: The run's directory; the files go into ``figures`` in it.
        run: What the run found.

    Returns:
        The files by the figures' names. Each is whole or not there.
    """
    return write_pictures(directory, pictures(run))


def write_pictures(directory: Path, drawn: Iterable[Picture]) -> dict[str, Path]:
    """Draws figures as PNG files; the same figures give the same bytes.

    Args:
        directory: A run's directory; the files go into ``figures`` in it.
        drawn: The figures.

    Returns:
        The files by the figures' names. Each is whole or not there.
    """
    folder = directory / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for picture in drawn:
        image = io.BytesIO()
        # The library's version, otherwise written into the file, says nothing about the run.
        figure = picture.draw().get_figure(root=True)
        assert figure is not None
        figure.savefig(image, format="png", dpi=_DPI, metadata={"Software": None})
        path = folder / f"{picture.name}.png"
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(image.getvalue())
        os.replace(partial, path)
        files[picture.name] = path
    return files
