"""Studies of methods on many simulated data sets: calibration, coverage, comparison of devices."""
