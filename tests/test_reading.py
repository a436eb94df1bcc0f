"""Files are read as they are, and refused with the line and the column that break a rule."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierjax import files, text_tables
from hierjax.counts import Counts
from hierjax.errors import ConfigError, DataError, DataWarning
from hierjax.reading import read_counts
from hierjax.validation import MAX_COUNT

WHOLE = f"a whole number from 0 to {MAX_COUNT}"
HEADER = "experiment,tumors,rats,lab,weight\n"


@pytest.fixture(scope="module", params=["Python", "DuckDB"], autouse=True)
def engine(request):
    """Small text tables are read by Python alone, unless nothing counts as small."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "DuckDB":
            patch.setattr(files, "_SMALL", 0)
        yield request.param


def read(path, content, **columns):
    """The counts in a file of this content, by the columns of `HEADER` unless told."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_counts(path, **{"successes": "tumors", "trials": "rats"} | columns)


def test_every_column_is_read(tmp_path):
    rows = "a,0,20,x,1\n b , 4, 14,y , 0.5\n"
    counts = read(
        tmp_path / "rats.csv", HEADER + rows, label="experiment", group="lab", weight="weight"
    )
    assert counts == Counts([0, 4], [20, 14], ["a", "b"], ["x", "y"], [1, 0.5])


@pytest.mark.parametrize(
    "content",
    [
        "tumors,rats\n0,20\n4,14\n",
        "tumors,rats\n0,20\n4,14",
        "rats,tumors\n20,0\n14,4\n",
        "tumors,rats\r\n0,20\r\n4,14\r\n",
        "\ufefftumors,rats\n0,20\n4,14\n",
        "\n\ntumors,rats\n\n0,20\n\n4,14\n\n",
        ' tumors , rats\n 0, 20 \n4 ,"14"\n',
        "tumors,rats\n0.0,2e1\n+4,14.00\n",
        'note,tumors,rats\n"two\nlines",0,20\n"a, b",4,14\n',
    ],
)
def test_the_same_table_in_other_dress(tmp_path, content):
    assert read(tmp_path / "rats.csv", content) == Counts([0, 4], [20, 14])


@pytest.mark.parametrize("name", ["rats.tsv", "rats.TSV", "rats.tab"])
def test_tabs_separate_cells_where_the_name_says_so(tmp_path, name):
    assert read(tmp_path / name, "tumors\trats\n0\t20\n4\t14\n") == Counts([0, 4], [20, 14])


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, MAX_COUNT), min_size=2).filter(any),
    st.lists(st.booleans(), min_size=1),
)
def test_written_counts_are_read_back(tmp_path_factory, trials, blanks):
    """Blank lines, which move every line number, are scattered between the rows."""
    gaps = ["\n" * blanks[j % len(blanks)] for j in range(len(trials))]
    rows = (f"{gap}{n // 2},{n}\n" for gap, n in zip(gaps, trials, strict=True))
    path = tmp_path_factory.getbasetemp() / "written.csv"
    assert read(path, "tumors,rats\n" + "".join(rows)) == Counts([n // 2 for n in trials], trials)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("-1", "-1"),
        ("2.5", "2.5"),
        ("nan", "'nan'"),
        ("NaN", "'NaN'"),
        ("inf", "'inf'"),
        ("", "an empty cell"),
        ("  ", "an empty cell"),
        ("four", "'four'"),
        ("1_0", "'1_0'"),
        ('"1,000"', "'1,000'"),
        ("NA", "'NA'"),
        ("1e400", "'1e400'"),
        ("9007199254740992", "9007199254740992"),
        ("18446744073709551616", "18446744073709551616"),
        ("9" * 5000, "'" + "9" * 56 + "..."),
    ],
)
@pytest.mark.parametrize("column", ["tumors", "rats"])
def test_a_bad_cell_is_found(tmp_path, column, cell, found):
    path = tmp_path / "rats.csv"
    # Blank lines and a quoted line break: the fourth row of cells stands on line 7 of the file.
    before = 'tumors,rats,note\n0,20,""\n\n\n1,20,"two\nlines"\n'
    row = f"{cell},20,\n" if column == "tumors" else f"0,{cell},\n"
    message = f"{path}, line 7, column '{column}': expected {WHOLE}, found {found}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read(path, before + row + "2,20,\n")


def test_more_successes_than_trials_are_found(tmp_path):
    path = tmp_path / "rats.csv"
    message = f"{path}, line 3, column 'tumors': expected at most 14 (column 'rats'), found 15"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read(path, "tumors,rats\n0,20\n15,14\n16,14\n")


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (",4,14,x,1", "experiment", "text, found an empty cell"),
        ("b,4,14,,1", "lab", "text, found an empty cell"),
        ("b,4,14,x,", "weight", "a finite number that is not negative, found an empty cell"),
        ("b,4,14,x,-1", "weight", "a finite number that is not negative, found -1"),
        ("b,4,14,x,nan", "weight", "a finite number that is not negative, found 'nan'"),
        ("b,4,14,x,heavy", "weight", "a finite number that is not negative, found 'heavy'"),
    ],
)
def test_a_bad_label_group_or_weight_is_found(tmp_path, row, column, expected):
    path = tmp_path / "rats.csv"
    message = f"{path}, line 3, column '{column}': expected {expected}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read(
            path,
            f"{HEADER}a,0,20,x,1\n{row}\n",
            label="experiment",
            group="lab",
            weight="weight",
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": expected a header and rows below it, found an empty file"),
        ("\n\n", ": expected a header and rows below it, found an empty file"),
        ("tumors,rats\n", ": expected at least two units to pool, found 0"),
        ("tumors,rats\n4,14\n", ": expected at least two units to pool, found 1"),
        ("tumors,rats\n0,0\n0,0\n", ": expected a unit that has trials, found none"),
        (
            "tumours,rats\n0,20\n4,14\n",
            ", line 1: expected one column 'tumors', found tumours, rats; did you mean 'tumours'?",
        ),
        ("\ndeaths,rats\n", ", line 2: expected one column 'tumors', found deaths, rats"),
        ("tumors;rats\n0;20\n", ", line 1: expected one column 'tumors', found tumors;rats"),
        (
            "tumors,RATS\n0,20\n4,14\n",
            ", line 1: expected one column 'rats', found tumors, RATS; did you mean 'RATS'?",
        ),
        ("tumors,rats,rats\n", ", line 1: expected one column 'rats', found 2 of that name"),
        ("tumors,rats\n0,20\n4\n", ", line 3: expected 2 cells as in the header, found 1"),
        ("tumors,rats\n\n0,20,1\n", ", line 3: expected 2 cells as in the header, found 3"),
        ("tumors,rats\n0,20,\n4,14,\n", ", line 2: expected 2 cells as in the header, found 3"),
        ('tumors,rats\n0,20\n"4,14\n', ", line 3: expected cells of a table, found unexpected end"),
        (b"tumors,rats\n0,20\n4,\xff\n", ", line 3: expected UTF-8 text, found byte 0xff"),
        (b"\xef\xbb\xbftumors,rats\n\xe9", ", line 2: expected UTF-8 text, found byte 0xe9"),
        ("tumors,rats\n".encode("utf-16-le"), ", line 1: expected one column 'tumors', found "),
        ("tumors,rats\n".encode("utf-16"), ", line 1: expected UTF-8 text, found byte 0x"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, content, message):
    path = tmp_path / "rats.csv"
    with pytest.raises(DataError, match=f"^{re.escape(str(path) + message)}"):
        read(path, content)


def test_a_long_header_is_shown_in_part(tmp_path):
    header = ",".join(f"column {k}" for k in range(1000))
    with pytest.raises(DataError, match=r"found column 0, .* \.\.\.$") as caught:
        read(tmp_path / "wide.csv", header + "\n")
    # The path of a test may be long, the rest is not.
    assert len(str(caught.value)) - len(str(tmp_path)) < 300


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    missing = tmp_path / "missing.csv"
    with pytest.raises(
        DataError, match=r"missing\.csv: expected a readable file, found: No such f"
    ):
        read_counts(missing, "tumors", "rats")
    with pytest.raises(DataError, match=r": expected a readable file, found: Is a directory$"):
        read_counts(tmp_path, "tumors", "rats")

    def refuse(path, *mode):
        raise PermissionError(13, "Permission denied", str(path))

    # A file's mode would not stop a superuser, as whom tests may run.
    missing.touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r": expected a readable file, found: Permission denied$"):
        read_counts(str(missing), "tumors", "rats")


def test_duplicate_labels_warn_with_their_lines(tmp_path):
    path = tmp_path / "rats.csv"
    message = f"found 1 used before, as 'a' of {path}, line 2 by {path}, line 4"
    with pytest.warns(DataWarning, match=re.escape(message)):
        read(path, f"{HEADER}a,0,20,x,1\nb,1,20,x,1\na,4,14,x,1\n", label="experiment")


@pytest.fixture
def only_duckdb(monkeypatch):
    """Python's parser, which reads again whatever DuckDB will not, may read headers alone."""

    def refuse(*arguments):
        raise AssertionError("read by Python")

    monkeypatch.setattr(files, "_SMALL", 0)
    monkeypatch.setattr(text_tables, "columns", refuse)


