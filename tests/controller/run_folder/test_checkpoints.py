"""Checkpoints on disk: written as a whole or not at all, and rejected with the reason when they have changed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.run_folder.checkpoints import Checkpoints, DamagedError, StoredCheckpoint


def _written(folder: Path, slot: int = 10) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    (folder / "trace.bin").write_bytes(b"t" * slot)
    for offset, part in ((0, b"ab"), (2, b"c")):
        checkpoints.add(0, offset, part)
    checkpoints.write(slot, channel_server=b"air", nodes=[0], files=["trace.bin", "values.msgpack"], keep=2)
    return checkpoints


def test_a_written_checkpoint_is_read_back(tmp_path: Path) -> None:
    lengths = {"trace.bin": 10, "values.msgpack": 0}
    assert _written(tmp_path).read(10) == StoredCheckpoint(10, b"air", {0: b"abc"}, lengths)


def test_the_newest_are_kept(tmp_path: Path) -> None:
    for slot in (9, 10, 11):
        checkpoints = _written(tmp_path, slot)
    assert checkpoints.slots == [11, 10]
    checkpoints.drop_after(10)
    assert checkpoints.slots == [10]


def test_a_restarted_node_has_its_last_state_and_one_that_left_has_none(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for node, offset, part in ((0, 0, b"of the"), (1, 0, b"who left"), (0, 0, b"anew"), (0, 4, b"!")):
        checkpoints.add(node, offset, part)
    checkpoints.write(5, channel_server=b"", nodes=[0], files=[], keep=2)
    assert checkpoints.read(5).nodes == {0: b"anew!"}
    assert not (tmp_path / "checkpoints" / "5" / "node-1").exists()


def _flip(file: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "checkpoints" / "10" / file
        path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))

    return damage


def _cut(file: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / file, 0)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_flip("channel_server"), "channel_server is not what was written: its checksum differs"),
        (_flip("node-0"), "node-0 is not what was written: its checksum differs"),
        (_flip("manifest.json"), "manifest.json"),
        (_cut("checkpoints/10/node-0"), "node-0 has 0 bytes, not the 3 that were written"),
        (_cut("checkpoints/10/manifest.json"), "manifest.json cannot be read"),
        (_cut("trace.bin"), "trace.bin is shorter than it was at slot 10"),
        (lambda folder: (folder / "checkpoints/10/node-0").unlink(), "node-0 cannot be read: No such file"),
    ],
)
def test_a_damaged_checkpoint_is_rejected(tmp_path: Path, damage: Callable[[Path], None], reason: str) -> None:
    checkpoints = _written(tmp_path)
    damage(tmp_path)
    with pytest.raises(DamagedError, match=reason):
        checkpoints.read(10)


def test_checkpoints_are_listed_as_valid_or_damaged(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert list(checkpoints.all()) == []
    for slot in (20, 40):
        checkpoints.add(0, 0, b"state")
        checkpoints.write(slot, channel_server=b"air", nodes=[0], files=[], keep=2)
    (tmp_path / "checkpoints" / "20" / "node-0").write_bytes(b"stale")
    newest, older = checkpoints.all()
    assert (newest.slot, newest.damage) == (40, "")
    assert newest.bytes == sum(path.stat().st_size for path in (tmp_path / "checkpoints" / "40").iterdir())
    assert (older.slot, "is not what was written: its checksum differs" in older.damage) == (20, True)
    assert older.written <= newest.written
