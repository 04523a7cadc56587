"""Real processes need time on a busy machine: a test may take longer here than elsewhere."""

from pathlib import Path

import pytest

TIMEOUT_S = 500


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test of this folder may take TIMEOUT_S; the waits in it have limits of their own."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
