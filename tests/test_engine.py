"""DuckDB cleans up after itself and stays away from the network."""

import tempfile

import duckdb
import pytest
from table_files import FIELDS, write

from hierjax.engine import connect
from hierjax.errors import DataError
from hierjax.reading import read_counts


def test_the_engine_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spill"))
    (tmp_path / "spill").mkdir()
    read_counts(write(tmp_path / "a.parquet"), **FIELDS)
    with pytest.raises(DataError):
        read_counts(write(tmp_path / "b.jsonl", [("a", 2, 1, "x", 1)] * 2), **FIELDS)
    assert list((tmp_path / "spill").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.jsonl", "spill"]


def test_the_engine_loads_nothing_from_the_network():
    with connect() as database:
        setting = "SELECT current_setting('autoinstall_known_extensions')"
        assert database.execute(setting).fetchone() == (False,)
        with pytest.raises(duckdb.Error, match="extension"):
            database.execute("SELECT * FROM read_csv('https://example.org/a.csv')")
