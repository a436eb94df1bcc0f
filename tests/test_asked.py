"""What is asked of a fit, if it is not what it should be."""

import numpy as np
import pytest

from hierjax.asked import among, probability, whole_number
from hierjax.errors import ConfigError


@pytest.mark.parametrize("value", [0, 1.0, -0.2, float("nan"), "0.2", None, [0.1, 0.2], True])
def test_no_probability(value):
    with pytest.raises(ConfigError, match="level: expected a probability inside"):
        probability("level", value)


@pytest.mark.parametrize("value", [0, 71, 2.5, float("nan"), float("inf"), "3", None, True, [1]])
def test_no_whole_number(value):
    with pytest.raises(ConfigError, match="top: expected a whole number from 1 to 70, found"):
        whole_number("top", value, most=70)


@pytest.mark.parametrize("value", ["up", None, 3])
def test_no_such_word(value):
    with pytest.raises(ConfigError, match="direction: expected 'above' or 'below', found"):
        among("direction", value, ("above", "below"))


def test_what_is_right_is_kept():
    assert probability("level", np.float32(0.5)) == 0.5
    assert whole_number("top", 3.0, most=3) == 3
    assert whole_number("top", np.int64(2)) == 2
    assert among("direction", "above", ("above", "below")) == "above"
