"""Files of every format hold the same tables, and say which row of theirs is wrong."""

import gzip
import re

import pytest
from table_files import EXPECTED, FIELDS, NAMES, ROWS, write

from hierjax import files, text_tables
from hierjax.errors import DataError
from hierjax.reading import read_counts
from hierjax.validation import MAX_COUNT

WHOLE = f"a whole number from 0 to {MAX_COUNT}"


@pytest.fixture
def only_duckdb(monkeypatch):
    """Python's parser, which reads again whatever DuckDB will not, may read headers alone."""

    def refuse(*arguments):
        raise AssertionError("read by Python")

    monkeypatch.setattr(files, "_SMALL", 0)
    monkeypatch.setattr(text_tables, "columns", refuse)


@pytest.mark.parametrize(
    "name",
    [
        "a.csv",
        "a.tsv",
        "a.csv.gz",
        "a.tsv.gz",
        "a.parquet",
        "a.jsonl",
        "a.jsonl.gz",
        "a.json",
        "it's [1].csv",
        "what?*.parquet",
    ],
)
def test_every_format_holds_the_same_table(tmp_path, name, only_duckdb):
    decoy = tmp_path / "it's 1.csv"
    decoy.write_text("lab\n")
    assert read_counts(write(tmp_path / name), **FIELDS) == EXPECTED


@pytest.mark.parametrize("small", [0, 1 << 20])
@pytest.mark.parametrize("format", ["csv", "csv.gz", "parquet", "jsonl"])
def test_a_pattern_names_files_in_alphabetical_order(tmp_path, format, small, monkeypatch):
    monkeypatch.setattr(files, "_SMALL", small)
    write(tmp_path / f"2.{format}", ROWS[1:])
    # Columns need not stand in the same order.
    write(tmp_path / f"1.{format}", [row[::-1] for row in ROWS[:1]], NAMES[::-1])
    (tmp_path / "other.txt").write_text("none of these")
    assert read_counts(tmp_path / f"*.{format}", **FIELDS) == EXPECTED
    write(tmp_path / f"3.{format}", [("d", 30, 20, "x", 1.0)])
    place = f"3.{format}, {'line 2' if 'csv' in format else 'row 1'}, column 'tumors'"
    with pytest.raises(DataError, match=re.escape(f"{place}: expected at most 20 (column 'rats')")):
        read_counts(tmp_path / f"?.{format}", **FIELDS)


def test_a_pattern_without_files_and_one_with_many_formats(tmp_path):
    with pytest.raises(DataError, match=r"no\*\.csv: expected files that match, found none$"):
        read_counts(tmp_path / "no*.csv", "tumors", "rats")
    write(tmp_path / "a.csv")
    write(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"expected files of one format, found parquet, text$"):
        read_counts(tmp_path / "a.*", "tumors", "rats")


@pytest.mark.parametrize("format", ["parquet", "jsonl", "json"])
@pytest.mark.parametrize(
    ("field", "values", "found"),
    [
        ("tumors", (2.0, 0.5, 5.0), f"'tumors': expected {WHOLE}, found 0.5"),
        ("tumors", (2, -1, 5), f"'tumors': expected {WHOLE}, found -1"),
        ("rats", ("19", "20", "18"), f"'rats': expected {WHOLE}, found '19'"),
        ("rats", (19, None, 18), f"'rats': expected {WHOLE}, found None"),
        ("lab", ("a", None, "b"), "'lab': expected text, found"),
        ("lab", ("a", " ", "b"), "'lab': expected text, found"),
        ("weight", (1.0, -0.5, 1.0), "'weight': expected a finite number that is not negative"),
    ],
)
def test_a_bad_cell_is_found_by_its_row(tmp_path, format, field, values, found):
    index = NAMES.index(field)
    rows = [(*row[:index], v, *row[index + 1 :]) for row, v in zip(ROWS, values, strict=True)]
    path = write(tmp_path / f"a.{format}", rows)
    row = 1 if "found '19'" in found else 2
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}, row {row}, column {found}')}"):
        read_counts(path, **FIELDS)


def test_mixed_types_in_json_are_found_by_their_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"y": 1, "n": 4}\n{"y": 2, "n": "nine"}\n{"y": 3}\n')
    with pytest.raises(DataError, match=r"a\.jsonl, row 2, column 'n': .*, found 'nine'$"):
        read_counts(path, "y", "n")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"no such thing", "a.parquet"),
        ("a.jsonl", b'{"y": 1, "n": 2}\n{"y": 3,\n', "Malformed JSON"),
        ("a.jsonl", b"", "found an empty file"),
        ("a.csv.gz", b"y,n\n1,2\n", "Not a gzipped file"),
        (
            "a.csv.gz",
            gzip.compress(b"y,n\n1,2\n" * 99, mtime=0)[:-20],
            "Compressed file ended before",
        ),
    ],
)
def test_a_broken_file_is_refused_in_a_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: expected .*{message}") as caught:
        read_counts(path, "y", "n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_a_missing_column_is_named_with_the_nearest(tmp_path, format):
    path = write(tmp_path / f"a.{format}")
    message = (
        f"{path}: expected one column 'tumor', found {', '.join(NAMES)}; did you mean 'tumors'"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        read_counts(path, "tumor", "rats")
