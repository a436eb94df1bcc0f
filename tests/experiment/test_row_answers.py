"""Rows find the answers for their own counts, and stay in their order."""

import duckdb
import numpy as np
import pytest

from hierjax.engine import connect
from hierjax.experiment import row_answers
from hierjax.experiment.row_answers import with_answers

SOME = [(0, 0), (3, 3), (0, 7), (7, 7), (2, 7), (0, 3)]
CASES = {
    "few trials": SOME,
    "no trials": [(0, 0)],
    "far apart": [*SOME, (5, 2**53 - 1), (5, 5_000_000)],
}


@pytest.mark.parametrize("case", CASES)
def test_each_row_finds_its_answers(case):
    known = tuple(np.array(CASES[case]).T)
    answers = {"mean": 0.1 * np.arange(len(CASES[case])), "sd": known[1] / 2.0}
    answers["sd"][1:] = np.nan
    rows = np.random.default_rng(1).integers(0, len(known[0]), 50)
    with connect() as database:
        database.execute("CREATE TEMP TABLE user_table (u0 VARCHAR, y BIGINT, n BIGINT)")
        values = [(f"row {j}", *(int(x[k]) for x in known)) for j, k in enumerate(rows)]
        # The same rows once more with counts that nobody has asked about.
        values += [("unknown", 0, 4), ("unknown", 2, 90)]
        database.executemany("INSERT INTO user_table VALUES ($1, $2, $3)", values)
        table = with_answers(database, known, answers)
        found = database.execute(f"SELECT u0, a0, a1 FROM {table}").fetchall()
    expected = [(f"row {j}", 0.1 * k, None if k else answers["sd"][0]) for j, k in enumerate(rows)]
    assert found[: len(rows)] == expected
    assert found[len(rows) :] == [("unknown", None, None)] * 2


@pytest.fixture(scope="module")
def long_table(tmp_path_factory):
    """Row groups of Parquet, which threads read out of turn."""
    path = tmp_path_factory.mktemp("long") / "a.parquet"
    duckdb.sql(
        "COPY (SELECT range AS id, range * 7919 % 5 AS y, 4 + range * 104729 % 9 AS n "
        f"FROM range(500_000)) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 20_480)"
    )
    return path


@pytest.mark.parametrize("most_places", [row_answers._MOST_PLACES, 0])
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_rows_are_written_in_their_order(long_table, tmp_path, monkeypatch, most_places, suffix):
    monkeypatch.setattr(row_answers, "_MOST_PLACES", most_places)
    out = tmp_path / f"out.{suffix}"
    with connect() as database:
        database.execute(f"CREATE TEMP VIEW user_table AS SELECT * FROM '{long_table}'")
        pairs = database.execute("SELECT DISTINCT y, n FROM user_table").fetchnumpy()
        known = tuple(np.asarray(pairs[name]) for name in ("y", "n"))
        table = with_answers(database, known, {"mean": known[0] / known[1]})
        database.execute(f"COPY (SELECT id, a0 FROM {table}) TO '{out}'")
    found = duckdb.sql(f"SELECT * FROM '{out}'").fetchnumpy()
    ids = np.arange(500_000)
    np.testing.assert_array_equal(found["id"], ids)
    expected = (ids * 7919 % 5) / (4 + ids * 104729 % 9)
    np.testing.assert_allclose(found["a0"], expected, rtol=1e-15)
