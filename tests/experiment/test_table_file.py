"""The user's table comes back whole and in its order, with the answers of `Fit.units` added."""

import json
import os
import platform
import subprocess
import sys

import duckdb
import numpy as np
import pytest
from table_files import write

import hierjax as hj
from hierjax.errors import ConfigError, DataError
from hierjax.experiment import commands, table_file

ANSWERS = ["raw_rate", "mean", "sd", "low", "median", "high", "shrinkage"]
COLUMNS = {"successes": "y", "trials": "n"}


def write_units(path, rows=120):
    """A table in no order of its counts, with cells that are easily spoilt."""
    generator = np.random.default_rng(3)
    trials = generator.integers(0, 41, rows)
    successes = generator.binomial(trials, generator.beta(2, 5, rows))
    notes = ["", "007", '"a, b"', " x ", "1.50"]
    lines = [
        f"{j},{y},{notes[j % 5]},{n}"
        for j, (y, n) in enumerate(zip(successes, trials, strict=True))
    ]
    path.write_text("\n".join(["id,y,note,n", *lines, ""]))
    return path


def run(source, out, columns=COLUMNS, method="quadrature", **settings):
    changes = [f"{key}={value}" for key, value in settings.items()]
    commands.fit(str(source), columns, method, [], {}, out, changes, False)