@pytest.mark.parametrize(
    "content",
    [
        "tumors,rats\r\n0,20\r\n4,14",
        "\ufefftumors,rats\n0,20\n4,14\n",
        "\n\ntumors,rats\n\n0,20\n\n4,14\n\n",
        ' tumors , rats\n 0, 20 \n4 ,"14"\n',
        "tumors,rats\n0.0,2e1\n+4,14.00\n",
        'note,tumors,rats\n"two\nlines",0,20\n"a, b",4,14\n',
        "rats,note,note,tumors\n20,#,,0\n14,,,4\n",
    ],
)
def test_duckdb_reads_tables_in_any_dress(tmp_path, content, only_duckdb):
    assert read(tmp_path / "rats.csv", content) == Counts([0, 4], [20, 14])


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({}, "found no successes and no trials"),
        ({"successes": "y"}, "found no trials"),
        ({"unit": "u"}, "found no success_column"),
        ({"success_column": "s"}, "found no unit"),
        ({"success_column": "s", "unit": "u", "trials": "n"}, "found column 'n' of units beside"),
    ],
)
def test_columns_of_two_kinds_of_table_are_not_mixed(columns, found):
    with pytest.raises(
        ConfigError, match=f"successes and trials, or success_column and unit, {found}"
    ):
        read_counts("never opened.csv", **columns)
