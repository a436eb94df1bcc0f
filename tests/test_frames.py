"""Data frames of every kind go in by the names of their columns, and come back with answers."""

import re
from decimal import Decimal

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import hierjax as hj
from hierjax.counts import Counts
from hierjax.errors import ConfigError, DataError, DataWarning
from hierjax.frames import free_names

UNITS = {
    "lab": ["c", "a", "d", "b", "e"],
    "tumors": [2, 0, 5, 2, 0],
    "rats": [19, 40, 18, 19, 0],
    "note": ["x", "y", "x", "z", "z"],
}
EVENTS = {
    "page": ["b", "a", "b", "c", "a", "b"],
    "sold": [True, False, False, True, True, True],
}
ANSWERS = ["raw_rate", "mean", "sd", "low", "median", "high", "shrinkage"]
WHOLE = "expected a whole number from 0 to 9007199254740991"
# A relation of DuckDB is good for as long as its connection.
DATABASE = duckdb.connect()
EAGER = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def relation(columns):
    return DATABASE.from_arrow(pa.table(columns))


KINDS = EAGER | {"polars, lazy": pl.LazyFrame, "duckdb": relation}


def plain(frame):
    """A frame of any kind as a dictionary of lists."""
    wrapped = nw.from_native(frame)
    wrapped = wrapped.collect() if isinstance(wrapped, nw.LazyFrame) else wrapped
    return {name: wrapped[name].to_list() for name in wrapped.columns}


def counts_of(frame, **columns):
    return Counts.from_frame(frame, **{"successes": "tumors", "trials": "rats"} | columns)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return KINDS[request.param]


def test_the_same_kind_comes_back_with_answers(kind):
    frame = kind(UNITS)
    counts = counts_of(frame, label="lab")
    assert counts == Counts(UNITS["tumors"], UNITS["rats"], UNITS["lab"])
    fit = hj.fit(counts)
    found = fit.units(level=0.8)
    assert type(found) is type(frame)
    columns = plain(found)
    assert list(columns) == [*UNITS, *ANSWERS]
    assert {name: columns[name] for name in UNITS} == UNITS
    table = fit.unit_table(level=0.8)
    for name in ANSWERS:
        values = np.array([np.nan if v is None else v for v in columns[name]])
        np.testing.assert_array_equal(values, table[name])
    assert list(plain(frame)) == list(UNITS), "the user's own frame was changed"


def test_what_a_frame_was_is_not_part_of_equality(kind):
    frame = kind(UNITS)
    counts = counts_of(frame)
    assert counts.frame.native is frame
    assert counts == Counts(UNITS["tumors"], UNITS["rats"])
    assert repr(counts) == "Counts(units=5, successes=9, trials=96)"
    assert counts.select(slice(3)).frame is None
    assert counts.append("new", 1, 2).frame is None


def test_every_column_is_read(kind):
    more = UNITS | {"weight": [1.0, 0.5, 2.0, 1.0, 0.0]}
    counts = counts_of(kind(more), label="lab", group="note", weight="weight")
    expected = Counts(UNITS["tumors"], UNITS["rats"], UNITS["lab"], UNITS["note"], more["weight"])
    assert counts == expected


def test_events_are_added_up_by_the_engine(kind):
    frame = kind(EVENTS)
    counts = Counts.from_events(frame, success="sold", unit="page")
    assert counts == Counts([1, 2, 1], [2, 3, 1], ["a", "b", "c"])
    tallied = counts.frame.native
    assert type(tallied) is type(frame)
    assert plain(tallied) == {"page": ["a", "b", "c"], "successes": [1, 2, 1], "trials": [2, 3, 1]}
    numbers = EVENTS | {"sold": [float(sold) for sold in EVENTS["sold"]]}
    assert Counts.from_events(kind(numbers), "sold", "page") == counts


def test_an_unknown_column_is_named_with_the_nearest(kind):
    message = "data frame: expected a column 'tumor', found lab, tumors, rats, note; did you mean"
    with pytest.raises(DataError, match=f"^{message} 'tumors'\\?$"):
        counts_of(kind(UNITS), successes="tumor")
    with pytest.raises(DataError, match="expected a column 'pages', found page, sold; did you"):
        Counts.from_events(kind(EVENTS), "sold", "pages")


