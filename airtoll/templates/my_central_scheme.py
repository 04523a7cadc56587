"""My central scheme: every node reports what it measures; the trainer lets the node of the largest report act.

Stale rules: those of `schemes.parts.central`. The trainer uses each node's newest report unless it is too old, a node
follows its newest decision.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from protocol.messages.choreography import Choreography
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from protocol.messages.spaces import Records
from protocol.params import param
from schemes.contract import Card, NodePolicy, Scheme
from schemes.parts.central import ChoiceCoding, Choices, Decider, Reporter, reports_then_decision
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.note_reader import NoteReader

VIEW = "observation"  # what a node measures and reports
CARD = Card(
    name="mine/my_central_scheme",
    summary="every node reports what it measures; the trainer lets the node of the largest report act",
    citation="ours",
    paper="none yet",
    equations="d_n = 1[s_n = max_m s_m], s_n: the sum of all numbers that node n measures",
    worlds=("d2d_underlay",),
    observes=f"{VIEW}: reported as it is measured",
    sends="csi: the measurement, to the trainer, per node and slot; decision: 1 byte (1 bit) to each node and slot",
    fallback="silent",
)
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MyCentralSchemeParams:
    """Set them as `scheme: {name: mine/my_central_scheme, max_age_slots: 3}`."""

    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "an older report does not count; none: any age", unit="slots", source="ours"
    )


def node(welcome: Welcome, _params: MyCentralSchemeParams) -> NodePolicy:
    """Sends its measurement, and acts if the newest decision is 1: the highest value of each field, else nothing."""
    silence = welcome.action.empty(welcome.replicas)
    acting = silence.copy()
    for field in welcome.action.fields:
        acting[field.name] = 0 if field.high is None else field.high

    def action(decided: Choices) -> Records:
        return np.where(decided == 1, acting, silence)

    def encode(measured: Records) -> bytes:
        return measured.tobytes()

    return Reporter(welcome, encode, ChoiceCoding(0, 1, welcome.replicas), action)


def cloud(welcome: Welcome, params: MyCentralSchemeParams) -> NodePolicy:
    """The trainer: one report per node, one decision for each."""
    agents, replicas = range(welcome.agents), welcome.replicas
    spaces = [each.views[VIEW] for each in welcome.everyone]

    def read(note: ReceivedNote) -> Scores:
        """The sum of a report's numbers, [E]. ValueError for any other body: it may hold whatever its sender likes."""
        space = spaces[note.source]
        records = space.decode(note.body)
        if len(records) != replicas or not space.holds(records):
            raise ValueError(f"{len(records)} records for {replicas} replicas, or a number out of bounds")
        numbers = [records[field.name].reshape(replicas, -1) for field in space.fields]
        return np.asarray(np.concatenate(numbers, axis=1, dtype=np.float64).sum(axis=1))

    def decide(reports: list[tuple[int, Scores]], _rng: np.random.Generator) -> Choices:
        """[E, N]; 0 for all before the first report."""
        scores = np.full((replicas, len(agents)), -np.inf)
        for source, score in reports:
            scores[:, source] = score
        largest = scores == scores.max(axis=1, keepdims=True)
        return np.asarray(largest & np.isfinite(scores), np.int64)

    reports = LatestNotes(NoteReader(Kind.CSI, agents, read), params.max_age_slots)
    return Decider(reports, decide, [ChoiceCoding(0, 1, replicas) for _ in agents])


def choreography(_params: MyCentralSchemeParams) -> Choreography:
    """The turns of a slot: all report, the trainer decides, all act."""
    return reports_then_decision(VIEW)


SCHEME = Scheme(CARD, choreography, node, cloud, MyCentralSchemeParams)
