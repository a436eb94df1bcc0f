"""Methods on every device, side by side: what is drawn where."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from hierjax.plots.comparison import comparison, comparison_panels
from hierjax.plots.style import method_color, new_panels
from hierjax.studies.comparison import COLUMNS
from hierjax.table import Table


def compared(methods=("moments", "gibbs", "own"), devices=("cpu", "gpu")):
    kinds = [
        (device, precision, method)
        for method in methods
        for device in devices
        for precision in ("float64", "float32")
    ]
    columns = dict(zip(COLUMNS[:3], zip(*kinds, strict=True), strict=True))
    speeds = 10.0 ** np.arange(len(kinds))
    numbers = dict.fromkeys(COLUMNS[3:], speeds)
    sampled = np.array([kind[2] == "gibbs" for kind in kinds])
    return Table({**columns, **numbers, "ess_per_second": np.where(sampled, speeds, np.nan)})


def drawn(ax):
    """Markers from top to bottom."""
    return sorted(
        (line for line in ax.lines if line.get_marker() in "os"), key=lambda x: x.get_ydata()[0]
    )


def test_every_number_has_a_marker_that_tells_device_precision_and_method():
    table = compared()
    (ax,) = new_panels(1, 1, 6, 5)[0]
    assert comparison(table, "data_sets_per_second", ax) is ax
    markers = drawn(ax)
    assert [line.get_xdata()[0] for line in markers] == table["data_sets_per_second"].tolist()
    assert [line.get_marker() for line in markers] == ["o", "o", "s", "s"] * 3
    filled = [to_rgba(line.get_markerfacecolor()) != to_rgba("white") for line in markers]
    assert filled == [True, False] * 6
    assert markers[4].get_color() == method_color("gibbs")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["Moments", "Gibbs", "own"]
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["CPU, float64", "CPU, float32", "GPU, float64", "GPU, float32"]
    low, high = ax.get_xlim()
    assert (low < 1) & (high > 1e11)
    assert ax.get_xscale() == "log"


def test_methods_without_a_number_say_none():
    ax = comparison(compared(), "ess_per_second", labels={"own": "Mine"}, colors={"gibbs": "red"})
    assert len(drawn(ax)) == 4
    assert {line.get_color() for line in drawn(ax)} == {"red"}
    assert [text.get_text() for text in ax.texts].count("none") == 2
    assert ax.get_yticklabels()[2].get_text() == "Mine"


def test_ticks_are_there_however_near_the_numbers():
    table = compared(("moments",), ("cpu",))
    for values in ([317.0, 318.0], [0.003, 0.004], [1e-6, 3.0], [0.0, 2.0], [0.0, np.nan]):
        each = Table({**table, "largest_difference": values})
        ax = comparison(each, "largest_difference")
        low, high = ax.get_xlim()
        ax.figure.savefig("/dev/null", format="png")
        ticks = [x for x in ax.get_xticks() if low <= x <= high]
        assert len(ticks) >= 2 or not any(v > 0 for v in values)
        assert len(drawn(ax)) == sum(v > 0 for v in values)


def test_panels_leave_out_what_nobody_has():
    assert comparison_panels(compared()).shape == (2, 2)
    point = compared(("moments", "type2_mle"), ("cpu",))
    panels = comparison_panels(point)
    shown = [ax.get_xlabel() for ax in panels.ravel() if ax.axison]
    assert shown == ["data sets a second", "seconds of compiling", "peak memory of the process, MB"]
    assert [ax.get_legend() is not None for ax in panels.ravel()] == [True, False, False, False]
    panels[0, 0].figure.savefig("/dev/null", format="png")


def test_an_empty_table_is_an_empty_figure_and_an_unknown_column_is_refused():
    empty = Table({name: values[:0] for name, values in compared().items()})
    assert drawn(comparison(empty)) == []
    comparison_panels(empty)[0, 0].figure.savefig("/dev/null", format="png")
    with pytest.raises(ValueError, match="found 'failed'"):
        comparison(empty, "failed")
