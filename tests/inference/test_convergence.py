"""Judging draws: what is enough, what is not, and what cannot be told."""

import numpy as np
import pytest

from hierjax.inference.convergence import (
    after_warmup,
    effective_sample_sizes,
    import_arviz,
    judge_draws,
    mean_error,
    result_of_draws,
)
from hierjax.inference.result import Status
from hierjax.inference.stopwatch import Stopwatch

RNG = np.random.default_rng(3)
GOOD = RNG.normal(size=(4, 1000, 2))


def autoregressive(correlation, draws=20_000):
    """Chains whose effective share is (1 - correlation) / (1 + correlation)."""
    noise = np.random.default_rng(4).normal(size=(4, draws))
    values = np.empty_like(noise)
    values[:, 0] = noise[:, 0]
    for t in range(1, draws):
        values[:, t] = correlation * values[:, t - 1] + np.sqrt(1 - correlation**2) * noise[:, t]
    return values


def test_independent_draws_count_in_full():
    bulk, tail, r_hat = effective_sample_sizes(GOOD[..., 0])
    assert 3400 < bulk < 4600
    assert 3000 < tail < 4600
    assert r_hat == pytest.approx(1.0, abs=0.005)
    assert mean_error(GOOD[..., 0]) == pytest.approx(1 / np.sqrt(4000), rel=0.08)


def test_correlated_draws_count_for_less():
    values = autoregressive(0.8)
    bulk, _, _ = effective_sample_sizes(values)
    # 80,000 draws of which one in nine counts; the estimate errs by a few percent.
    assert bulk == pytest.approx(80_000 / 9, rel=0.15)
    assert mean_error(values) == pytest.approx(np.sqrt(9 / 80_000), rel=0.08)


def test_one_number_in_an_array_is_a_number(monkeypatch):
    """As ArviZ 0.23 answers where Numba is installed."""
    arviz, plain = import_arviz(), mean_error(GOOD[..., 0])
    error = arviz.mcse
    monkeypatch.setattr(arviz, "mcse", lambda *args, **kwargs: np.array([error(*args, **kwargs)]))
    assert mean_error(GOOD[..., 0]) == plain


def test_good_draws_have_converged():
    status, message, diagnostics = judge_draws(GOOD)
    assert (status, message) == (Status.CONVERGED, "")
    assert set(diagnostics) == {"ess_bulk", "ess_tail", "r_hat"}
    assert all(len(values) == 2 for values in diagnostics.values())


def test_chains_apart_in_one_coordinate_have_not_converged():
    draws = GOOD.copy()
    draws[0, :, 1] += 1.0
    status, message, diagnostics = judge_draws(draws)
    assert status == Status.NOT_CONVERGED
    assert "want at most 1.01" in message
    assert diagnostics["r_hat"][0] < 1.01 < diagnostics["r_hat"][1]


def test_too_few_draws_have_not_converged():
    status, message, _ = judge_draws(GOOD[:, :80])
    assert status == Status.NOT_CONVERGED
    assert "(want at least 400)" in message


@pytest.mark.parametrize("draws", [GOOD[:, :3], np.zeros((4, 100, 2)), GOOD[:, :1]])
def test_what_cannot_be_told_has_not_converged(draws):
    status, _, diagnostics = judge_draws(draws)
    assert status == Status.NOT_CONVERGED
    assert np.all(np.isnan(list(diagnostics.values())))
    assert np.isnan(mean_error(draws[..., 0]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_draws_that_are_no_numbers_have_failed(value):
    draws = GOOD.copy()
    draws[2, 7, 0] = value
    status, message, diagnostics = judge_draws(draws)
    assert (status, diagnostics) == (Status.FAILED, {})
    assert "finite" in message


def test_seconds_add_up_to_the_blocks():
    with Stopwatch() as outer, Stopwatch() as inner:
        sum(range(100_000))
    for watch in (outer, inner):
        assert watch.seconds["compile"] == 0
        assert watch.seconds["run"] > 0
    assert inner.seconds["run"] <= outer.seconds["run"]


def test_steps_after_the_warm_up_are_kept_chains_first():
    steps = np.arange(24).reshape(6, 2, 2)
    kept = after_warmup({"eta": steps, "scale": steps[..., 0]}, 1, 2)
    np.testing.assert_array_equal(kept["eta"], steps[[1, 3, 5]].swapaxes(0, 1))
    assert kept["scale"].shape == (2, 3)


def test_a_result_is_judged_by_its_draws_and_by_the_sampler():
    good = result_of_draws({"eta": GOOD}, {"acceptance": 0.8}, {"run": 1.0})
    assert (good.status, good.message, good.unit_draws) == (Status.CONVERGED, "", None)
    assert good.posterior.points.shape == GOOD.shape
    assert set(good.info) == {"acceptance", "ess_bulk", "ess_tail", "r_hat"}
    troubled = result_of_draws({"eta": GOOD}, {}, {}, "3 divergences")
    assert (troubled.status, troubled.message) == (Status.NOT_CONVERGED, "3 divergences")
    few = result_of_draws({"eta": GOOD[:, :80]}, {}, {}, "3 divergences")
    assert few.message.startswith("3 divergences; R-hat ")
    lost = GOOD.copy()
    lost[0, 0] = np.nan
    failed = result_of_draws({"eta": lost, "theta": lost}, {}, {}, "3 divergences")
    assert (failed.status, failed.posterior) == (Status.FAILED, None)
    assert failed.message == "3 divergences; the chains left the finite numbers"
    assert failed.unit_draws is lost
