"""Tables: columns in order, rows of Python values, and text that reads back."""

import csv
import io

import numpy as np
import pytest

import hierjax as hj

NAN = float("nan")


@pytest.fixture
def table():
    return hj.Table({"label": ["a", "b,c"], "trials": [20, 14], "mean": [1 / 3, NAN]})


def test_columns_are_a_mapping_in_order_and_the_length_counts_rows(table):
    assert list(table) == ["label", "trials", "mean"]
    assert len(table) == 2
    assert table["trials"].tolist() == [20, 14]
    assert "sd" not in table
    with pytest.raises(KeyError):
        table["sd"]


def test_rows_hold_python_values(table):
    first, second = table.rows()
    assert first == {"label": "a", "trials": 20, "mean": 1 / 3}
    assert [type(value) for value in first.values()] == [str, int, float]
    assert np.isnan(second["mean"])


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"equal lengths, found \{'a': 1, 'b': 2\}"):
        hj.Table({"a": [1], "b": [1, 2]})


def test_columns_put_in_front_repeat_one_value(table):
    wider = table.with_columns(method="gibbs", seed=3)
    assert list(wider) == ["method", "seed", "label", "trials", "mean"]
    assert wider["method"].tolist() == ["gibbs", "gibbs"]
    assert wider["seed"].tolist() == [3, 3]
    assert list(table) == ["label", "trials", "mean"]


def test_stacked_tables_have_the_rows_of_all(table):
    other = hj.Table({"label": ["long label"], "trials": [0], "mean": [0.5]})
    both = hj.Table.stack([table, other])
    assert both["label"].tolist() == ["a", "b,c", "long label"]
    assert both["trials"].tolist() == [20, 14, 0]
    np.testing.assert_array_equal(both["mean"], [1 / 3, NAN, 0.5])


def test_csv_reads_back_exactly_and_missing_numbers_are_empty():
    numbers = [0.1 + 0.2, 1e-300, NAN, -0.0, np.inf]
    table = hj.Table({"x": numbers, "label": ["a", 'q"q', "b,c", "", "é"]})
    text = table.to_csv()
    assert text.splitlines()[3] == ',"b,c"'
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["label"] for row in rows] == table["label"].tolist()
    found = [float(row["x"]) if row["x"] else NAN for row in rows]
    np.testing.assert_array_equal(found, numbers)


def test_csv_of_single_precision_reads_back_exactly():
    values = np.float32([0.1, 1 / 3, 3.4e38])
    text = hj.Table({"x": values}).to_csv()
    np.testing.assert_array_equal(np.float32(text.split()[1:]), values)


def test_shown_are_aligned_columns_with_five_digits(table):
    assert repr(table).splitlines() == [
        "label  trials     mean",
        "a          20  0.33333",
        "b,c        14",
    ]


def test_long_tables_show_their_ends():
    lines = repr(hj.Table({"n": np.arange(100)})).splitlines()
    assert [line.strip() for line in lines] == [
        "n", *map(str, range(10)), "...", *map(str, range(90, 100)),
    ]  # fmt: skip
    assert len(repr(hj.Table({"n": np.arange(20)})).splitlines()) == 21


def test_a_table_without_rows_has_its_header():
    table = hj.Table({"label": [], "mean": []})
    assert (len(table), list(table.rows()), table.to_csv()) == (0, [], "label,mean\n")
    assert repr(table) == "label  mean"
    assert len(hj.Table({})) == 0
