"""Weights of a run, in its folder: the newest that the run reported for each node, and all uploaded ones.

weights/node-INDEX/SLOT.safetensors   weights that were sent to the node in slot SLOT
weights/node-INDEX/SLOT.put           the same, uploaded: a replay sends them again, whether they arrived or not
"""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from controller.run_folder.files import replace_file
from protocol.messages.telemetry import Weights
from schemes.parts.weights import body_of, safetensors_in

MAX_KEPT = 8  # of each node, besides uploaded ones
_SENT, _UPLOADED = ".safetensors", ".put"


class StoredWeights(NamedTuple):
    """Weights that were sent to a node in slot `sent_slot`. `uploaded`: by a user, not by the trainer."""

    node: int
    sent_slot: int
    bytes: int
    uploaded: bool


class WeightsFolder:
    """The stored weights of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "weights"

    def add(self, weights: Weights) -> None:
        """Store the weights, and drop those that are too old."""
        self._of(weights.node).mkdir(parents=True, exist_ok=True)
        path = self._of(weights.node) / f"{weights.sent_slot}{_UPLOADED if weights.uploaded else _SENT}"
        replace_file(path, safetensors_in(weights.body))
        for old in self._slots(weights.node)[MAX_KEPT:]:
            (self._of(weights.node) / f"{old}{_SENT}").unlink()

    def stored(self, node: int) -> list[StoredWeights]:
        """The stored weights of a node, the newest first."""
        found = []
        for slot in self._slots(node):
            path = self._of(node) / f"{slot}{_SENT}"
            with suppress(FileNotFoundError):  # the run has just dropped it for newer ones
                uploaded = path.with_suffix(_UPLOADED).exists()
                found.append(StoredWeights(node, slot, path.stat().st_size, uploaded=uploaded))
        return found

    def read(self, node: int, sent_slot: int) -> bytes:
        """Stored weights, as safetensors. FileNotFoundError for any others."""
        return (self._of(node) / f"{sent_slot}{_SENT}").read_bytes()

    def uploaded(self, node: int, slot: int) -> bytes:
        """The body of weights that were uploaded. ValueError if they are gone."""
        path = self._of(node) / f"{slot}{_UPLOADED}"
        try:
            return body_of(path.read_bytes())
        except OSError as error:
            raise ValueError(
                f"{path} cannot be read: {error.strerror}; without it the run cannot be replayed"
            ) from error

    def drop_after(self, slot: int) -> None:
        """Drop what was sent from `slot` on: the run starts again from there."""
        for path in self._folder.glob("node-*/*"):
            if not path.stem.isdigit() or int(path.stem) >= slot:
                path.unlink()

    def _of(self, node: int) -> Path:
        return self._folder / f"node-{node}"

    def _slots(self, node: int) -> list[int]:
        return sorted((int(path.stem) for path in self._of(node).glob(f"[0-9]*{_SENT}")), reverse=True)
