"""Hyperparameters alone, after one pass over the counts of a table."""

import duckdb
import numpy as np
import pytest

import hierjax as hj
from hierjax.errors import ConfigError, DataError
from hierjax.experiment import commands, table_file

COLUMNS = {"successes": "y", "trials": "n"}


def run_hyper_only(source, method=None, columns=COLUMNS, new=()):
    commands.fit(str(source), columns, method, new, {}, None, [], False, hyper_only=True)


def test_hyperparameters_alone(tmp_path, capsys, monkeypatch):
    """Both summaries are those of `Fit`; labels and columns that differ are not looked at."""
    generator = np.random.default_rng(4)
    trials = generator.integers(0, 9, 200)
    successes = generator.binomial(trials, generator.beta(2, 5, 200))
    rows = [f"{y},{n},x\n" for y, n in zip(successes, trials, strict=True)]
    (tmp_path / "1.csv").write_text("y,n,id\n" + "".join(rows[:100]))
    (tmp_path / "2.csv").write_text("n,y\n" + "".join(
        f"{n},{y}\n" for y, n in zip(successes[100:], trials[100:], strict=True)
    ))  # fmt: skip
    monkeypatch.setattr(table_file, "read_table", None)
    run_hyper_only(tmp_path / "?.csv", columns=COLUMNS | {"label": "id"}, new=["4/14"])
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert lines[0] == f"200 units, {successes.sum()} successes of {trials.sum():,} trials"
    starts = [lines.index(f"{name}: converged") for name in ("type2_mle", "quadrature")]
    counts = hj.Counts(successes, trials)
    for start, method in zip(starts, (hj.Type2MLE(), hj.Quadrature()), strict=True):
        summary = hj.fit(counts, method=method).summary()
        for row, line in zip(summary.rows(), lines[start + 4 :], strict=False):
            name, *cells = line.split()
            assert name == row["parameter"]
            values = [float("nan") if cell == "-" else float(cell) for cell in cells]
            expected = [row[key] for key in ("mean", "sd", "median", "low", "high")]
            # As many digits as are printed.
            np.testing.assert_allclose(values, expected, rtol=5e-3)
    assert sum(line.split()[:3] == ["4/14", "4", "14"] for line in lines) == 2
    assert not any(line.startswith("Units") for line in lines)


def test_hyperparameters_alone_of_one_method(tmp_path, capsys):
    (tmp_path / "e.csv").write_text("page,sold\n" + "a,1\na,0\nb,1\nb,1\nc,0\nc,1\nc,0\n")
    columns = {"success_column": "sold", "unit": "page"}
    run_hyper_only(tmp_path / "e.csv", "moments", columns)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 units, 4 successes of 7 trials"
    assert [line for line in lines if line.startswith(("type2_mle", "quadrature"))] == []
    assert list(tmp_path.iterdir()) == [tmp_path / "e.csv"]


WRONG = {
    "y": ["-1", "5", "2.5", "NULL", "'nan'::DOUBLE", "9007199254740993"],
    "n": ["-4", "2.5", "NULL", "9007199254740992", "'inf'::DOUBLE"],
}


@pytest.mark.parametrize("cell", [f"{c} AS {name}" for name, cells in WRONG.items() for c in cells])
def test_a_wrong_row_is_named_without_reading_the_rest(tmp_path, monkeypatch, cell):
    query = "SELECT id, y, n FROM (SELECT range AS id, 1 AS y, 4 AS n FROM range(9))"
    duckdb.sql(f"COPY ({query}) TO '{tmp_path / '1.parquet'}' (FORMAT parquet)")
    wrong = (
        f"SELECT 1 AS y, 4 AS n UNION ALL SELECT * REPLACE ({cell}) FROM (SELECT 1 AS y, 4 AS n)"
    )
    duckdb.sql(f"COPY ({wrong}) TO '{tmp_path / '2.parquet'}' (FORMAT parquet)")
    with pytest.raises(DataError) as expected:
        hj.read_counts(tmp_path / "?.parquet", "y", "n")
    monkeypatch.setattr(table_file, "read_table", None)
    with pytest.raises(DataError, match=r"2\.parquet, row 2, column '[yn]': expected") as found:
        run_hyper_only(tmp_path / "?.parquet")
    assert str(found.value) == str(expected.value)


def test_hyperparameters_alone_go_with_no_file_and_no_question(tmp_path):
    (tmp_path / "a.csv").write_text("y,n\n1,4\n0,5\n")
    path = str(tmp_path / "a.csv")
    for questions, out, message in (
        ({}, tmp_path / "out.csv", "--hyper-only: expected no --out, as nothing is written"),
        ({"next_trials": 5}, None, "--next: expected no --hyper-only, as it is asked of units"),
    ):
        with pytest.raises(ConfigError, match=message):
            commands.fit(path, COLUMNS, None, [], questions, out, [], False, hyper_only=True)
