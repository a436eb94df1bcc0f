"""Analyses of units in groups: three levels, from their configuration to their report."""
