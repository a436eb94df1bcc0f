"""Data sets of different sizes as one rectangle."""

import numpy as np
import pytest

import hierjax as hj
from hierjax.errors import DataError


def test_data_sets_of_any_sizes_are_filled_up():
    small, large = hj.Counts([1, 2], [4, 0 + 2]), hj.Counts([0, 1, 3], [5, 5, 5])
    batch = hj.DataSets.of([small, large])
    assert batch.sizes.tolist() == [2, 3]
    assert batch.trials.tolist() == [[4, 2, 0], [5, 5, 5]]
    assert batch.present.tolist() == [[True, True, False], [True, True, True]]
    alone = batch.counts(0)
    assert (alone.successes.tolist(), alone.trials.tolist()) == ([1, 2], [4, 2])


@pytest.mark.parametrize("scale", [1, 10**12])
def test_distinct_pairs_of_every_data_set(scale):
    trials = scale * np.array([[4, 2, 4, 0], [5, 5, 5, 5]])
    batch = hj.DataSets([[1, 2, 1, 0], [0, 1, 3, 1]], trials, [4, 4])
    pairs = batch.distinct()
    rows = np.arange(2)[:, None]
    assert np.array_equal(pairs.successes[rows, pairs.position], batch.successes)
    assert np.array_equal(pairs.trials[rows, pairs.position], batch.trials)
    assert sorted(pairs.multiplicity[0].tolist()) == [1, 1, 2]
    assert pairs.multiplicity.sum() == 8
    assert pairs.multiplicity[1].max() == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1], [4]], [[2], [3]]), "data set 1, unit 0: expected 0 to 3 .trials. successes"),
        (([[1]], [[2, 3]]), r"expected two tables of one shape.*found \(1, 1\) and \(1, 2\)"),
        (([1], [2]), "expected two tables of one shape"),
        (([[1.5]], [[2]]), r"successes: expected whole numbers, found 1.5 at \[0, 0\]"),
        (([[1]], [[np.nan]]), r"trials: expected whole numbers, found nan at \[0, 0\]"),
        (([["a"]], [[2]]), "successes: expected whole numbers, found <U1"),
        (([[1, 0]], [[2, 2]], [3]), "sizes: expected 1 of 1 to 2 units"),
        (([[1, 0]], [[2, 2]], [1]), "data set 0, unit 1: expected no trials beyond its 1 units"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        hj.DataSets(*arguments)


def test_no_data_sets_and_weighted_units_are_refused():
    with pytest.raises(DataError, match="expected at least one, found none"):
        hj.DataSets.of([])
    weighted = hj.Counts([1, 2], [3, 4], weights=[1.0, 2.0])
    with pytest.raises(DataError, match="data set 1: expected units without weights"):
        hj.DataSets.of([hj.Counts([1, 2], [3, 4]), weighted])


@pytest.mark.parametrize("data", [hj.datasets.pumps(), hj.datasets.eight_schools()])
def test_other_families_are_refused(data):
    message = "data set 1: expected Counts, as batches know no other family, found "
    with pytest.raises(DataError, match=message + type(data).__name__):
        hj.DataSets.of([hj.Counts([1, 2], [3, 4]), data])
