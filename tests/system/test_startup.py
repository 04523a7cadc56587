"""Commands load what they need, and no more."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.pool import bare

SERVES = ("fastapi", "starlette", "sqlalchemy", "alembic", "uvicorn", "prometheus_client", "http.client")


@pytest.mark.parametrize("module", ["airtoll.cli.commands", "controller.run_process", "controller.execution.preload"])
def test_executing_runs_loads_no_server_package(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {SERVES} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("role", ["agent", "channel"])
def test_a_worker_prints_its_help_where_nothing_else_is_installed(role: str, tmp_path: Path) -> None:
    """Neither the command nor the forkserver of its processes needs more than a worker has installed."""
    code = f"""
import sys
import controller.execution.preload, controller.pool.worker
sys.argv = ["airtoll", "{role}", "--help"]
from airtoll.cli import main
main()
"""
    environment = bare(tmp_path)
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (printed.returncode, "--pool" in printed.stdout) == (0, True), printed.stderr
    denied = subprocess.run([sys.executable, "-c", "import pydantic"], capture_output=True, text=True, env=environment)
    assert "import of pydantic halted" in denied.stderr
