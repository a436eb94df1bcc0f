"""Which pages' examples take long."""

import pytest

_SLOW_PAGES = ("batches.md", "families.md", "groups.md", "studies.md")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Examples that are batches and studies run with the slow tests."""
    for item in items:
        if item.path.name in _SLOW_PAGES:
            item.add_marker("slow")
