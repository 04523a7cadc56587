"""What serves loads what it needs; what runs does not load it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.pool import bare

SERVES = ("fastapi", "starlette", "sqlalchemy", "alembic", "uvicorn", "prometheus_client", "http.client")


@pytest.mark.parametrize("module", ["airtoll.cli.commands", "controller.run_process", "controller.execution.preload"])
def test_what_carries_out_runs_loads_nothing_that_serves(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {SERVES} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("role", ["agent", "channel"])
def test_a_worker_says_what_it_takes_where_nothing_else_is_installed(role: str, tmp_path: Path) -> None:
    """What is not there cannot be loaded: the command, and what its processes are forked from."""
    code = f"""
import sys
import controller.execution.preload, controller.pool.worker
sys.argv = ["airtoll", "{role}", "--help"]
from airtoll.cli import main
main()
"""
    environment = bare(tmp_path)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (told.returncode, "--pool" in told.stdout) == (0, True), told.stderr
    denied = subprocess.run([sys.executable, "-c", "import pydantic"], capture_output=True, text=True, env=environment)
    assert "import of pydantic halted" in denied.stderr
