"""What is asked of a fit, if it is not what it should be."""

import numpy as np
import pytest

from hierjax.asked import among, probability, unit_position, whole_number
from hierjax.errors import ConfigError, DataError


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


def test_a_label_is_that_of_one_unit():
    labels = np.array(["Cork", "Kerry", "Cork", "7"])
    assert unit_position("of", labels, "Kerry") == 1
    assert unit_position("of", labels, 7) == 3
    for label, found in (
        ("Cork", "'Cork', which 2 units have"),
        ("kery", "'kery'; did you mean 'Kerry'."),
        (["Cork"], r"\['Cork'\]"),
        (None, "None"),
    ):
        with pytest.raises(DataError, match=f"^of: expected the label of one unit, found {found}$"):
            unit_position("of", labels, label)
    with pytest.raises(ConfigError):
        unit_position("questions.control", labels, "x", ConfigError)
