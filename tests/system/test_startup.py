"""What serves loads what it needs; what runs does not load it."""

import subprocess
import sys

import pytest

SERVES = ("fastapi", "starlette", "sqlalchemy", "alembic", "uvicorn", "prometheus_client", "http.client")


@pytest.mark.parametrize("module", ["airtoll.commands", "controller.keeper", "controller.launchers.preload"])
def test_what_carries_out_runs_loads_nothing_that_serves(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {SERVES} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
