"""Settings for all tests."""

from hypothesis import settings

# The same examples on every run; no deadline, because a first call may compile.
settings.register_profile("hierjax", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("hierjax")
