"""New data: the fit of the union is that of fitting the union from scratch, by every method."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import hierjax as hj
from hierjax.errors import DataError, DataWarning, InferenceError
from hierjax.updating import union

RATS = hj.datasets.rat_tumors()
KEY = jax.random.key(3)
NEW = {"successes": [4, 2, 1], "trials": [14, 9, 6], "labels": ["71", "3", "71"]}
UNION = hj.Counts(
    [*RATS.successes[:2], RATS.successes[2] + 2, *RATS.successes[3:], 5],
    [*RATS.trials[:2], RATS.trials[2] + 9, *RATS.trials[3:], 20],
)
SMALL = hj.Counts([1, 3, 2, 6], [9, 12, 8, 15])
MODEL = hj.Model(hyperprior=hj.MeanConcentration(dist.Beta(2.0, 6.0), dist.LogNormal(2.0, 1.0)))


def test_old_labels_are_added_to_and_new_ones_appended():
    assert union(RATS, NEW) == UNION
    as_counts = hj.Counts(NEW["successes"][:2], NEW["trials"][:2], NEW["labels"][:2])
    both = union(union(RATS, as_counts), {"successes": [1], "trials": [6], "labels": [" 71 "]})
    assert both == UNION


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("method", [hj.Quadrature(), hj.Moments()])
def test_deterministic_methods_give_the_same_numbers(method, precision):
    old = hj.fit(RATS, method=method, precision=precision)
    found = old.update(NEW)
    scratch = hj.fit(UNION, method=method, precision=precision)
    assert found.counts == UNION
    assert (found.method, found.model, found.precision) == (method, old.model, precision)
    np.testing.assert_array_equal(found.posterior.points, scratch.posterior.points)
    np.testing.assert_array_equal(found.posterior.weights, scratch.posterior.weights)
    assert len(old.counts) == 70


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_maximum_is_found_again_from_the_old_one(optimizer):
    method = hj.Type2MLE(optimizer=optimizer)
    old = hj.fit(RATS, method=method)
    found, scratch = old.update(NEW), hj.fit(UNION, method=method)
    assert found.status == scratch.status == "converged"
    np.testing.assert_allclose(found.posterior.points, scratch.posterior.points, rtol=1e-10)
    np.testing.assert_allclose(found.result.covariance, scratch.result.covariance, rtol=1e-8)
    np.testing.assert_array_equal(found.info["path"][0], old.posterior.points[0, 0])


def test_a_maximum_comes_and_goes():
    """Complete pooling has no maximum to start from, and data without any have none at all."""
    equal = hj.fit(hj.Counts([2] * 20, [10] * 20), method=hj.Type2MLE())
    assert equal.status == "boundary"
    rows = {"successes": [9, 0], "trials": [10, 12], "labels": ["a", "b"]}
    spread = equal.update(rows)
    scratch = hj.fit(spread.counts, method=hj.Type2MLE())
    np.testing.assert_allclose(spread.posterior.points, scratch.posterior.points, rtol=1e-10)
    failed = hj.fit(hj.Counts([0, 0], [5, 5]), method=hj.Type2MLE())
    with pytest.raises(InferenceError):
        failed.posterior  # noqa: B018
    assert len(failed.update(rows).counts) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        hj.Gibbs(chains=2, warmup=25, draws=25),
        hj.NUTS(chains=2, warmup=25, draws=25),
    ],
)
def test_samplers_draw_the_same_given_the_same_key(method):
    rows = {"successes": [4], "trials": [14], "labels": ["2"]}
    found = hj.fit(SMALL, MODEL, method, key=KEY).update(rows, key=jax.random.key(4))
    both = hj.Counts([1, 7, 2, 6], [9, 26, 8, 15])
    scratch = hj.fit(both, MODEL, method, key=jax.random.key(4))
    np.testing.assert_array_equal(found.draws, scratch.draws)
    with pytest.raises(TypeError, match="key"):
        found.update(rows)


def test_groups_and_weights_are_kept_and_filled_in():
    old = hj.Counts([1, 3], [9, 12], ["a", "b"], ["g", "h"], [2.0, 0.5])
    rows = {"successes": [1, 2], "trials": [2, 5], "labels": ["b", "c"], "groups": ["h", "h"]}
    both = union(old, rows)
    assert both == hj.Counts([1, 4, 2], [9, 14, 5], list("abc"), list("ghh"), [2.0, 0.5, 1.0])
    plain = hj.Counts([1, 3], [9, 12], ["a", "b"])
    weighted = union(plain, {**rows, "groups": None, "weights": [1, 3]})
    assert weighted == hj.Counts([1, 4, 2], [9, 14, 5], list("abc"), weights=[1, 1, 3])
    only_old = union(old, {"successes": [1], "trials": [2], "labels": ["b"]})
    assert only_old.groups.tolist() == ["g", "h"]


GROUPED = hj.Counts([1, 3], [9, 12], ["a", "b"], ["g", "h"], [2.0, 0.5])
ROW = {"successes": [1], "trials": [2], "labels": ["b"]}


@pytest.mark.parametrize(
    ("old", "row", "message"),
    [
        (GROUPED, ROW | {"groups": ["g"]}, "label 'b': expected group h, as of its unit, found g"),
        (GROUPED, ROW | {"weights": [1.0]}, "label 'b': expected weight 0.5, .* found 1.0"),
        (GROUPED, ROW | {"labels": ["c"]}, "new row 1, groups: expected text, found None"),
        (SMALL, ROW | {"groups": ["g"]}, "new rows: expected no groups, .* found groups"),
        (SMALL, ROW | {"labels": ["1"], "weights": [2]}, "'1': expected weight 1.0, .* found 2.0"),
        (SMALL, ROW | {"successes": [3]}, r"new row 1, successes: expected at most 2 \(trials\)"),
        (SMALL, ROW | {"trials": [-2]}, "new row 1, trials: expected a whole number"),
        (SMALL, ROW | {"trials": [2, 3]}, "columns as long, found 1 successes, 2 trials, 1 labels"),
        (SMALL, ROW | {"labels": [None]}, "new row 1, labels: expected text, found None"),
        (SMALL, {"successes": [1], "trials": [2]}, "expected columns .* found successes, trials"),
        (SMALL, ROW | {"label": ["b"]}, "expected columns .* found successes, trials, labels, la"),
        (SMALL, {name: [] for name in ROW}, "new rows: expected one or more"),
    ],
)
def test_rows_that_do_not_fit_are_named(old, row, message):
    with pytest.raises(DataError, match=message):
        union(old, row)


def test_labels_of_several_units_can_stay_but_not_be_added_to():
    with pytest.warns(DataWarning, match="label"):
        twice = hj.Counts([1, 3, 2], [9, 12, 8], ["x", "x", "y"])
    with pytest.raises(DataError, match="new row 2: expected the label of one unit, found 'x'"):
        union(twice, {"successes": [0, 0], "trials": [1, 1], "labels": ["y", "x"]})
    both = union(twice, {"successes": [0], "trials": [1], "labels": ["y"]})
    assert both.trials.tolist() == [9, 12, 9]
