"""Counts keep what they are given, and refuse what breaks a rule with the place and the reason."""

import dataclasses
import math
import re
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hierjax.counts import Counts
from hierjax.errors import DataError, DataWarning
from hierjax.validation import MAX_COUNT

WHOLE = f"a whole number from 0 to {MAX_COUNT}"


@st.composite
def tables(draw):
    """Successes and trials that are legal, with zeros, all successes and huge trials among them."""
    trials = draw(st.lists(st.integers(0, MAX_COUNT), min_size=2, max_size=20).filter(any))
    return [draw(st.sampled_from([0, n, n // 3])) for n in trials], trials


@given(tables())
def test_legal_counts_are_kept_exactly(table):
    successes, trials = table
    counts = Counts(successes, trials)
    assert counts.successes.tolist() == successes
    assert counts.trials.tolist() == trials
    assert counts.successes.dtype == counts.trials.dtype == np.int64
    assert counts.labels.tolist() == [str(j + 1) for j in range(len(trials))]
    assert len(counts) == len(trials)
    assert counts.groups is None
    assert counts.weights is None
    # Python's integers do not overflow, so they are an oracle for the totals.
    assert counts.total_successes == sum(successes)
    assert counts.total_trials == sum(trials)


def test_totals_do_not_overflow():
    counts = Counts([MAX_COUNT] * 3000, [MAX_COUNT] * 3000)
    assert counts.total_successes == counts.total_trials == 3000 * MAX_COUNT > 2**64


@given(tables(), st.data())
def test_one_entry_out_of_range_is_found_wherever_it_is(table, data):
    successes, trials = table
    index = data.draw(st.integers(0, len(trials) - 1))
    bad = data.draw(
        st.sampled_from([-1, MAX_COUNT + 1, 2**63, 2**64, -(2**63) - 1, 10**400, 10**5000])
        | st.floats().filter(lambda x: not (0 <= x <= MAX_COUNT and x == math.floor(x)))
        | st.text(max_size=5)
        | st.none()
    )
    # An object array keeps whole numbers exact beside a float.
    column = np.array([*trials[:index], bad, *trials[index + 1 :]], dtype=object)
    with pytest.raises(
        DataError, match=rf"^unit {index} \(label '{index + 1}'\), trials: expected"
    ):
        Counts(successes, column)


@given(
    hnp.arrays(
        st.sampled_from([np.int8, np.uint8, np.uint64, np.float16, np.float32, np.float64, bool]),
        st.integers(2, 10),
        elements=st.integers(0, 1),
    ).filter(lambda array: array.any())
)
def test_every_numeric_type_is_read_as_the_same_counts(ones):
    assert Counts(ones, ones) == Counts(ones.tolist(), [int(one) for one in ones])


def test_jax_arrays_are_read():
    counts = Counts(jnp.array([0, 4]), jnp.array([20.0, 14.0]))
    assert counts == Counts([0, 4], [20, 14])
    assert isinstance(counts.successes, np.ndarray)


@pytest.mark.parametrize(
    ("successes", "trials", "message"),
    [
        (
            [0, 21],
            [20, 20],
            "unit 1 (label '2'), successes: expected at most 20 (trials), found 21",
        ),
        ([-1, 2], [20, 20], f"unit 0 (label '1'), successes: expected {WHOLE}, found -1"),
        ([0, 2], [20, -20], f"unit 1 (label '2'), trials: expected {WHOLE}, found -20"),
        ([0, 2.5], [20, 20], f"unit 1 (label '2'), successes: expected {WHOLE}, found 2.5"),
        ([0, math.nan], [20, 20], f"unit 1 (label '2'), successes: expected {WHOLE}, found nan"),
        ([0, 1], [math.inf, 20], f"unit 0 (label '1'), trials: expected {WHOLE}, found inf"),
        ([0, "1"], [20, 20], f"unit 1 (label '2'), successes: expected {WHOLE}, found '1'"),
        (
            [0, ""],
            [20, 20],
            f"unit 1 (label '2'), successes: expected {WHOLE}, found an empty cell",
        ),
        ([0, None], [20, 20], f"unit 1 (label '2'), successes: expected {WHOLE}, found None"),
        ([0, 1j], [20, 20], f"unit 1 (label '2'), successes: expected {WHOLE}, found 1j"),
        ([0, 1], [20, 2**53], f"unit 1 (label '2'), trials: expected {WHOLE}, found {2**53}"),
        ([0, 1], [20, 2**80], f"unit 1 (label '2'), trials: expected {WHOLE}, found {2**80}"),
        (
            [0, 1],
            [20, 10**5000],
            f"unit 1 (label '2'), trials: expected {WHOLE}, found an integer of 16610 bits",
        ),
        (
            [0, 1, 2],
            [20, 20],
            "Counts: expected columns of equal length, found 3 successes, 2 trials",
        ),
        ([], [], "Counts: expected at least two units to pool, found 0"),
        ([4], [14], "Counts: expected at least two units to pool, found 1"),
        ([0, 0], [0, 0], "Counts: expected a unit that has trials, found none"),
        ([[0, 1]], [20, 20], "successes: expected a one-dimensional sequence, found shape (1, 2)"),
        (4, [20, 20], "successes: expected a one-dimensional sequence, found int"),
        ({0: 1}, [20, 20], "successes: expected a one-dimensional sequence, found dict"),
        (
            [0, [1, 2]],
            [20, 20],
            f"unit 1 (label '2'), successes: expected {WHOLE}, found [1, 2]",
        ),
    ],
)
def test_bad_counts_are_refused_with_the_place_and_the_reason(successes, trials, message):
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Counts(successes, trials)


def test_errors_name_units_by_their_labels():
    with pytest.raises(DataError, match=r"^unit 1 \(label 'current'\), successes: .* found -4$"):
        Counts([0, -4], [20, 14], labels=["first", "current"])


def test_a_masked_entry_is_missing_and_not_what_lies_under_the_mask():
    masked = np.ma.masked_array([0, 1], mask=[False, True])
    assert Counts(np.ma.masked_array([0, 1]), [20, 20]) == Counts([0, 1], [20, 20])
    with pytest.raises(DataError, match=r"^unit 1 \(label '2'\), successes: .* found None$"):
        Counts(masked, [20, 20])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            [1, -0.5],
            "unit 1 (label '2'), weights: expected a finite number that is not negative, f",
        ),
        ([math.nan, 1], "unit 0 (label '1'), weights: expected a finite number that is not negati"),
        ([math.inf, 1], "unit 0 (label '1'), weights: expected a finite number that is not negati"),
        ([1, "1"], "unit 1 (label '2'), weights: expected a finite number that is not negative, f"),
        ([1, 1, 1], "Counts: expected columns of equal length, found 2 successes, 2 trials, 3 wei"),
        ([1, 0], "Counts: expected a unit of positive weight that has trials, found none"),
    ],
)
def test_bad_weights_are_refused(weights, message):
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        Counts([0, 0], [0, 20], weights=weights)


@pytest.mark.parametrize("missing", [None, math.nan, "", "  ", np.datetime64("NaT", "D")])
@pytest.mark.parametrize("field", ["labels", "groups"])
def test_missing_text_is_refused(field, missing):
    shown = {"groups": r" \(label '2'\)", "labels": ""}[field]
    if field == "labels" and isinstance(missing, str):
        shown = rf" \(label {missing!r}\)"
    with pytest.raises(DataError, match=f"^unit 1{shown}, {field}: expected text, found "):
        Counts([0, 1], [20, 20], **{field: ["a", missing]})


def test_an_entry_that_compares_to_nothing_is_missing():
    class NotAvailable:
        """As pandas.NA: a comparison has no truth value."""

        def __ne__(self, other):
            return self

        def __bool__(self):
            raise TypeError

    with pytest.raises(DataError, match=r"^unit 1, labels: expected text"):
        Counts([0, 1], [20, 20], labels=["a", NotAvailable()])


def test_text_is_taken_from_anything():
    counts = Counts([0, 1], [20, 20], labels=np.array([7, 8]), groups=[" a", "b "])
    assert counts.labels.tolist() == ["7", "8"]
    assert counts.groups.tolist() == ["a", "b"]


def test_duplicate_labels_warn_and_are_kept():
    message = (
        "^Counts: expected a label of its own for each unit, found 2 used before, "
        r"as 'b' of unit 1 \(label 'b'\) by unit 2 \(label 'b'\)$"
    )
    with pytest.warns(DataWarning, match=message):
        counts = Counts([0, 1, 2, 3], [20] * 4, labels=["a", "b", "b", "b"])
    assert counts.labels.tolist() == ["a", "b", "b", "b"]


def test_units_without_trials_are_legal_and_have_no_raw_rate():
    counts = Counts([0, 0, 4], [0, 20, 16])
    np.testing.assert_array_equal(counts.raw_rates, [np.nan, 0.0, 0.25])


def test_counts_share_no_memory_and_cannot_be_changed():
    given = {"successes": np.array([0, 4]), "trials": np.array([20, 14]), "weights": np.ones(2)}
    counts = Counts(**given)
    for name, array in given.items():
        kept = getattr(counts, name)
        assert not np.shares_memory(kept, array)
        with pytest.raises(ValueError, match="read-only"):
            kept[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        counts.trials = given["trials"]


def test_equality_is_of_values():
    base = Counts([0, 4], [20, 14], groups=["x", "y"], weights=[1, 2])
    assert base == Counts(np.array([0.0, 4.0]), (20, 14), ["1", "2"], ["x", "y"], [1.0, 2.0])
    assert base != Counts([1, 4], [20, 14], groups=["x", "y"], weights=[1, 2])
    assert base != Counts([0, 4], [20, 15], groups=["x", "y"], weights=[1, 2])
    assert base != Counts([0, 4], [20, 14], ["1", "b"], groups=["x", "y"], weights=[1, 2])
    assert base != Counts([0, 4], [20, 14], groups=["x", "x"], weights=[1, 2])
    assert base != Counts([0, 4], [20, 14], groups=["x", "y"], weights=[1, 1])
    assert base != Counts([0, 4], [20, 14], groups=["x", "y"])
    assert base != "counts"


def test_select_keeps_every_field_and_the_order_asked_for():
    counts = Counts([0, 1, 4], [20, 20, 14], ["a", "b", "c"], ["x", "y", "y"], [1, 2, 3])
    chosen = Counts([4, 0], [14, 20], ["c", "a"], ["y", "x"], [3, 1])
    assert counts.select([2, 0]) == chosen
    assert counts.select(slice(None, None, -2)) == chosen
    assert counts.select(counts.trials == 20) == counts.select([0, 1])
    with pytest.raises(DataError, match="expected at least two units to pool, found 1"):
        counts.select([1])


def test_append_adds_a_unit_at_the_end():
    assert Counts([0, 1], [20, 20]).append("now", 4, 14) == Counts(
        [0, 1, 4], [20, 20, 14], ["1", "2", "now"]
    )
    grouped = Counts([0, 1], [20, 20], groups=["x", "y"])
    assert grouped.append("3", 4, 14, group="y", weight=0.5) == Counts(
        [0, 1, 4], [20, 20, 14], groups=["x", "y", "y"], weights=[1, 1, 0.5]
    )
    weighted = Counts([0, 1], [20, 20], weights=[2, 3])
    assert weighted.append("3", 4, 14).weights.tolist() == [2, 3, 1]


def test_append_refuses_what_does_not_fit():
    plain, grouped = Counts([0, 1], [20, 20]), Counts([0, 1], [20, 20], groups=["x", "y"])
    with pytest.raises(DataError, match=r"^unit 2 \(label 'c'\), successes: expected at most 14"):
        plain.append("c", 15, 14)
    with pytest.raises(
        DataError, match=r"^unit 'c': expected no group, as of other units, found 'x'"
    ):
        plain.append("c", 4, 14, group="x")
    with pytest.raises(
        DataError, match=r"^unit 2 \(label 'c'\), groups: expected text, found None"
    ):
        grouped.append("c", 4, 14)


def test_repr_is_short_whatever_the_number_of_units():
    units = 10_000
    counts = Counts([1] * units, [2] * units, groups=["x", "y"] * (units // 2))
    assert repr(counts) == "Counts(units=10000, successes=10000, trials=20000, groups=2)"


def test_counts_are_read_without_importing_jax():
    code = (
        "import hierjax.counts, hierjax.reading, hierjax.datasets, sys; print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
