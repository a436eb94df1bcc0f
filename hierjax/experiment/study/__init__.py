"""Runs of studies: many simulated data sets, every method, tables, figures and a report."""
