"""Conjugate families, one a file: the log-densities of one unit."""
