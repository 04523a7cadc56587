"""My scheme: every node broadcasts a random byte; where a node's own is the largest, it draws a new action.

Stale rule: hold. The newest byte of each node counts, however late it arrives.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from protocol.messages.choreography import Choreography, agents_act, agents_exchange
from protocol.messages.episodes import Mask
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from protocol.params import param
from schemes.contract import Card, Scheme, TurnContext, TurnOutput, broadcast
from schemes.parts.latest_notes import LatestNotes, LatestNotesPolicy
from schemes.parts.note_reader import NoteReader

CARD = Card(
    name="mine/my_scheme",
    summary="every node broadcasts a random byte; where its own is the largest, it draws a new action",
    citation="ours",
    paper="none yet",
    equations="a_n ~ U[low, high] if b_n >= max_m b_m, else as before",
    worlds=("d2d_underlay",),
    observes="nothing",
    sends="neighbour: 1 byte to all neighbours per node and slot, over each wire where they are wires",
    fallback="hold",
)
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MySchemeParams:
    """Set them as `scheme: {name: mine/my_scheme, largest: 9}`."""

    largest: Annotated[int, Ge(1), Le(255)] = param(255, "the largest byte that is drawn", source="ours")


class MySchemeNode(LatestNotesPolicy[Bytes]):
    """Its state is the newest byte of each neighbour, [E] each, and its last action; an episode begins with zeros."""

    def __init__(self, welcome: Welcome, params: MySchemeParams) -> None:
        self._space, self._replicas, self._params = welcome.action, welcome.replicas, params
        self._acted = self._space.empty(self._replicas)
        reader = NoteReader(Kind.NEIGHBOUR, range(welcome.agents), self._decode)
        super().__init__(LatestNotes(reader))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._latest.update(turn)
        rng = turn.counter_rng.at(turn.slot)  # the same in both turns of a slot
        own = rng.integers(0, self._params.largest, self._replicas, np.uint8, endpoint=True)
        if turn.step == "exchange":
            return TurnOutput(notes=(broadcast(Kind.NEIGHBOUR, own.tobytes()),))
        others = [byte for _source, byte in self._latest.at(turn.slot)]
        wins = np.all([own >= byte for byte in others], axis=0)  # [E], True without neighbours
        self._acted = np.where(wins, self._space.sample(turn.rng(), self._replicas), self._acted)
        return TurnOutput(self._acted)

    def restart(self, replicas: Mask) -> None:
        super().restart(replicas)
        self._acted = np.where(replicas, self._space.empty(self._replicas), self._acted)

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"acted": self._acted.tobytes()}

    def restore(self, data: dict[str, Any]) -> None:
        super().restore(data)
        self._acted = self._space.decode(data["acted"])

    def _decode(self, note: ReceivedNote) -> Bytes:
        """[E]. ValueError for any other body: a note may hold whatever its sender likes."""
        received = np.frombuffer(note.body, np.uint8)
        if len(received) != self._replicas or (received > self._params.largest).any():
            raise ValueError(f"{len(received)} bytes, or one above {self._params.largest}")
        return received


def choreography(_params: MySchemeParams) -> Choreography:
    """The turns of a slot: all send their bytes, then all decide."""
    return Choreography((agents_exchange(), agents_act()))


SCHEME = Scheme(CARD, choreography, MySchemeNode, params=MySchemeParams)
