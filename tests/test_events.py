"""Files of one row an event are added up to units, by Python or by DuckDB to the same counts."""

import re

import pytest
from table_files import write

from hierjax import files
from hierjax.counts import Counts
from hierjax.errors import DataError
from hierjax.reading import read_counts


@pytest.fixture(params=["Python", "DuckDB"], autouse=True)
def engine(request, monkeypatch):
    """Small text tables are read by Python alone, unless nothing counts as small."""
    if request.param == "DuckDB":
        monkeypatch.setattr(files, "_SMALL", 0)


EVENTS = [("p2", 1), ("p10", 0), ("p2", 0), ("p1", 1), ("p2", 1)]


@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl", "tsv.gz"])
def test_events_are_added_up_and_sorted(tmp_path, format):
    columns = {"success_column": "sold", "unit": "page"}
    path = write(tmp_path / f"a.{format}", EVENTS, ("page", "sold"))
    expected = Counts([1, 0, 2], [1, 1, 3], ["p1", "p10", "p2"])
    assert read_counts(path, **columns) == expected
    words = [(int(page[1:]), bool(sold)) for page, sold in EVENTS]
    path = write(tmp_path / f"words.{format}", words, ("page", "sold"))
    numbered = Counts([1, 2, 0], [1, 3, 1], ["1", "2", "10"])
    assert read_counts(path, **columns) == numbered
    both = read_counts(tmp_path / f"*.{format}", **columns)
    assert both.labels.tolist() == ["1", "2", "10", "p1", "p10", "p2"]


@pytest.mark.parametrize("format", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("p2", 2), "column 'sold': expected 0 or 1, false or true, found '2'"),
        (("", 1), "column 'page': expected a unit, found an empty cell"),
    ],
)
def test_a_bad_event_is_found(tmp_path, format, row, message):
    path = write(tmp_path / f"a.{format}", [*EVENTS, row, ("p3", 7)], ("page", "sold"))
    place = "line 7" if format == "csv" else "row 6"
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}, {place}, {message}')}$"):
        read_counts(path, success_column="sold", unit="page")
