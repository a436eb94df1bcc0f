"""Every family's container keeps what it is given, and refuses what breaks a rule."""

import dataclasses
import math
import re
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierjax.containers import CONTAINERS
from hierjax.counts import Counts
from hierjax.errors import ConfigError, DataError, DataWarning
from hierjax.measurements import Measurements
from hierjax.poisson_events import Events
from hierjax.validation import MAX_COUNT

WHOLE = f"a whole number from 0 to {MAX_COUNT}"
POSITIVE = "a positive number, 1e-100 to 1e+100"
FINITE = "a finite number, at most 1e+100 in size"

COUNTS = st.integers(0, MAX_COUNT)
SIZES = st.floats(1e-100, 1e100)
REALS = st.floats(-1e100, 1e100)
LEGAL = {Events: (COUNTS, SIZES), Measurements: (REALS, SIZES)}
# What no column of the kind may hold.
NO_NUMBER = st.text(max_size=5) | st.none() | st.just(math.nan) | st.just(1j)
BAD_COUNTS = NO_NUMBER | st.floats().filter(lambda x: not (0 <= x <= MAX_COUNT and x == x // 1))
BAD_SIZES = NO_NUMBER | st.floats(max_value=0) | st.just(math.inf) | st.just(1e101)
BAD_REALS = NO_NUMBER | st.sampled_from([math.inf, -math.inf, 1e101, -(10**400)])
BAD = {Events: (BAD_COUNTS, BAD_SIZES), Measurements: (BAD_REALS, BAD_SIZES)}


@pytest.fixture(scope="module", params=LEGAL, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def columns_of(data, kind):
    units = data.draw(st.integers(2, 20))
    return [data.draw(st.lists(entry, min_size=units, max_size=units)) for entry in LEGAL[kind]]


@given(st.data())
def test_legal_entries_are_kept_exactly(kind, data):
    value, size = columns_of(data, kind)
    made = kind(value, size)
    first, second = kind.columns
    assert getattr(made, first).tolist() == made.pair[0].tolist() == value
    assert getattr(made, second).tolist() == made.pair[1].tolist() == size
    assert made.values.dtype == made.sizes.dtype == made.raw.dtype == np.float64
    assert made.values.tolist() == value
    assert made.sizes.tolist() == size
    assert len(made) == len(value)
    assert made.labels.tolist() == [str(j + 1) for j in range(len(value))]
    assert made.groups is made.weights is made.frame is None


@given(st.data())
def test_one_entry_out_of_range_is_found_wherever_it_is(kind, data):
    columns = columns_of(data, kind)
    which = data.draw(st.integers(0, 1))
    index = data.draw(st.integers(0, len(columns[0]) - 1))
    columns[which][index] = data.draw(BAD[kind][which])
    columns[which] = np.array(columns[which], dtype=object)
    place = rf"^unit {index} \(label '{index + 1}'\), {kind.columns[which]}: expected "
    with pytest.raises(DataError, match=place):
        kind(*columns)
    with pytest.raises(DataError, match=place):
        kind.pairs(*columns)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Events([-1, 2], [1, 1]),
            f"unit 0 (label '1'), events: expected {WHOLE}, found -1",
        ),
        (
            lambda: Events([1, 2.5], [1, 1]),
            f"unit 1 (label '2'), events: expected {WHOLE}, found 2.5",
        ),
        (
            lambda: Events([1, 2], [0, 1]),
            f"unit 0 (label '1'), exposures: expected {POSITIVE}, found 0",
        ),
        (
            lambda: Events([0, 2], [1, -0.5], ["a", "b"]),
            f"unit 1 (label 'b'), exposures: expected {POSITIVE}, found -0.5",
        ),
        (
            lambda: Events([0, 2], [1, math.inf]),
            f"unit 1 (label '2'), exposures: expected {POSITIVE}, found inf",
        ),
        (
            lambda: Measurements([28, math.nan], [15, 10]),
            f"unit 1 (label '2'), values: expected {FINITE}, found nan",
        ),
        (
            lambda: Measurements([28, "8"], [15, 10]),
            f"unit 1 (label '2'), values: expected {FINITE}, found '8'",
        ),
        (
            lambda: Measurements([28, 8], [15, 0.0]),
            f"unit 1 (label '2'), errors: expected {POSITIVE}, found 0.0",
        ),
        (
            lambda: Measurements([28, 8], [-15, 10]),
            f"unit 0 (label '1'), errors: expected {POSITIVE}, found -15",
        ),
        (
            lambda: Measurements([28, 8], [15]),
            "Measurements: expected columns of equal length, found 2 values, 1 errors",
        ),
        (lambda: Events([1], [1]), "Events: expected at least two units to pool, found 1"),
        (
            lambda: Events([1, 1], [1, 1], weights=[0, 0]),
            "Events: expected a unit of positive weight that has exposures, found none",
        ),
        (
            lambda: Measurements([1, 1], [1, 1], weights=[1, -1]),
            "unit 1 (label '2'), weights: expected a finite number that is not negative, found -1",
        ),
        (
            lambda: Events([1, 1], [1, 1], groups=["x", None]),
            "unit 1 (label '2'), groups: expected text, found None",
        ),
        (
            lambda: Events.pairs([1, 1], [1]),
            "Events: expected columns of equal length, found 2 events and 1 exposures",
        ),
    ],
)
def test_bad_entries_are_refused_with_the_place_and_the_reason(make, message):
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        make()


