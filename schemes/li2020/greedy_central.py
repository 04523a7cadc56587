"""Full channel knowledge at the BS: the reward of a simple central scheduler, and the signalling that it costs.

One slot:
    1. every receiver sends the BS/cloud the gains it measures: from all N transmitters and the BS, on all K RBs
    2. every CUE sends it the gains on its own RB
    3. the BS/cloud places the pairs (`placement`) and sends each its RB
    4. the pairs transmit

Moving single pairs after the greedy placement adds less than 0.3 % (N = 10, 20; both intercepts).

Stale rules: those of `central`. Without gains, or with gains older than `max_age_slots`, a CUE counts as in outage and
a pair as without reward; a pair without a decision is silent.
"""

from collections.abc import Callable
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
from schemes.li2020 import PAPER
from schemes.li2020.cell_info import ActionTable, CellInfo, cell_info
from schemes.li2020.placement import Gains, Indices, place
from schemes.parts.central import ChoiceCoding, Decider, Reporter, reports_then_decision
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.note_reader import NoteReader

Linear = npt.NDArray[np.float32]

CARD = Card(
    name="li2020/greedy_central",
    summary="all gains are sent to the BS in every slot, which places the pairs greedily",
    citation="ours; Li and Guo 2020, sec. I-A, name centralised schemes and leave them out of the figures",
    paper=PAPER,
    equations="greedy ascent of sum_n r_n over (pair, RB), r_n of eq. (5-7)",
    worlds=("d2d_underlay",),
    observes="d2d_gain_db [N, K, dB], bs_gain_db [K, dB], this slot, at the receiver",
    sends=(
        "csi: 4 (N + 1) K bytes per pair and slot to the BS (float32, linear), 4 (N + 1) bytes per CUE; "
        "decision: 1 byte per pair (2 beyond 128 RBs), ceil(log2(K + 1)) bits of payload"
    ),
    deviations=("1. not in the paper", "2. full power only"),
)


@dataclass(frozen=True)
class GreedyCentral:
    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "older gains of a receiver count as not received; none: any age", unit="slots", source="ours"
    )


def pair(welcome: Welcome, _: GreedyCentral) -> NodePolicy:
    """Sends its receiver's gains and follows the newest decision."""
    cell = cell_info(welcome)
    return Reporter(welcome, _linear_gains, _coding(cell, welcome), ActionTable(cell, welcome.action))


def scheduler(welcome: Welcome, params: GreedyCentral) -> NodePolicy:
    """The BS/cloud: keeps each receiver's newest gains and places all pairs."""
    return scheduler_with(welcome, params, place)


def scheduler_with(welcome: Welcome, params: GreedyCentral, solve: Callable[[Gains], Indices]) -> NodePolicy:
    """The BS/cloud with any solver: from this slot's gains the RB of every pair [E, N], -1 for silence."""
    cell, e = cell_info(welcome), welcome.replicas
    n, k, first_cue = cell.pairs, cell.rbs, welcome.names.index("cue-0")

    def read(note: ReceivedNote) -> Linear:
        gains = np.frombuffer(note.body, "<f4").reshape((e, n + 1, k) if note.source < n else (e, n + 1))
        if not np.isfinite(gains).all() or (gains < 0).any():
            raise ValueError("a gain is negative or not finite")
        return gains

    def decide(reports: list[tuple[int, Linear]], _rng: np.random.Generator) -> Indices:
        at_pairs, at_cues = np.zeros((n, e, n + 1, k)), np.zeros((k, e, n + 1))  # [rx, E, tx and last the BS, RB]
        for source, measured in reports:
            (at_pairs[source] if source < n else at_cues[source - first_cue])[...] = measured
        return solve(Gains.of(cell, at_pairs, at_cues))

    reader = NoteReader(Kind.CSI, {*range(n), *range(first_cue, first_cue + k)}, read)
    return Decider(LatestNotes(reader, params.max_age_slots), decide, [_coding(cell, welcome)] * n)


def _coding(cell: CellInfo, welcome: Welcome) -> ChoiceCoding:
    return ChoiceCoding(-1, cell.rbs - 1, welcome.replicas)  # -1: silence


def _linear_gains(measured: Records) -> bytes:
    """float32 [E, N + 1, K]: from every transmitter, last from the BS."""
    gains_db = np.concatenate([measured["d2d_gain_db"], measured["bs_gain_db"][:, None, :]], axis=1)
    return np.asarray(np.float32(10) ** (gains_db / np.float32(10)), "<f4").tobytes()


def choreography(_: GreedyCentral) -> Choreography:
    return reports_then_decision("csi", "cue_csi")


SCHEME = Scheme(CARD, choreography, pair, scheduler, GreedyCentral)
