"""TRPO, partially decentralised: BSs decide one after the other by one shared policy, each on its own CSI and on the
powers chosen before it, which it hands on (khan2020, algorithm 2).

The order is drawn per slot. A BS does not know who comes after it, so it sends its powers to all others: K scalars to
B - 1 receivers each.

See `local_learning` for the learner and the other stale rules. Powers that were not handed on in this slot count as 0,
as those of a BS that has not decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from protocol.messages.choreography import Choreography, TurnSpec, trainer_learns
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from protocol.messages.spaces import Field, Records, Space
from protocol.params import param
from schemes.contract import Card, NodePolicy, Scheme, Training, TurnContext, TurnOutput, broadcast
from schemes.khan2020 import PAPER
from schemes.khan2020.local_learning import (
    LEARNING_SENDS,
    OBSERVES,
    VIEW,
    CsiVector,
    LocalBs,
    LocalSettings,
    csi_space,
    own_first,
    training,
)
from schemes.khan2020.network_info import Floats, network_info
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.note_reader import NoteReader
from schemes.parts.scalars import ScalarCoding
from schemes.parts.sense import MeasuredWithNotes
from schemes.parts.weights import Precision

CARD = Card(
    name="khan2020/trpo_partial",
    summary="BSs decide in turn by one shared policy and hand their powers on; the cloud improves it by TRPO",
    citation="khan2020, sec. III-C, algorithm 2",
    paper=PAPER,
    equations="eq. (9), (18)-(23), table II",
    worlds=("downlink_cells",),
    observes=OBSERVES,
    sends=f"neighbour: 4 K bytes to each other BS per slot (float32; 2 with float16, 1 with int8); {LEARNING_SENDS}",
    deviations=(
        "1. a value network V of all gains and the powers handed on is the baseline of the advantage R - V; the paper "
        "fits Q(s, a)",
        "2. a power at a bound has the probability of all draws beyond it",
        "3. gains are in dB, the own cell's first, less the mean over own or other users' links, over the deviation",
        "4. M = 1000 episodes are those of 1000 replicas, if the run has as many; their order of BSs is the same",
        "5. no discount within a slot",
        "6. a BS hands its powers to all others, as it does not know which come after it; in the paper to the next "
        "one, with those before",
    ),
    reproduces="fig. 7, 11, 13, 14, 15",
)


@dataclass(frozen=True, kw_only=True)
class TrpoPartial(LocalSettings):
    """Table II's delta, zeta, M and networks are the defaults."""

    powers: Precision = param("float32", "format of a power as a share of Pmax", source="ours")


class HandingOnBs(LocalBs):
    """A BS that sends its powers to all others when it has chosen them."""

    def __init__(self, welcome: Welcome, params: TrpoPartial, sense: MeasuredWithNotes[Floats]) -> None:
        super().__init__(welcome, params, sense)
        self._coding = powers_coding(welcome, params)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        output = super().on_turn(turn)
        if output.action is None:
            return output
        handed_on = broadcast(Kind.NEIGHBOUR, self._coding.write(self.info.shares_of(output.action)))
        return output._replace(notes=(*output.notes, handed_on))


def powers_coding(welcome: Welcome, params: TrpoPartial) -> ScalarCoding:
    """Of a BS's powers as shares of Pmax, [E, K]."""
    return network_info(welcome).power_coding(welcome.replicas, params.powers).scalars


def bs(welcome: Welcome, params: TrpoPartial) -> NodePolicy:
    """Acts on its own CSI and on the powers handed on in this slot."""
    info, space, index = network_info(welcome), _space(welcome), welcome.index
    coding = powers_coding(welcome, params)

    def read(note: ReceivedNote) -> Floats:
        return coding.read(note.body)

    def combine(measured: Records, notes: Sequence[tuple[int, Floats]]) -> Records:
        record = space.empty(welcome.replicas)
        record["gain_db"] = own_first(measured, index)
        for source, shares in notes:
            record["share"][:, (source - index) % info.cells - 1] = shares
        return record

    others = [b for b in range(info.cells) if b != index]
    notes = LatestNotes(NoteReader(Kind.NEIGHBOUR, others, read), max_age_slots=0)
    return HandingOnBs(welcome, params, MeasuredWithNotes(space, CsiVector(info, space), notes, combine))


def cloud(welcome: Welcome, params: Any) -> Training:
    """Learns from everyone's histories."""
    return training(welcome, params, _space(welcome))


def _space(welcome: Welcome) -> Space:
    """With the powers of the other BSs by index from the next one on, as shares of Pmax; 0 of those not known."""
    info = network_info(welcome)
    return csi_space(welcome, Field("share", "f4", (info.cells - 1, info.users), "1", 0.0, 1.0))


def choreography(_: TrpoPartial) -> Choreography:
    return Choreography((TurnSpec(who="agents", step="act", order="random", view=VIEW), trainer_learns()))


SCHEME = Scheme(CARD, choreography, bs, params=TrpoPartial, training=cloud, learns=True, needs=("torch",))
