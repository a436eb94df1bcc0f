"""Runs described by a file: the configuration, the runner, the run's directory and its report."""
