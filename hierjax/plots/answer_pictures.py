"""The figures of a run that show what its leading fit says of units, and checks of that fit."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes

from hierjax.checks.loo import require_proper_without_one
from hierjax.errors import ModelError
from hierjax.experiment.per import as_shown, per_of, shown_check
from hierjax.experiment.record import RunRecord
from hierjax.experiment.runner import method_key
from hierjax.families.unit_words import per_text
from hierjax.fitting import Fit
from hierjax.plots.calibration import later_places, loo_pit, posterior_predictive
from hierjax.plots.caterpillar import MOST_NAMED, caterpillar
from hierjax.plots.contrasts import contrasts_forest
from hierjax.plots.exceedance import exceedance_curve, is_above
from hierjax.plots.extremes import extremes, find_extremes
from hierjax.plots.funnel import funnel
from hierjax.plots.influence import influence
from hierjax.plots.picture import Picture, estimates
from hierjax.plots.rank_map import rank_heat_map
from hierjax.plots.region_map import region_map
from hierjax.plots.style import is_complete_pooling, leading, new_panels, told
from hierjax.table import Table

__all__ = ["answer_pictures", "answering", "check_pictures"]

# Draws and rates drawn at most: figures need less than answers do.
_DRAWS, _RATES = 4000, 4_000_000


def _table(run: RunRecord, name: str) -> Table | None:
    """An answer of the run, where it was asked for and has rows."""
    table = getattr(run, name, None)
    return table if table is not None and len(table) else None


def _draws(run: RunRecord) -> int:
    return int(np.clip(_RATES // len(run.counts), 200, _DRAWS))


def answering(run: RunRecord) -> str:
    """Name of the method that answers questions about units."""
    return run.answered_by or leading(run.fits)


def answer_pictures(run: RunRecord) -> Iterator[Picture]:
    """Figures of units: always their intervals and the funnel, and of what was asked.

    Args:
        run: What the run found, by one method at least.

    Yields:
        The figures.
    """
    name = answering(run)
    fit, table = run.fits[name], estimates(run)[name]
    yield from _caterpillar(run, fit, table)
    yield from _funnel(run, fit, table)
    yield from _map(run, fit, table)
    yield from _exceedance(run, fit)
    yield from _extremes(run, fit, table)
    yield from _ranks(run, fit)
    yield from _contrasts(run, fit)
    yield from _later(run, fit)


def _caterpillar(run: RunRecord, fit: Fit, table: Table) -> Iterator[Picture]:
    units, named, words = len(table), "", fit.model.family.unit_words
    if units > MOST_NAMED:
        named = " The three highest and the three lowest are named."
    yield Picture(
        "caterpillar",
        "units",
        "All units in order",
        f"Posterior means and {100 * run.level:g}% intervals of the units' {words.parameter}s, the "
        f"highest on top, and their {words.raw}s. Where intervals overlap much, the order of the "
        f"units is uncertain.{named}",
        f"Intervals of {units:,} units, one row a unit, rising from the lowest estimate to "
        "the highest.",
        lambda: caterpillar(fit, level=run.level, table=table),
    )


def _funnel(run: RunRecord, fit: Fit, table: Table) -> Iterator[Picture]:
    selection = _table(run, "exceedance")
    flagged = "outside the wider shade" if selection is None else "on the list asked for"
    words = fit.model.family.unit_words
    raw, one, size = words.raw, words.parameter, words.size.partition(" of the unit")[0]
    yield Picture(
        "funnel",
        "units",
        f"{one[:1].upper()}{one[1:]}s and {words.sizes}",
        f"{raw[:1].upper()}{raw[1:]}s, each with what the hierarchy makes of it. If all units had "
        f"the pooled {one}, 95% would lie within the dashed lines and 99.8% within the dotted "
        f"ones; what lies outside is more than chance. The shades hold 95 and 99.8% if {one}s come "
        f"from the fitted population. Marked are units {flagged}.",
        f"Scatter plot of {raw}s against {size} between limits that narrow as it grows.",
        lambda: funnel(fit, selection=selection, table=table),
    )


def _map(run: RunRecord, fit: Fit, table: Table) -> Iterator[Picture]:
    if (regions := run.regions) is None:
        return
    words = fit.model.family.unit_words
    yield Picture(
        "map",
        "units",
        "On the map",
        f"{words.raw[:1].upper()}{words.raw[1:]}s above, posterior means below, in the same "
        f"colors: those of the {words.raw}s that lie beyond take the color of the end. Extreme "
        f"colors above are mostly of regions with {words.amount}. Grey has no data.",
        f"Two maps of regions colored by {words.raw}, a patchwork, and by posterior mean, calm.",
        lambda: region_map(fit, regions, table=table),
    )


def _exceedance(run: RunRecord, fit: Fit) -> Iterator[Picture]:
    table = _table(as_shown(run), "exceedance")
    if table is None:
        return
    fdr = (run.config.get("questions") or {}).get("fdr")
    allowed = "is chosen so that few are." if fdr is None else f"ends where it would pass {fdr:g}."
    side, cut = "above" if is_above(table) else "below", float(table["threshold"][0])
    yield Picture(
        "exceedance",
        "questions",
        f"How long a list of units {side} {cut:.4g}{per_text(per_of(run))}?",
        "Units in the order of how sure it is. Thin, the probability that the unit itself is not "
        f"{side}; thick, the expected share of such units among all up to there. The list "
        f"{allowed}",
        "Two rising curves of the probability of being wrong against the length of the list, with "
        "the length chosen.",
        lambda: exceedance_curve(fit, fdr=fdr, table=table),
    )


def _extremes(run: RunRecord, fit: Fit, table: Table) -> Iterator[Picture]:
    if _table(run, "ranks") is None or is_complete_pooling(fit):
        return
    count, words = int(run.config["questions"]["top"]), fit.model.family.unit_words
    used = told(fit) > 0
    raw, mean = (
        find_extremes(table[name][used].astype(float), count) for name in ("raw_rate", "mean")
    )
    both = [int(np.sum(a & b)) for a, b in zip(raw, mean, strict=True)]
    tied = int(raw.bottom.sum())
    ties = f" (of the lowest, {tied:,} are equal or lower)" if tied > count else ""
    yield Picture(
        "extremes",
        "questions",
        f"Who is at the top and at the bottom {count:,}?",
        f"Above, by {words.raw}{ties}: chance takes units with {words.amount} to "
        f"both ends. Below, by posterior mean: what is there tells enough to be there. By both, "
        f"{both[0]:,} units are at the top and {both[1]:,} at the bottom. The dashed line is the "
        f"pooled {words.parameter}.",
        f"Two scatter plots against {words.sizes}, {words.raw}s above and posterior means below, "
        "with the highest and the lowest marked.",
        lambda: extremes(fit, count, table=table),
    )


def _ranks(run: RunRecord, fit: Fit) -> Iterator[Picture]:
    if _table(run, "ranks") is None or is_complete_pooling(fit):
        return
    units, draws = len(run.counts), _draws(run)
    key = method_key(run.config["seed"], "ranks")
    yield Picture(
        "ranks",
        "questions",
        "How sure is the order?",
        "The probability of each place for each unit, rank 1 for the highest "
        f"{fit.model.family.unit_words.parameter}. A narrow dark band would be a sure order.",
        f"Heat map of the ranks of {units:,} units, dark along the diagonal.",
        lambda: rank_heat_map(fit, key=key, draws=draws),
    )


def _contrasts(run: RunRecord, fit: Fit) -> Iterator[Picture]:
    table = _table(run, "contrasts")
    if table is None:
        return
    words = fit.model.family.unit_words
    controls = set(table["control"].tolist())
    single = f", each unit's less that of {next(iter(controls))}" if len(controls) == 1 else ""
    yield Picture(
        "contrasts",
        "questions",
        "Differences",
        f"Differences of {words.parameter}s{single}, with {100 * run.level:g}% "
        "intervals. P(greater) is the probability that the difference is above zero.",
        f"Intervals of {len(table):,} differences around a line at zero.",
        lambda: contrasts_forest(fit, level=run.level, table=table),
    )


def _later(run: RunRecord, fit: Fit) -> Iterator[Picture]:
    if (later := run.later) is None:
        return
    yield Picture(
        "later",
        "questions",
        "Are later values where predictions put them?",
        f"Each unit's later {fit.model.family.unit_words.value} has a place in its prediction, 0 "
        "for the lowest and 1 for the highest. Places of good predictions are spread evenly, and "
        "the curve stays near zero, within the band. A curve that dips says that values came out "
        "higher than predicted; one above zero at the left and below it at the right, that they "
        "lie further out.",
        "Curve of the distribution of later values' places, less an even one, within a band "
        "around zero.",
        lambda: later_places(fit, later),
    )


def check_pictures(run: RunRecord) -> Iterator[Picture]:
    """Figures of how well the leading fit describes the data, and of what moves it.

    Args:
        run: What the run found, by one method at least.

    Yields:
        The figures.
    """
    fit = run.fits[answering(run)]
    yield from _influence(run, fit)
    yield from _loo_pit(run, fit)
    yield from _replicates(run, fit)


def _influence(run: RunRecord, fit: Fit) -> Iterator[Picture]:
    table = _table(run, "influence")
    if table is None or not np.isfinite(table["log_concentration"].astype(float)).any():
        return

    def draw() -> Axes:
        panels = new_panels(1, 2, 7.2, 3.2)[0]
        for ax, answer in zip(panels, fit.model.family.coordinates, strict=True):
            influence(fit, ax, answer=answer, most=8, table=table)
        return panels[0]

    yield Picture(
        "influence",
        "hyperparameters",
        "Which units move it most?",
        "What would become of the mean and of the concentration, to first order, if a unit were "
        "left out. To the right, leaving it out would raise the answer. Above zero in the "
        "concentration are units that make the population look more varied.",
        "Two bar charts of the units with the most influence.",
        draw,
    )


def _loo_pit(run: RunRecord, fit: Fit) -> Iterator[Picture]:
    try:
        require_proper_without_one(fit.model, fit.counts, fit.posterior)
    except ModelError:
        return
    words = fit.model.family.unit_words
    yield Picture(
        "loo_pit",
        "checks",
        "Are units where predictions put them?",
        f"Each unit's {words.value} has a place in its prediction from all other "
        "units, 0 for the lowest and 1 for the highest. Places of a good model are spread evenly, "
        "and the curve stays near zero, within the band. A curve above zero at the left and below "
        "it at the right says that units lie further out than predicted.",
        "Curve of the distribution of the units' places, less an even one, within a band around "
        "zero.",
        lambda: loo_pit(fit, pit=getattr(run, "loo_pit", None)),
    )


def _replicates(run: RunRecord, fit: Fit) -> Iterator[Picture]:

    def draw() -> Axes:
        check = getattr(run, "predictive", None)
        if check is None:
            # The key of the run's table of checks, whose replicates these are.
            key = method_key(run.config["seed"], "checks")
            check = fit.posterior_predictive(key, _draws(run), run.level)
        per = per_of(run)
        check = check if per is None else shown_check(check, per)
        names = check["statistic"].tolist()
        panels = new_panels(1, len(names), 7.2, 2.7)[0]
        for name, ax in zip(names, panels, strict=True):
            posterior_predictive(fit, ax, statistic=name, check=check)
            if per is not None and "rate" in name:
                said = per_text(per).strip()
                ax.set_xlabel(f"({said})²" if name.startswith("variance") else said)
        return panels[0]

    yield Picture(
        "posterior_predictive",
        "checks",
        "Data that the model makes",
        "Data of the same sizes drawn from the fitted model, and the observed data as a line. "
        "P(≥) is the share of drawn data sets with at least the observed value: near 0 or 1, the "
        "model would hardly make such data.",
        "Histograms of three statistics of replicated data, each with the observed value.",
        draw,
    )
