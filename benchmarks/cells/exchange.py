"""The turns of zhang2025's MAPPO: APs broadcast what they see to their neighbours, then act on all that they know.

The policy has two hidden layers of 64 units, an LSTM of 64 and drawn weights; it is greedy. Nothing learns.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.cells.hexagons import LOCAL_FLOATS, NEAR, POWERS_W, SUBBANDS, USERS
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import Choreography, agents_act, agents_exchange
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from schemes.contract import Card, NodePolicy, NoParams, Scheme, TurnContext, TurnOutput, broadcast
from schemes.parts.note_reader import NoteReader
from schemes.parts.numpy_nets import Architecture, Floats, Network, draw
from schemes.parts.numpy_nets.architecture import Activation, Linear, Lstm

UNITS = 64
_SCALE = np.float32(0.01)
_LOGITS = USERS * len(POWERS_W)  # per subband: a device and its power


def network(seed: int, node: int) -> Network:
    """From the own and the neighbours' measurements, [E, (1 + neighbours) LOCAL_FLOATS], to logits [E, H choices]."""
    inputs = LOCAL_FLOATS * (1 + len(NEAR[node]))
    hidden = (Linear(UNITS), Activation("relu"))
    architecture = Architecture(inputs, (*hidden, *hidden, Lstm(UNITS), Linear(SUBBANDS * _LOGITS)))
    return Network(architecture, draw(architecture, CounterRng(seed, "benchmark", node).at(0)))


def choose(logits: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Device, from 1, and power level of each subband, [E, H] each."""
    device, level = np.divmod(logits.reshape(-1, SUBBANDS, _LOGITS).argmax(axis=2), len(POWERS_W))
    return device + 1, level


class AccessPoint(NodePolicy):
    """Sends its measurement and acts on it and on its neighbours'."""

    def __init__(self, welcome: Welcome) -> None:
        self._policy = network(welcome.seed, welcome.index)
        self._state = self._policy.first_state(welcome.replicas)
        self._action = welcome.action
        self._reader = NoteReader(Kind.NEIGHBOUR, NEAR[welcome.index], self._local)
        self._replicas = welcome.replicas

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        own = turn.measurement.tobytes()
        if turn.step == "exchange":
            return TurnOutput(notes=(broadcast(Kind.NEIGHBOUR, own),))
        seen = self._by_replica([own, *(local for _, local in turn.read(self._reader))])
        logits, self._state = self._policy.step(seen * _SCALE, self._state)
        action = self._action.empty(self._replicas)
        action["device"], action["level"] = choose(logits)
        return TurnOutput(action)

    def _local(self, note: ReceivedNote) -> bytes:
        if len(note.body) != self._replicas * LOCAL_FLOATS * _SCALE.itemsize:
            raise ValueError(f"it has {len(note.body)} bytes")
        return note.body

    def _by_replica(self, bodies: Sequence[bytes]) -> Floats:
        """[E, bodies LOCAL_FLOATS]"""
        floats = np.frombuffer(b"".join(bodies), np.float32).reshape(len(bodies), self._replicas, LOCAL_FLOATS)
        return floats.swapaxes(0, 1).reshape(self._replicas, -1)


CARD = Card(
    name="benchmarks/exchange",
    summary="measurements to the neighbours, then all act",
    citation="zhang2025",
    equations="none",
    worlds=("benchmark_hexagons",),
    observes="the own devices",
    sends="neighbour",
)
SCHEME = Scheme(
    CARD,
    lambda _: Choreography((agents_exchange("local"), agents_act("local"))),
    lambda welcome, _: AccessPoint(welcome),
    params=NoParams,
)
