"""The turns of khan2020's centralised schemes: the BSs send their CSI to the cloud, which sends back all powers.

The policy has three hidden layers of 256 ELU units with drawn weights; its action is the mean. Nothing learns.
"""

import numpy as np

from benchmarks.cells.redrawn import CELLS, MAX_POWER_W, USERS
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import Choreography, agents_act, agents_exchange, trainer_decides
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.spaces import Records
from schemes.contract import NO_OUTPUT, Card, NodePolicy, NoParams, Scheme, TurnContext, TurnOutput, to_trainer
from schemes.parts.note_reader import NoteReader
from schemes.parts.numpy_nets import Floats, Network, draw
from schemes.parts.numpy_nets.architecture import Linear, mlp

HIDDEN = (256, 256, 256)


def network(seed: int) -> Network:
    """From the gains in dB, standardised, [E, B B K], to a number per power, [E, B K]."""
    architecture = mlp(CELLS * CELLS * USERS, HIDDEN, Linear(CELLS * USERS), activation="elu")
    return Network(architecture, draw(architecture, CounterRng(seed, "benchmark").at(0)))


def powers_w(policy: Network, gains_db: Floats) -> Floats:
    """Gains [E, B B K] to powers [E, B K]."""
    means = policy((gains_db + np.float32(110)) / np.float32(20))
    powers: Floats = np.clip(np.float32(0.5) + means, 0, 1) * np.float32(MAX_POWER_W)
    return powers


class BaseStation(NodePolicy):
    """Sends its CSI and transmits with the powers that it is sent."""

    def __init__(self, welcome: Welcome) -> None:
        self._action = welcome.action
        self._reader = NoteReader(Kind.DECISION, (welcome.agents,), self._decision)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        if turn.step == "exchange":
            return TurnOutput(notes=(to_trainer(Kind.CSI, turn.measurement.tobytes()),))
        return next((TurnOutput(action) for _, action in turn.read(self._reader)), NO_OUTPUT)

    def _decision(self, note: ReceivedNote) -> Records:
        return self._action.view(note.body)


class Cloud(NodePolicy):
    """Decides on the CSI of all."""

    def __init__(self, welcome: Welcome) -> None:
        self._policy = network(welcome.seed)
        self._reader = NoteReader(Kind.CSI, range(CELLS), self._csi)
        self._shape = (welcome.replicas, CELLS * USERS)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        gains_db = np.concatenate([csi for _, csi in turn.read(self._reader)], axis=1)
        powers = powers_w(self._policy, gains_db)
        bodies = [powers[:, b * USERS : (b + 1) * USERS].tobytes() for b in range(CELLS)]
        return TurnOutput(notes=tuple(Note((b,), Kind.DECISION, body) for b, body in enumerate(bodies)))

    def _csi(self, note: ReceivedNote) -> Floats:
        return np.frombuffer(note.body, np.float32).reshape(self._shape)


CARD = Card(
    name="benchmarks/central",
    summary="all CSI to the cloud, all powers back",
    citation="khan2020",
    equations="none",
    worlds=("benchmark_redrawn",),
    observes="the gains of the own downlinks",
    sends="csi and decision",
)
SCHEME = Scheme(
    CARD,
    lambda _: Choreography((agents_exchange("csi"), trainer_decides(), agents_act())),
    lambda welcome, _: BaseStation(welcome),
    lambda welcome, _: Cloud(welcome),
    NoParams,
)