def table(path):
    """A file's columns as lists."""
    relation = duckdb.sql(f"SELECT * FROM '{path}'")
    return dict(
        zip(relation.columns, map(list, zip(*relation.fetchall(), strict=True)), strict=True)
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A table of units and the two files that are made of it."""
    folder = tmp_path_factory.mktemp("tables")
    source = write_units(folder / "a.csv")
    for name in ("out.csv", "out.parquet"):
        run(source, folder / name, level=0.8)
    return folder


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_file_holds_what_units_gives(written, name):
    expected = hj.fit(hj.read_counts(written / "a.csv", "y", "n")).units(level=0.8)
    found = table(written / name)
    assert list(found) == ["id", "y", "note", "n", *ANSWERS]
    assert found["y"] == expected["successes"].tolist()
    assert found["n"] == expected["trials"].tolist()
    for column in ANSWERS:
        values = np.array([np.nan if v is None else v for v in found[column]])
        # The same posterior, from pairs with weights and not unit by unit: but for rounding.
        np.testing.assert_allclose(values, expected[column], rtol=1e-12, atol=1e-15)


def test_the_cells_of_the_user_are_not_touched(written):
    lines = (written / "out.csv").read_text().splitlines()
    for before, after in zip((written / "a.csv").read_text().splitlines(), lines, strict=True):
        assert after.startswith(before + ",")
    assert "nan" not in "".join(lines)


def test_types_of_a_parquet_file(written):
    relation = duckdb.sql(f"SELECT * FROM '{written / 'out.parquet'}'")
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    assert kinds == {
        "id": "BIGINT", "y": "BIGINT", "note": "VARCHAR", "n": "BIGINT"
    } | dict.fromkeys(ANSWERS, "DOUBLE")  # fmt: skip
    assert table(written / "out.parquet")["note"][:5] == [None, "007", "a, b", " x ", "1.50"]


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_other_formats_go_in(written, tmp_path, format):
    source = tmp_path / f"a.{format}"
    text = "FORMAT json" if format == "jsonl" else "FORMAT parquet"
    duckdb.sql(f"COPY (SELECT * FROM '{written / 'a.csv'}') TO '{source}' ({text})")
    run(source, tmp_path / "out.parquet", level=0.8)
    found, expected = table(tmp_path / "out.parquet"), table(written / "out.parquet")
    assert list(found) == list(expected)
    for column in ("id", "y", "n", *ANSWERS):
        assert found[column] == expected[column]


def test_a_pattern_of_files_is_written_as_one_table(written, tmp_path):
    header, *lines = (written / "a.csv").read_text().splitlines()
    for name, part in (("1.csv", lines[:100]), ("2.csv", lines[100:])):
        (tmp_path / name).write_text("\n".join([header, *part]))
    run(tmp_path / "?.csv", tmp_path / "out.csv", level=0.8)
    assert (tmp_path / "out.csv").read_text() == (written / "out.csv").read_text()
    (tmp_path / "3.csv").write_text("y,n,id\n1,4,a\n")
    with pytest.raises(DataError, match=r"3\.csv, line 1: expected the columns of .*found 'note'"):
        run(tmp_path / "?.csv", tmp_path / "more.csv")


def test_events_are_written_by_unit(tmp_path):
    events = [("b", 1), ("a", 0), ("b", 0), ("c", 1), ("a", 1), ("b", 1)]
    (tmp_path / "e.csv").write_text(
        "page,sold,day\n" + "".join(f"{u},{s},mon\n" for u, s in events)
    )
    columns = {"success_column": "sold", "unit": "page"}
    run(tmp_path / "e.csv", tmp_path / "out.csv", columns)
    found = table(tmp_path / "out.csv")
    assert list(found) == ["page", "successes", "trials", *ANSWERS]
    assert (found["page"], found["successes"], found["trials"]) == (
        ["a", "b", "c"], [1, 2, 1], [2, 3, 1]
    )  # fmt: skip
    expected = hj.fit(hj.read_counts(tmp_path / "e.csv", **columns)).units()
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-12)
    for wrong, message in (
        ({"unit": "pages"}, "line 1: expected one column 'pages', found page, sold, day; did you"),
        ({"success_column": "day"}, "line 2, column 'day': expected 0 or 1, .*, found 'mon'"),
    ):
        with pytest.raises(DataError, match=message):
            run(tmp_path / "e.csv", tmp_path / "none.csv", columns | wrong)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.csv", "out.csv"]


FAMILIES = {
    "gamma_poisson": (
        hj.Events,
        {"events": "y", "exposure": "e"},
        [("a", 2, 0.5), ("b", 0, 1.05e5), ("c", 5, 1.05), ("d", 2, 0.5), ("e", 700, 90)],
    ),
    "normal_normal": (
        hj.Measurements,
        {"values": "y", "errors": "e"},
        [("a", 28.5, 15), ("b", -0.125, 10.5), ("c", 3, 16), ("d", 28.5, 15), ("e", 0, 1e-3)],
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("formats", [("csv", "parquet"), ("jsonl", "csv")])
def test_tables_of_every_family(tmp_path, family, formats):
    """Values and sizes that are no whole numbers find their own answers, rows in their order."""
    container, columns, rows = FAMILIES[family]
    source = write(tmp_path / f"a.{formats[0]}", rows, ("id", "y", "e"))
    out = tmp_path / f"out.{formats[1]}"
    run(source, out, columns | {"label": "id"}, level=0.8)
    labels, values, sizes = map(list, zip(*rows, strict=True))
    expected = hj.fit(container(values, sizes, labels)).units(level=0.8)
    found = table(out)
    assert list(found) == ["id", "y", "e", *ANSWERS]
    assert found["id"] == labels
    for column in ANSWERS:
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("family", "row", "message"),
    [
        ("gamma_poisson", "-1,2", "line 4, column 'y': expected a whole number from 0"),
        ("gamma_poisson", "1.5,2", "line 4, column 'y': expected a whole number from 0"),
        ("gamma_poisson", "1,0", "line 4, column 'e': expected a positive number, 1e-100"),
        ("gamma_poisson", "1,1e101", "line 4, column 'e': expected a positive number, 1e-100"),
        ("normal_normal", "1,-2", "line 4, column 'e': expected a positive number, 1e-100"),
        ("normal_normal", "nan,2", "line 4, column 'y': expected a finite number"),
        ("normal_normal", "-1e101,2", "line 4, column 'y': expected a finite number"),
        ("normal_normal", ",2", "line 4, column 'y': expected a finite number"),
    ],
)
def test_a_wrong_row_of_every_family_is_named(tmp_path, monkeypatch, family, row, message):
    (tmp_path / "a.csv").write_text(f"y,e\n3,1.5\n1,2\n{row}\n2,2\n")
    monkeypatch.setattr(table_file, "read_table", None)
    with pytest.raises(DataError, match=message):
        run(tmp_path / "a.csv", tmp_path / "out.csv", FAMILIES[family][1])
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.slow
def test_a_sampler_sees_every_unit(tmp_path):
    (tmp_path / "a.csv").write_text("y,n\n" + "2,9\n0,4\n" * 3)
    run(tmp_path / "a.csv", tmp_path / "out.csv", method="gibbs", **{
        "methods[0].draws": 20, "methods[0].warmup": 10, "methods[0].chains": 1
    })  # fmt: skip
    means = table(tmp_path / "out.csv")["mean"]
    assert len(set(means)) == 2
    assert means == [*means[:2]] * 3


def test_units_that_are_all_alike_are_still_many(tmp_path):
    (tmp_path / "a.csv").write_text("y,n\n" + "2,9\n" * 3)
    run(tmp_path / "a.csv", tmp_path / "out.csv", method="type2_mle")
    np.testing.assert_allclose(table(tmp_path / "out.csv")["mean"], [2 / 9] * 3)
    (tmp_path / "b.csv").write_text("y,n\n2,9\n")
    with pytest.raises(DataError, match=r"b\.csv: expected at least two units to pool, found 1$"):
        run(tmp_path / "b.csv", tmp_path / "none.csv")


def test_an_answer_gives_way_to_a_column_of_the_user(tmp_path):
    (tmp_path / "a.csv").write_text("mean,y,n\n5,2,9\n6,0,4\n")
    run(tmp_path / "a.csv", tmp_path / "out.csv", method="moments")
    assert list(table(tmp_path / "out.csv"))[:5] == ["mean", "y", "n", "raw_rate", "mean_fit"]


def test_labels_used_twice_are_reported(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("id,y,n\nu,2,9\nv,0,4\nu,1,5\n")
    run(tmp_path / "a.csv", tmp_path / "out.csv", COLUMNS | {"label": "id"})
    shown = capsys.readouterr()
    assert "found 1 used before, as 'u'" in shown.err
    assert shown.out.startswith("3 units, 3 successes of 18 trials\n")
    assert shown.out.splitlines()[-1] == f"table: {tmp_path / 'out.csv'}"


BAD = {
    "y,n\n1,4\n5,4\n": "line 3, column 'y': expected at most 4",
    "y,n\n1,4\n0.5,4\n": "line 3, column 'y': expected a whole number",
    "y,n\n1,4\n1,\n": "line 3, column 'n': expected a whole number",
    "y,n\n1,4\n1,2,3\n": "line 3: expected 2 cells as in the header, found 3",
    "y,m\n1,4\n1,2\n": "line 1: expected one column 'n', found y, m",
    "y,n\n0,0\n0,0\n": "expected a unit .*that has trials, found none",
    "y,n,N\n1,4,2\n1,4,2\n": "line 1: expected columns of different names, found 'n' and 'N'",
    "y,n,sd,SD_fit\n1,4,2,3\n1,4,2,3\n": "expected no columns called both 'sd' and 'sd_fit'",
    "": "expected a header and rows below it",
}


@pytest.mark.parametrize("content", BAD)
def test_a_bad_table_leaves_no_file(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    for name in ("out.csv", "out.parquet"):
        with pytest.raises(DataError, match=BAD[content]) as caught:
            run(tmp_path / "a.csv", tmp_path / name, method="moments")
        assert len(str(caught.value).splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_failure_while_writing_leaves_no_file(tmp_path, monkeypatch):
    write_units(tmp_path / "a.csv")

    def fail(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(table_file.os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path / "a.csv", tmp_path / "out.parquet", method="moments")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("change", ["another row", "another count"])
def test_a_table_that_changes_meanwhile_leaves_no_file(tmp_path, monkeypatch, change):
    source = write_units(tmp_path / "a.csv")
    original = table_file.UserTable.observations
    text = source.read_text()
    changed = text + "late,500,,1000\n" if change == "another row" else text.replace(",8\n", ",9\n")

    def counts(self, expanded=False):
        source.write_text(changed)
        os.utime(source, (1, 1))  # clocks of files may be too coarse to tell
        return original(self, expanded)

    monkeypatch.setattr(table_file.UserTable, "observations", counts)
    with pytest.raises(DataError, match="expected the 120 rows that were fitted, found others"):
        run(source, tmp_path / "out.csv", method="moments")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_what_is_there_is_not_written_over(tmp_path):
    source = write_units(tmp_path / "a.csv")
    before = source.read_text()
    with pytest.raises(ConfigError, match=r"a\.csv: expected no file there, found one"):
        run(source, source)
    with pytest.raises(ConfigError, match="expected a directory to write it to, found none"):
        run(source, tmp_path / "none" / "out.csv")
    with pytest.raises(ConfigError, match=r"^--resume: expected a run's directory"):
        commands.fit(str(source), COLUMNS, "moments", [], {}, tmp_path / "out.csv", [], True)
    assert source.read_text() == before


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(DataError, match="expected a file, found a pipe"):
        run(tmp_path / "a.csv", tmp_path / "out.csv")


def test_units_are_never_in_memory(tmp_path, monkeypatch):
    """However many units there are, what is fitted has no more rows than distinct pairs."""
    lines = "".join(f"u{j},{j % 3},{4 + j % 2}\n" for j in range(60_000))
    (tmp_path / "a.csv").write_text("id,y,n\n" + lines)
    seen = []
    original = table_file.UserTable.observations

    def counts(self, expanded=False):
        seen.append(original(self, expanded))
        return seen[-1]

    monkeypatch.setattr(table_file.UserTable, "observations", counts)
    monkeypatch.setattr(table_file, "read_table", None)
    run(tmp_path / "a.csv", tmp_path / "out.csv", method="type2_mle")
    assert [len(each) for each in seen] == [6]
    assert seen[0].weights.tolist() == [10_000] * 6
    found = table(tmp_path / "out.csv")
    assert found["id"] == [f"u{j}" for j in range(60_000)]
    assert len(set(zip(found["y"], found["n"], found["mean"], strict=True))) == 6


def test_json_keeps_what_is_nested(tmp_path):
    records = [{"y": 1, "n": 4, "tags": ["a"]}, {"y": 0, "n": 5, "tags": []}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    run(tmp_path / "a.jsonl", tmp_path / "out.parquet", method="type2_mle")
    assert table(tmp_path / "out.parquet")["tags"] == [["a"], []]


def test_json_may_write_1_as_true(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"y": true, "e": 2}\n{"y": 4, "e": 2.5}\n{"y": false, "e": 2}\n'
    )
    run(tmp_path / "a.jsonl", tmp_path / "out.csv", {"values": "y", "errors": "e"})
    assert table(tmp_path / "out.csv")["raw_rate"] == [1.0, 4.0, 0.0]


@pytest.mark.parametrize("cell", ["", " "])
def test_a_missing_label_is_named(tmp_path, cell):
    (tmp_path / "a.csv").write_text(f'id,y,n\n"a\nb",1,4\n{cell},1,5\n')
    with pytest.raises(DataError, match=r"line 4, column 'id': expected text, found an empty cell"):
        run(tmp_path / "a.csv", tmp_path / "out.csv", COLUMNS | {"label": "id"}, "moments")


def test_what_killed_runs_left_is_cleaned_up(tmp_path):
    source = write_units(tmp_path / "a.csv")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    node = platform.node()
    kept = [
        f".out.csv.{node}-{os.getppid()}.partial",  # still writing
        f".out.csv.elsewhere{node}-{process.pid}.partial",
        f".other.csv.{node}-{process.pid}.partial",
        f".out.csv.{node}-x.partial",
    ]
    for name in [*kept, f".out.csv.{node}-{process.pid}.partial"]:
        (tmp_path / name).write_text("half a table")
    run(source, tmp_path / "out.csv", method="moments")
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "a.csv", "out.csv"}
