"""Bands of distribution functions and their p-values: by enumeration, and by simulation."""

from itertools import product
from math import factorial, prod

import numpy as np
import pytest
from scipy.stats import binom

from hierjax.checks.uniformity import simultaneous_p_value, uniform_band


def enumerated(units, cells):
    """Counts below each level of all arrangements of whole numbers, and their probabilities."""
    occupied = [c for c in product(range(units + 1), repeat=cells) if sum(c) == units]
    ways = [factorial(units) / prod(map(factorial, c)) for c in occupied]
    return np.cumsum(occupied, axis=1)[:, :-1], np.array(ways) / cells**units


def smallest_tails(below, units, levels):
    tails = binom.cdf(below, units, levels), binom.sf(below - 1, units, levels)
    return np.minimum(*tails).min(axis=1)


@pytest.mark.parametrize(("units", "cells"), [(1, 5), (5, 4), (4, 6), (7, 3), (12, 2)])
def test_p_values_and_bands_are_those_of_all_arrangements(units, cells):
    levels = np.arange(1, cells) / cells
    below, chances = enumerated(units, cells)
    tails = smallest_tails(below, units, levels)
    p = np.array([simultaneous_p_value(counts, units, levels) for counts in below])
    expected = [chances[tails <= tail * (1 + 1e-8)].sum() for tail in tails]
    np.testing.assert_allclose(p, expected, rtol=0, atol=1e-12)
    for probability in (0.5, 0.8, 0.95):
        at, low, high = uniform_band(units, probability, levels)
        assert np.array_equal(at, levels)
        inside = ((below >= low * units - 1e-9) & (below <= high * units + 1e-9)).all(axis=1)
        assert chances[inside].sum() >= probability
        # No band of equal tails that holds less often would do.
        assert np.array_equal(inside, p > 1 - probability + 1e-12)
        if not inside.all():
            rarest = tails[inside].min()
            assert chances[tails > rarest * (1 + 1e-8)].sum() < probability


@pytest.mark.parametrize(("units", "cells"), [(2, 40), (70, 40), (1000, 40), (4000, 100)])
def test_band_holds_uniform_numbers_as_often_as_it_says(units, cells):
    at = np.arange(1, cells) / cells
    _, low, high = uniform_band(units, 0.9, at)
    size = 4000
    generator = np.random.default_rng(units)
    below = generator.multinomial(units, np.full(cells, 1 / cells), size).cumsum(axis=1)[:, :-1]
    shares = below / units
    inside = np.mean(((shares >= low - 1e-12) & (shares <= high + 1e-12)).all(axis=1))
    # Standard error 0.0047: four of them, a false alarm once in 16,000. Counts are whole, so that
    # a band of few numbers may hold more.
    assert inside > 0.9 - 0.019
    if units >= 70:
        assert inside < 0.9 + 0.019 + 0.01


def test_p_values_of_uniform_numbers_are_uniform():
    units, cells, size = 500, 20, 300
    levels = np.arange(1, cells) / cells
    generator = np.random.default_rng(3)
    below = generator.multinomial(units, np.full(cells, 1 / cells), size).cumsum(axis=1)[:, :-1]
    p = np.array([simultaneous_p_value(counts, units, levels) for counts in below])
    for level in (0.01, 0.05, 0.5):
        error = np.sqrt(level * (1 - level) / size)
        # The p-value is discrete in steps of less than 0.01; five standard errors besides.
        assert abs(np.mean(p <= level) - level) < 5 * error + 0.01


def test_what_is_hopeless_has_the_bound_for_a_p_value():
    levels = np.arange(1, 100) / 100
    p = simultaneous_p_value(np.zeros(99, int), 4000, levels)
    assert p == pytest.approx(198 * 0.01**4000, abs=1e-300)
    # Where the exact value still has its digits, the bound lies above it.
    below = np.round(1000 * levels).astype(int)
    below[49] += 88
    tail = binom.sf(below[49] - 1, 1000, 0.5)
    assert tail < simultaneous_p_value(below, 1000, levels) < 198 * tail


def test_large_bands_shrink_as_the_root_of_the_units():
    levels, low, high = uniform_band(10**6)
    _, less, more = uniform_band(10**4)
    middle = int(np.argmin(abs(levels - 0.5)))
    assert (high - low)[middle] * 10 == pytest.approx((more - less)[middle], rel=0.05)
