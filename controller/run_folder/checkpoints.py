"""Checkpoints of a run, in its folder: DIR/checkpoints/SLOT holds everything needed to resume the run before that slot.

manifest.json      the slot, the nodes, length and BLAKE2b digest of each state, lengths of the run's files at that slot
channel_server     the state of the channel server, packed by protocol.determinism.snapshots, with the wire's accounts
node-INDEX         the state of each node that was present
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any, NamedTuple

from controller.run_folder.files import DamagedFileError, sync

_DIGEST_BYTES = 16
_FOLDER, _MANIFEST, _CHANNEL_SERVER = "checkpoints", "manifest.json", "channel_server"


class DamagedError(DamagedFileError):
    """A checkpoint that the run cannot be resumed from; the message says why."""


class StoredCheckpoint(NamedTuple):
    """A checkpoint whose checksums are right. `lengths`: of the run's files, by name."""

    slot: int
    channel_server: bytes
    nodes: dict[int, bytes]
    lengths: dict[str, int]


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint on the disk. `damage`: why the run cannot be resumed from it; empty for a valid one."""

    slot: int
    bytes: int
    written: datetime
    damage: str


class Checkpoints:
    """The checkpoints of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._run = folder
        self._folder = folder / _FOLDER
        self._draft = self._folder / ".draft"

    @property
    def slots(self) -> list[int]:
        """The slots that have a checkpoint, the newest first."""
        if not self._folder.is_dir():
            return []
        return sorted((int(path.name) for path in self._folder.iterdir() if path.name.isdigit()), reverse=True)

    def add(self, node: int, offset: int, part: bytes) -> None:
        """Add a part of a node's state to the next checkpoint; at `offset` 0 the state begins anew."""
        self._draft.mkdir(parents=True, exist_ok=True)
        with (self._draft / _file(node)).open("ab" if offset else "wb") as stream:
            stream.write(part)

    def write(self, slot: int, *, channel_server: bytes, nodes: list[int], files: Sequence[str], keep: int) -> None:
        """Write the checkpoint before `slot`, whole or not at all, and drop all but the newest `keep`.

        `files` of the run: their present lengths become part of it.
        """
        self._draft.mkdir(parents=True, exist_ok=True)
        (self._draft / _CHANNEL_SERVER).write_bytes(channel_server)
        states = [_CHANNEL_SERVER, *map(_file, nodes)]
        for path in self._draft.iterdir():
            if path.name not in states:  # of a node that died while it sent its state
                path.unlink()
        lengths = {name: _synced_length(self._run / name) for name in files}
        entries = {name: _entry(self._draft / name) for name in states}
        _write_manifest(self._draft / _MANIFEST, slot, nodes, entries, lengths)
        sync(self._draft)  # before the rename: after a power cut the folder's name must not outlive its content
        shutil.rmtree(self._folder / str(slot), ignore_errors=True)
        self._draft.rename(self._folder / str(slot))
        sync(self._folder)
        for old in self.slots[keep:]:
            shutil.rmtree(self._folder / str(old))

    def drop_draft(self) -> None:
        """Drop the states of a checkpoint that was not completed."""
        shutil.rmtree(self._draft, ignore_errors=True)

    def drop_after(self, slot: int) -> None:
        """Drop the checkpoints after `slot`: the run starts again from there and writes new ones."""
        self.drop_draft()
        for later in self.slots:
            if later > slot:
                shutil.rmtree(self._folder / str(later))

    def all(self) -> Iterator[CheckpointInfo]:
        """All checkpoints, the newest first, their checksums verified; a checkpoint may be dropped in the meantime."""
        for slot in self.slots:
            with suppress(FileNotFoundError):
                at = self._folder / str(slot)
                size = sum(path.stat().st_size for path in at.iterdir())
                yield CheckpointInfo(slot, size, datetime.fromtimestamp(at.stat().st_mtime, UTC), self._damage(slot))

    def _damage(self, slot: int) -> str:
        """Why the checkpoint before `slot` is invalid. States may be large: none is read into memory as a whole."""
        at = self._folder / str(slot)
        try:
            manifest = _read_manifest(at / _MANIFEST)
            for name, known in manifest["states"].items():
                _check_state(at / name, known)
            self._check_lengths(manifest)
        except DamagedError as damage:
            if not at.exists():
                raise FileNotFoundError from damage
            return str(damage)
        return ""

    def read(self, slot: int) -> StoredCheckpoint:
        """The checkpoint before `slot`. DamagedError when it, or a file of the run, has changed."""
        at = self._folder / str(slot)
        manifest = _read_manifest(at / _MANIFEST)
        states = dict(_read_states(at, manifest["states"]))
        self._check_lengths(manifest)
        nodes = {node: states[_file(node)] for node in manifest["nodes"]}
        return StoredCheckpoint(manifest["slot"], states[_CHANNEL_SERVER], nodes, manifest["lengths"])

    def newest(self, *, at: int | None = None) -> tuple[StoredCheckpoint | None, list[str]]:
        """The newest valid checkpoint, or the one `at` a slot if it is valid; and why newer ones are rejected."""
        rejected: list[str] = []
        for slot in self.slots if at is None else [at]:
            try:
                return self.read(slot), rejected
            except DamagedError as damage:
                rejected.append(f"the checkpoint at slot {slot} is rejected: {damage}")
        return None, rejected

    def _check_lengths(self, manifest: Mapping[str, Any]) -> None:
        for name, length in manifest["lengths"].items():
            if _length(self._run / name) < length:
                raise DamagedError(f"{self._run / name} is shorter than it was at slot {manifest['slot']}")


def _write_manifest(
    path: Path, slot: int, nodes: list[int], states: Mapping[str, Mapping[str, Any]], lengths: Mapping[str, int]
) -> None:
    manifest = {"slot": slot, "nodes": nodes, "states": states, "lengths": lengths}
    path.write_text(json.dumps(manifest | {"blake2b": _digest(_as_bytes(manifest))}, indent=2) + "\n", "utf-8")
    sync(path)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        digest = manifest.pop("blake2b")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DamagedError(f"{path} cannot be read: {error}") from error
    if digest != _digest(_as_bytes(manifest)):
        raise DamagedError(f"{path} is not what was written: its checksum differs")
    return manifest


def _read_states(at: Path, entries: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, bytes]]:
    for name, known in entries.items():
        try:
            data = (at / name).read_bytes()
        except OSError as error:
            raise DamagedError(f"{at / name} cannot be read: {error.strerror}") from error
        _check(at / name, known, len(data), _digest(data))
        yield name, data


def _check_state(path: Path, known: Mapping[str, Any]) -> None:
    """Check one state without reading it into memory as a whole."""
    try:
        with path.open("rb") as stream:
            digest = file_digest(stream, partial(blake2b, digest_size=_DIGEST_BYTES)).hexdigest()
            size = stream.tell()
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror}") from error
    _check(path, known, size, digest)


def _check(path: Path, known: Mapping[str, Any], size: int, digest: str) -> None:
    if size != known["bytes"]:
        raise DamagedError(f"{path} has {size} bytes, not the {known['bytes']} that were written")
    if digest != known["blake2b"]:
        raise DamagedError(f"{path} is not what was written: its checksum differs")


def _entry(path: Path) -> dict[str, Any]:
    sync(path)
    data = path.read_bytes()
    return {"bytes": len(data), "blake2b": _digest(data)}


def _synced_length(path: Path) -> int:
    if path.exists():
        sync(path)
    return _length(path)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _file(node: int) -> str:
    return f"node-{node}"


def _as_bytes(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()
