"""Weights of a run, in its folder: the newest that the run reported for each node, and all uploaded ones.

weights/node-INDEX/SLOT.safetensors   weights that were sent to the node in slot SLOT, or that it had learnt by then;
                                      their metadata say of which world, scheme, architecture and policy version
weights/node-INDEX/SLOT.put           the same, uploaded: a replay sends them again, whether they arrived or not
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from controller.run_folder.files import replace_file
from protocol.messages.telemetry import Weights
from schemes.parts.learner_start import described
from schemes.parts.weights import body_of, read_weights, safetensors_in, with_metadata

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

    def add(self, weights: Weights, about: Mapping[str, str] = MappingProxyType({})) -> None:
        """Store the weights, and drop those that are too old. `about`: added to the metadata of weights that are not
        uploaded. ValueError for a body without safetensors, which a node may have reported."""
        data = safetensors_in(weights.body)
        if not weights.uploaded:  # uploaded ones a replay sends again as they are
            data = with_metadata(data, dict(about) | _described(weights.body))
        self._of(weights.node).mkdir(parents=True, exist_ok=True)
        replace_file(self._of(weights.node) / f"{weights.sent_slot}{_UPLOADED if weights.uploaded else _SENT}", data)
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

    @property
    def nodes(self) -> list[int]:
        """The nodes whose weights are stored, in order."""
        numbers = [path.name.removeprefix("node-") for path in self._folder.glob("node-*")]
        return sorted(int(number) for number in numbers if number.isdecimal() and self._slots(int(number)))

    def newest_body(self, node: int) -> bytes:
        """The newest weights of a node as the body of a weights note."""
        return body_of(self.read(node, self._slots(node)[0]))

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


def _described(body: bytes) -> dict[str, str]:
    policy_version, tensors = read_weights(body)
    return {"policy_version": str(policy_version), "architecture": described(tensors)}
