"""The memory of notes that wait for their links or are in flight, by source."""

from collections import Counter
from collections.abc import Sequence

from channel_server.link_queues import Transmission
from protocol.messages.node import Note

MAX_HELD_BYTES = 256 * 2**20  # of one source: more wait only for a link that never carries them


class HeldBytes:
    """Counts a note once, on however many wires it waits: its transmissions share one body."""

    def __init__(self) -> None:
        self._of_source: Counter[int] = Counter()
        self._transmissions: dict[int, int] = {}  # of each note, by its order of sending

    def hold(self, transmission: Transmission) -> None:
        """A transmission waits."""
        others = self._transmissions.get(transmission.order, 0)
        self._transmissions[transmission.order] = others + 1
        if not others:
            self._of_source[transmission.note.source] += transmission.note.size_bytes

    def release(self, transmission: Transmission) -> None:
        """It waits no longer."""
        others = self._transmissions.pop(transmission.order) - 1
        if others:
            self._transmissions[transmission.order] = others
        else:
            self._of_source[transmission.note.source] -= transmission.note.size_bytes

    def have_room(self, source: int, notes: Sequence[Note]) -> bool:
        """Whether a source's notes can be held besides those that wait."""
        held = self._of_source.get(source, 0)
        for note in notes:
            held += note.size_bytes
        return held <= MAX_HELD_BYTES