def test_nulls_fractions_and_text_are_found_by_row_and_column(kind):
    place = re.escape("data frame, row 2 (label 'd'), column ")
    for column, value, found in (
        ("rats", None, "(None|nan|masked)"),
        ("rats", 17.5, "17.5"),
        ("tumors", -1, "-1"),
    ):
        values = [*UNITS[column][:2], value, *UNITS[column][3:]]
        values = [v if v is None or isinstance(value, int) else float(v) for v in values]
        with pytest.raises(DataError, match=f"^{place}'{column}': {WHOLE}, found {found}$"):
            counts_of(kind(UNITS | {column: values}), label="lab")
    message = "row 0, column 'note': expected a whole number .*, found 'x'$"
    with pytest.raises(DataError, match=message):
        counts_of(kind(UNITS), trials="note")
    with pytest.raises(
        DataError, match=r"row 0, column 'tumors': expected at most 1 .column 'one'"
    ):
        counts_of(kind(UNITS | {"one": [1] * 5}), trials="one")
    labels = ["c", None, "d", "b", "e"]
    with pytest.raises(DataError, match=r"row 1, column 'lab': expected text, found"):
        counts_of(kind(UNITS | {"lab": labels}), label="lab")


def test_a_column_holds_one_thing(kind):
    message = "columns: expected one of its own for {}, found {!r}, which is that of {}$"
    with pytest.raises(ConfigError, match=message.format("trials", "tumors", "successes")):
        counts_of(kind(UNITS), trials="tumors")
    with pytest.raises(ConfigError, match=message.format("labels", "rats", "trials")):
        counts_of(kind(UNITS), label="rats")
    with pytest.raises(ConfigError, match=message.format("unit", "sold", "success")):
        Counts.from_events(kind(EVENTS), "sold", "sold")


def test_mixed_types_are_found_by_row():
    frame = pd.DataFrame(UNITS | {"rats": [19, 40, "many", 19, 0]})
    with pytest.raises(DataError, match=r"^data frame, row 2, column 'rats': .*, found 'many'$"):
        counts_of(frame)
    frame = pd.DataFrame(UNITS | {"rats": pd.array([19, 40, None, 19, 0], dtype="Int64")})
    with pytest.raises(DataError, match=r"^data frame, row 2, column 'rats': .*, found <NA>$"):
        counts_of(frame)


def test_whole_numbers_of_any_type_are_read():
    decimals = [Decimal(n) for n in UNITS["rats"]]
    expected = Counts(UNITS["tumors"], UNITS["rats"])
    for rats in (
        decimals,
        [float(n) for n in UNITS["rats"]],
        pl.Series(UNITS["rats"], dtype=pl.UInt8),
    ):
        frame = pl.DataFrame(UNITS | {"rats": rats})
        for each in (
            frame,
            frame.lazy(),
            frame.to_arrow(),
            DATABASE.from_arrow(frame.to_arrow()),
        ):
            counts = counts_of(each)
            assert counts == expected
            assert plain(hj.fit(counts, method=hj.Moments()).units())["mean"][0] is not None
    booleans = {"won": [True, False, True], "played": [True, True, True]}
    counts = Counts.from_frame(pl.DataFrame(booleans), "won", "played")
    assert counts == Counts([1, 0, 1], [1, 1, 1])


def test_duplicate_labels_warn_with_their_rows(kind):
    message = re.escape("'a' of data frame, row 1 (label 'a') by data frame, row 3 (label 'a')")
    with pytest.warns(DataWarning, match=message):
        counts_of(kind(UNITS | {"lab": ["c", "a", "d", "a", "e"]}), label="lab")


def test_a_lazy_frame_that_fails_is_refused_in_one_line():
    late = pl.LazyFrame(UNITS).with_columns(rats=pl.col("note").str.to_integer())
    missing = pl.scan_csv("missing.csv")
    gone = duckdb.connect()
    gone.execute("CREATE TABLE t AS SELECT 1 AS tumors, 2 AS rats")
    dropped = gone.sql("SELECT * FROM t")
    gone.execute("DROP TABLE t")
    for frame, error in ((late, "ComputeError"), (missing, "FileNotFoundError"), (dropped, "")):
        with pytest.raises(
            DataError, match=r"^data frame: expected one that can be read"
        ) as caught:
            counts_of(frame)
        assert error in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.__suppress_context__


@pytest.mark.parametrize("frame", [[1, 2], None, {"tumors": [1]}, pd.Series([1, 2])])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(DataError, match=f"understands, found {type(frame).__name__}$"):
        counts_of(frame)