def test_raw_parameters():
    events = Events([5, 0, 19], [94.3, 15.7, 31.4])
    np.testing.assert_array_equal(events.raw, [5 / 94.3, 0, 19 / 31.4])
    np.testing.assert_array_equal(events.raw, events.raw_rates)
    np.testing.assert_array_equal(Measurements([28, -3], [15, 16]).raw, [28, -3])
    np.testing.assert_array_equal(Counts([0, 4], [0, 16]).raw, [math.nan, 0.25])


def test_totals_are_exact():
    events = Events([MAX_COUNT] * 3000, [0.1] * 3000)
    assert events.total_events == 3000 * MAX_COUNT
    assert events.total_exposure == math.fsum([0.1] * 3000)
    assert repr(Events([5, 1], [94.3, 15.7])) == "Events(units=2, events=6, exposures=110)"
    assert (
        repr(Measurements([1, 2], [1, 1], groups=["x", "y"])) == "Measurements(units=2, groups=2)"
    )


def test_observations_share_no_memory_and_cannot_be_changed(kind):
    given_arrays = [np.array([0.0, 4.0]), np.array([20.0, 14.0])]
    made = kind(*given_arrays)
    for name, array in zip(kind.columns, given_arrays, strict=True):
        kept = getattr(made, name)
        assert not np.shares_memory(kept, array)
        with pytest.raises(ValueError, match="read-only"):
            kept[0] = 1
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, name, array)


def test_equality_is_of_kind_and_values(kind):
    base = kind([0, 4], [20, 14], groups=["x", "y"], weights=[1, 2])
    assert base == kind(np.array([0.0, 4.0]), jnp.array([20, 14]), ["1", "2"], ["x", "y"], [1, 2])
    assert base != kind([1, 4], [20, 14], groups=["x", "y"], weights=[1, 2])
    assert base != kind([0, 4], [20, 15], groups=["x", "y"], weights=[1, 2])
    assert base != kind([0, 4], [20, 14], groups=["x", "x"], weights=[1, 2])
    assert base != kind([0, 4], [20, 14], groups=["x", "y"])
    assert base != Counts([0, 4], [20, 14], groups=["x", "y"], weights=[1, 2])
    assert base != 1


def test_select_and_append(kind):
    made = kind([0, 1, 4], [20, 20, 14], ["a", "b", "c"], ["x", "y", "y"], [1, 2, 3])
    chosen = kind([4, 0], [14, 20], ["c", "a"], ["y", "x"], [3, 1])
    assert made.select([2, 0]) == made.select(slice(None, None, -2)) == chosen
    assert made.select(made.sizes == 20) == made.select([0, 1])
    both = made.append("d", 7, 2.5, group="x", weight=0.5)
    assert both == kind([0, 1, 4, 7], [20, 20, 14, 2.5], list("abcd"), list("xyyx"), [1, 2, 3, 0.5])
    with pytest.raises(DataError, match=r"^unit 3 \(label 'd'\), .*: expected a positive number"):
        made.append("d", 7, 0, group="x")


def test_duplicate_labels_warn(kind):
    with pytest.warns(DataWarning, match=f"^{kind.__name__}: expected a label of its own"):
        kind([0, 1], [1, 1], ["a", "a"])


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table])
def test_frames_are_read_and_remembered(kind, library):
    frame = library({"y": [3, 1], "e": [2.5, 0.5], "name": ["a", "b"], "lab": ["x", "y"]})
    made = kind.from_frame(frame, "y", "e", label="name", group="lab")
    assert made == kind([3, 1], [2.5, 0.5], ["a", "b"], ["x", "y"])
    assert made.frame.native is frame
    assert made.frame.columns == ("y", "e")
    by_name = dict(zip(kind.columns, ("y", "e"), strict=True))
    assert kind.from_frame(frame, **by_name, label="name", group="lab") == made
    with pytest.raises(ConfigError, match=f"one of its own for {kind.columns[1]}, found 'y'"):
        kind.from_frame(frame, "y", "y")
    wrong = library({"y": [3, 1], "e": [2.5, 0.0], "lab": ["x", None]})
    place = re.escape("data frame, row 1, column 'e': expected a positive number")
    with pytest.raises(DataError, match=f"^{place}.*, found 0.0$"):
        kind.from_frame(wrong, "y", "e")
    with pytest.raises(DataError, match=r"^data frame, row 1, column 'lab': expected text, found"):
        kind.from_frame(
            library({"y": [3, 1], "e": [2.5, 1.0], "lab": ["x", None]}), "y", "e", group="lab"
        )


def test_every_family_has_a_container():
    from hierjax.families import FAMILIES

    assert set(CONTAINERS) == set(FAMILIES)
    assert CONTAINERS["gamma_poisson"] is Events


def test_observations_are_read_without_importing_jax():
    code = "import hierjax.containers, sys; print({'jax', 'narwhals'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
