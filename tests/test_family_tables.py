"""Files of events with exposures, and of measurements, in every format, with errors that point."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_files import write

from hierjax import files
from hierjax.errors import ConfigError, DataError
from hierjax.measurements import Measurements
from hierjax.poisson_events import Events
from hierjax.table_columns import family_of, table_columns

NAMES = ("name", "y", "e", "lab", "weight")
ROWS = {
    Events: [("c", 2, 0.5, "x", 1.0), ("a", 0, 1e9, "y", 0.5), ("b", 5, 1.05, "x", 2.0)],
    Measurements: [("c", 28.5, 15, "x", 1), ("a", -0.125, 1e-3, "y", 1), ("b", 3, 2.5, "x", 1)],
}
POSITIVE = "a positive number, 1e-100 to 1e+100"
WHOLE = "a whole number from 0 to 9007199254740991"
FINITE = "a finite number, at most 1e+100 in size"


@pytest.fixture(scope="module", params=["Python", "DuckDB"], autouse=True)
def engine(request):
    """Small text tables are read by Python alone, unless nothing counts as small."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "DuckDB":
            patch.setattr(files, "_SMALL", 0)
        yield request.param


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("format", ["csv", "tsv.gz", "parquet", "jsonl", "json"])
def test_every_format_holds_the_same_table(tmp_path, kind, format):
    path = write(tmp_path / f"a.{format}", ROWS[kind], NAMES)
    label, value, size, group, weight = (list(column) for column in zip(*ROWS[kind], strict=True))
    found = kind.from_file(path, "y", "e", label="name", group="lab", weight="weight")
    assert found == kind(value, size, label, group, weight)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(-1e100, 1e100), st.floats(1e-100, 1e100)), min_size=2))
def test_written_numbers_are_read_back_exactly(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "numbers.csv"
    path.write_text("y,e\n" + "".join(f"{y!r},{e!r}\n" for y, e in rows))
    found = Measurements.from_file(path, "y", "e")
    assert list(zip(found.values.tolist(), found.errors.tolist(), strict=True)) == rows


@pytest.mark.parametrize(
    ("kind", "row", "column", "found"),
    [
        (Events, "-1,2", "y", f"{WHOLE}, found -1"),
        (Events, "1.5,2", "y", f"{WHOLE}, found 1.5"),
        (Events, "1,0", "e", f"{POSITIVE}, found 0"),
        (Events, "0,-2.5", "e", f"{POSITIVE}, found -2.5"),
        (Events, "1,", "e", f"{POSITIVE}, found an empty cell"),
        (Events, "1,inf", "e", f"{POSITIVE}, found 'inf'"),
        (Events, "1,1e-200", "e", f"{POSITIVE}, found 1e-200"),
        (Events, "1,many", "e", f"{POSITIVE}, found 'many'"),
        (Measurements, "nan,1", "y", f"{FINITE}, found 'nan'"),
        (Measurements, "1e101,1", "y", f"{FINITE}, found 1e+101"),
        (Measurements, "1_0,1", "y", f"{FINITE}, found '1_0'"),
        (Measurements, "3,0", "e", f"{POSITIVE}, found 0"),
        (Measurements, "3,-10", "e", f"{POSITIVE}, found -10"),
    ],
)
def test_a_bad_cell_is_found(tmp_path, kind, row, column, found):
    path = tmp_path / "a.csv"
    path.write_text(f"y,e\n1,2\n\n{row}\n3,4\n")
    message = f"{path}, line 4, column '{column}': expected {found}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        kind.from_file(path, "y", "e")


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
@pytest.mark.parametrize("bad", [0.0, -1.0, None, math.inf])
def test_a_bad_cell_is_found_by_its_row(tmp_path, format, bad):
    if format == "jsonl" and bad == math.inf:
        pytest.skip("JSON has no infinity")
    rows = [("a", 1, 2.0), ("b", 2, bad), ("c", 3, 4.0)]
    path = write(tmp_path / f"a.{format}", rows, ("name", "y", "e"))
    message = f"{path}, row 2, column 'e': expected {POSITIVE}, found {bad}"
    for kind in ROWS:
        with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
            kind.from_file(path, "y", "e")


def test_a_group_column_with_nulls_is_refused(tmp_path):
    path = write(tmp_path / "a.parquet", [(1, 2.0, "x"), (2, 1.0, None)], ("y", "e", "lab"))
    for kind in ROWS:
        with pytest.raises(DataError, match="row 2, column 'lab': expected text, found"):
            kind.from_file(path, "y", "e", group="lab")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"events": "y"}, "events and exposure, found no exposure"),
        ({"errors": "s"}, "values and errors, found no values"),
        ({"events": "y", "exposure": "y"}, "one of its own for exposures, found 'y', which is"),
        ({"events": "y", "exposure": "e", "trials": "n"}, "events and exposure, found trials"),
        ({"family": "gamma_poisson"}, "events and exposure, found no events and no exposure"),
        (
            {"family": "gamma_poisson", "success_column": "s", "unit": "u"},
            "events and exposure, found success_column",
        ),
        (
            {"family": "beta_binomial", "events": "y", "exposure": "e"},
            "successes and trials, or success_column and unit, found events",
        ),
    ],
)
def test_columns_of_two_families_are_not_mixed(columns, message):
    with pytest.raises(ConfigError, match=f"^columns: expected {re.escape(message)}"):
        table_columns(**columns)


def test_columns_say_the_family():
    assert family_of(["values"]) == table_columns(values="y", errors="s").family == "normal_normal"
    assert family_of(["unit"]) == "beta_binomial"
    assert family_of(["label"]) is None
