"""The BS's outage bits: for each pair, whether the cellular user of its RB was in outage."""

import numpy as np
import numpy.typing as npt

from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from schemes.parts.note_reader import NoteReader

Outage = npt.NDArray[np.bool_]  # [E]


def outage_reader(welcome: Welcome) -> NoteReader[Outage]:
    """Reads the bits, one byte per replica, from the infrastructure alone."""
    infrastructure = range(welcome.agents + 1, len(welcome.names))

    def decode(note: ReceivedNote) -> Outage:
        return decode_outage(note.body, welcome.replicas)

    return NoteReader(Kind.FEEDBACK, infrastructure, decode)


def decode_outage(body: bytes, replicas: int) -> Outage:
    """[E]. ValueError for a body of another length."""
    return np.frombuffer(body, np.uint8).reshape(replicas).astype(bool)
