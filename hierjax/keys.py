"""Random keys: always given by the caller, and always typed."""

from typing import Any

import jax
from jaxtyping import Array, Key


def require_key(key: Any) -> Key[Array, ""]:
    """A single typed key, or an error that says how to make one.

    Args:
        key: What the caller passed as a key.

    Returns:
        The same key.

    Raises:
        TypeError: If it is an untyped key of ``jax.random.PRNGKey``, an array of keys, or no key.

    Examples:
        >>> require_key(jax.random.key(0)).shape
        ()
        >>> require_key(jax.random.key_data(jax.random.key(0)))
        Traceback (most recent call last):
            ...
        TypeError: key: expected a typed key, as of jax.random.key(0), found uint32[2]
    """
    if not jax.dtypes.issubdtype(getattr(key, "dtype", None), jax.dtypes.prng_key):
        found = f"{key.dtype}{list(key.shape)}" if hasattr(key, "dtype") else type(key).__name__
        raise TypeError(f"key: expected a typed key, as of jax.random.key(0), found {found}")
    if key.shape != ():
        raise TypeError(f"key: expected a single key, found an array of shape {key.shape}")
    return key
