"""Samplers cut short by whom they report their progress to."""


class Interruption(Exception):
    """What a test raises in the midst of a run."""


def interrupting(after):
    """A progress that raises once it was called so many times, and what it has been told."""
    calls = []

    def progress(done, total):
        calls.append((done, total))
        if len(calls) == after:
            raise Interruption

    return progress, calls
