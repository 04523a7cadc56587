"""Queue lengths in notes, two bytes per device, and what an agent knows of the queues around it.

Stale rule: hold. An agent takes a neighbour's queues from its newest note, by the slot in which it was sent; they count
as empty before its first note, and once that note is older than `max_age_slots`.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from protocol.messages.spaces import Field, Records, Space
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.note_reader import NoteReader
from schemes.parts.sense import Flattened, MeasuredWithNotes
from schemes.zhang2025.topology import LocalTopology

Tasks = npt.NDArray[np.int64]

_MAX_TASKS = 65_535


def encode_queues(tasks: npt.NDArray[np.integer]) -> bytes:
    """Queue lengths [E, n], little-endian 16 bits each; longer queues are sent as 65535."""
    body: bytes = np.minimum(tasks, _MAX_TASKS).astype("<u2").tobytes()
    return body


def decode_queues(body: bytes, replicas: int, devices: int) -> Tasks:
    """The inverse of `encode_queues` for so many devices n, [E, n]. ValueError for a body of another length."""
    return np.frombuffer(body, "<u2").reshape(replicas, devices).astype(np.int64)


def queues_around(
    welcome: Welcome, topology: LocalTopology, max_age_slots: int | None = None
) -> MeasuredWithNotes[Tasks]:
    """Records with `tasks` [E, n_around]: the own devices' queues measured, the neighbours' from their notes."""
    space = Space((Field("tasks", "i4", (len(topology.around),), unit="tasks, own devices first", low=0),))

    def read(note: ReceivedNote) -> Tasks:
        columns = topology.columns[note.source]
        return decode_queues(note.body, welcome.replicas, columns.stop - columns.start)

    def combine(measured: Records, notes: Sequence[tuple[int, Tasks]]) -> Records:
        record = space.empty(welcome.replicas)
        record["tasks"][:, : len(topology.devices)] = measured["tasks"]
        for source, queues in notes:
            record["tasks"][:, topology.columns[source]] = queues
        return record

    notes = LatestNotes(NoteReader(Kind.NEIGHBOUR, topology.columns, read), max_age_slots)
    return MeasuredWithNotes(space, Flattened(space), notes, combine)
