"""A few random kills around a controller; the command `tests.soak.service_chaos` does many."""

from pathlib import Path

from tests.soak import service_chaos


def test_after_a_few_random_kills_every_run_is_consistent(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    aftermath = service_chaos.kill_and_check(
        tmp_path / "data", url, kills=5, seed=3, waiting=1, of=["processes", "with checkpoints"]
    )
    assert aftermath.faults == []
    assert len(aftermath.killed) == 5