def test_columns_of_one_name_are_refused():
    frame = pd.DataFrame([[1, 2, 3], [1, 2, 3]], columns=["tumors", "rats", "rats"])
    with pytest.raises(DataError, match="expected one that can be read, found DuplicateError"):
        counts_of(frame)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("sold", 3, 2, "row 3, column 'sold': expected 0 or 1, false or true, found 2"),
        ("sold", 0, 0.5, "row 0, column 'sold': expected 0 or 1, false or true, found 0.5"),
        ("sold", 4, None, "row 4, column 'sold': expected 0 or 1, false or true, found"),
        ("page", 2, None, "row 2, column 'page': expected a unit, found nothing"),
    ],
)
def test_a_bad_event_is_found(kind, column, row, value, message):
    columns = {name: list(values) for name, values in EVENTS.items()}
    if value is not None:
        columns[column] = [type(value)(v) for v in columns[column]]
    columns[column][row] = value
    with pytest.raises(DataError, match=f"^data frame, {message}"):
        Counts.from_events(kind(columns), "sold", "page")


def test_events_in_text_and_in_python_objects():
    frame = pl.DataFrame(EVENTS | {"sold": ["yes"] * 6})
    with pytest.raises(DataError, match=r"row 0, column 'sold': expected 0 or 1, .*, found 'yes'"):
        Counts.from_events(frame, "sold", "page")
    frame = pd.DataFrame(EVENTS | {"sold": pd.Series([1, False, 0, 1.0, True, 1], dtype=object)})
    assert Counts.from_events(frame, "sold", "page") == Counts([1, 2, 1], [2, 3, 1], list("abc"))
    with pytest.raises(DataError, match="not called successes or trials, found 'trials'"):
        Counts.from_events(pl.DataFrame({"sold": [1], "trials": [1]}), "sold", "trials")


def test_an_answer_gives_way_to_a_column_of_the_user(kind):
    frame = kind(UNITS | {"Mean": [5, 4, 3, 2, 1]})
    found = plain(hj.fit(counts_of(frame), method=hj.Moments()).units())
    names = [*UNITS, "Mean", "raw_rate", "mean_fit", *ANSWERS[2:]]
    assert list(found) == names
    assert found["Mean"] == [5, 4, 3, 2, 1]
    with pytest.raises(DataError, match="columns called both 'sd' and 'sd_fit', found both"):
        free_names(["sd", "SD_fit"], {"sd": None})


def test_an_index_of_pandas_is_kept():
    frame = pd.DataFrame(UNITS, index=[7, 3, 3, 1, 0])
    found = hj.fit(counts_of(frame), method=hj.Moments()).units()
    assert found.index.tolist() == [7, 3, 3, 1, 0]
    assert found["raw_rate"].tolist()[:4] == [2 / 19, 0, 5 / 18, 2 / 19]


def test_an_index_of_pandas_does_not_matter_to_events():
    events = pd.DataFrame(EVENTS)
    found = Counts.from_events(events.set_axis([7, 3, 3, -1, 100, 0]), "sold", "page")
    assert found == Counts.from_events(events, "sold", "page")
    frame = pd.DataFrame(EVENTS | {"page": ["a", "b", pd.NA, "c", "b", "a"]}, index=list("xyzzyx"))
    with pytest.raises(DataError, match="row 2, column 'page': expected a unit, found nothing"):
        Counts.from_events(frame, "sold", "page")


def test_a_frame_that_was_changed_after_it_was_read_is_refused():
    frame = pd.DataFrame(UNITS)
    fit = hj.fit(counts_of(frame), method=hj.Moments())
    frame.loc[1, "tumors"] = 3
    with pytest.raises(DataError, match="expected the counts that were fitted, found others"):
        fit.units()


def test_a_frame_of_narwhals_itself_comes_back_as_one():
    for frame in (nw.from_native(pl.DataFrame(UNITS)), nw.from_native(pl.LazyFrame(UNITS))):
        found = hj.fit(counts_of(frame), method=hj.Moments()).units()
        assert type(found) is type(frame)


def test_a_lazy_frame_is_not_computed_for_columns_that_are_not_asked_for():
    def refuse(values):
        raise AssertionError("computed")

    lazy = pl.LazyFrame(UNITS).with_columns(pl.col("note").map_batches(refuse, pl.String))
    fit = hj.fit(counts_of(lazy), method=hj.Moments())
    assert plain(fit.units().drop("note"))["tumors"] == UNITS["tumors"]
