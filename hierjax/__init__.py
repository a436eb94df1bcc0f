"""Partial pooling of many rates, in JAX."""

__version__ = "0.1.0"
