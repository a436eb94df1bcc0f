"""Only a single typed key is a key."""

import jax
import numpy as np
import pytest

from hierjax.keys import require_key


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
def test_a_typed_key_is_passed_through(implementation):
    key = jax.random.key(0, impl=implementation)
    assert require_key(key) is key


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (0, r"found int$"),
        (None, r"found NoneType$"),
        (np.zeros(2, np.uint32), r"found uint32\[2\]$"),
    ],
)
def test_anything_else_is_refused(key, found):
    with pytest.raises(TypeError, match=found):
        require_key(key)


def test_an_untyped_key_is_refused():
    with pytest.raises(TypeError, match=r"found uint32\[2\]$"):
        require_key(jax.random.PRNGKey(0))
