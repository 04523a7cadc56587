"""The files of a run's folder that others may see."""

from pathlib import Path

from controller.run_folder import listing
from controller.run_folder.listing import open_published, published


def _write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_drafts_links_locks_and_orders_are_nobodys_business(tmp_path: Path) -> None:
    _write(tmp_path, "meta.json", "checkpoints/7/node-0", "baselines/li2020_random/meta.json")
    _write(tmp_path, ".meta.json.tmp", "checkpoints/.draft/node-0", "orders/1.order", "run_process.lock", ".reserve")
    _write(tmp_path, "baselines/li2020_random/.reserve")
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert list(published(tmp_path)) == ["baselines/li2020_random/meta.json", "checkpoints/7/node-0", "meta.json"]
    for name in ("orders/1.order", "checkpoints/.draft/node-0", "link", "../x", "nothing"):
        assert open_published(tmp_path, name) is None
    stream = open_published(tmp_path, "checkpoints/7/node-0")
    assert stream is not None
    with stream:
        assert stream.read() == b"checkpoints/7/node-0"


def test_files_that_vanish_while_they_are_listed_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, "a", "b", "c/d")
    found = listing._found(tmp_path)
    first, _ = next(found)
    for name in {"a", "b", "c/d"} - {first}:
        (tmp_path / name).unlink()
    (tmp_path / "c").rmdir()
    assert list(found) == []
