"""Weights of a run, in its folder: what nodes were given last, as it became known, and all that was put by hand.

weights/node-INDEX/SLOT.safetensors   the weights that the node was given; SLOT: in which they were told to it
weights/node-INDEX/SLOT.put           the same, put by hand: what a replay puts again, whether it arrived or not
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from protocol.messages.telemetry import Weights
from schemes.parts.weights import body_of, safetensors_in

MAX_KEPT = 8  # of each node, beside those that were put by hand
_GIVEN, _PUT = ".safetensors", ".put"


class Version(NamedTuple):
    """Weights that a node was given. `version`: the slot in which they were told to it."""

    node: int
    version: int
    bytes: int
    uploaded: bool


class KeptWeights:
    """The weights kept of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "weights"

    def add(self, told: Weights) -> None:
        """Keep what was told, and forget what is too old."""
        self._of(told.node).mkdir(parents=True, exist_ok=True)
        path = self._of(told.node) / f"{told.sent_slot}{_PUT if told.uploaded else _GIVEN}"
        draft = path.with_name(f".{path.name}.tmp")
        draft.write_bytes(safetensors_in(told.body))
        draft.replace(path)
        for old in self._slots(told.node)[MAX_KEPT:]:
            (self._of(told.node) / f"{old}{_GIVEN}").unlink()

    def versions(self, node: int) -> list[Version]:
        """What is kept of a node, the newest first."""
        return list(self._versions(node))

    def read(self, node: int, version: int) -> bytes:
        """Weights that are kept, as safetensors. FileNotFoundError for any other."""
        return (self._of(node) / f"{version}{_GIVEN}").read_bytes()

    def put(self, node: int, slot: int) -> bytes:
        """The body of weights that were put by hand. ValueError if they are gone."""
        path = self._of(node) / f"{slot}{_PUT}"
        try:
            return body_of(path.read_bytes())
        except OSError as error:
            raise ValueError(
                f"{path} cannot be read: {error.strerror}; without it the run cannot be replayed"
            ) from error

    def forget_after(self, slot: int) -> None:
        """Drop what was told from `slot` on: the run is played again from there."""
        for path in self._folder.glob("node-*/*"):
            if not path.stem.isdigit() or int(path.stem) >= slot:
                path.unlink()

    def _of(self, node: int) -> Path:
        return self._folder / f"node-{node}"

    def _slots(self, node: int) -> list[int]:
        return sorted((int(path.stem) for path in self._of(node).glob(f"[0-9]*{_GIVEN}")), reverse=True)

    def _versions(self, node: int) -> Iterator[Version]:
        for slot in self._slots(node):
            given = self._of(node) / f"{slot}{_GIVEN}"
            with suppress(FileNotFoundError):  # the run goes on, and has dropped it
                yield Version(node, slot, given.stat().st_size, uploaded=given.with_suffix(_PUT).exists())
