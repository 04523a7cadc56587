"""Full channel knowledge at the BS: the reward of a simple central scheduler, and the signalling that it costs.

One slot:
    1. every receiver sends the BS/cloud the gains it measures: from all N transmitters and the BS, on all K RBs
    2. every CUE sends it the gains on its own RB
    3. the BS/cloud places the pairs and sends each its RB
    4. the pairs transmit

Greedy steepest ascent: all pairs start silent. Of all pairs not yet placed and all RBs, the (pair, RB) that raises the
cell's total reward most is placed, until all are placed or none raises it; the others stay silent. The total is eq.
(5-7) summed over the placed pairs, so it includes what a new pair takes from the pairs and the CUE on its RB. All at
full power. Moving single pairs afterwards adds less than 0.3 % (N = 10, 20; both intercepts).

Stale rules: hold. The cloud uses each receiver's newest gains, by the slot in which they were sent. Without gains, or
with gains older than `max_age_slots`, a CUE counts as in outage and a pair as without reward. A pair follows the newest
decision, whatever slot it was made for, until a newer one comes; before the first it is silent.
"""

from dataclasses import dataclass
from math import ceil, log2
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from protocol.messages.choreography import Choreography, agents_act, agents_exchange, network_sends, trainer_decides
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.spaces import Records
from protocol.params import param
from schemes.contract import NO_OUTPUT, Card, Scheme, TurnContext, TurnOutput, to_trainer
from schemes.li2020 import PAPER
from schemes.li2020.cell_info import ActionTable, CellInfo, cell_info
from schemes.parts.latest_notes import LatestNotes, LatestNotesPolicy
from schemes.parts.note_reader import NoteReader

Floats = npt.NDArray[np.float64]
Linear = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

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
        "decision: 1 byte per pair (2 beyond 127 RBs), ceil(log2(K + 1)) bits of payload"
    ),
    deviations=("1. not in the paper", "2. full power only"),
)


@dataclass(frozen=True)
class GreedyCentral:
    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "older gains of a receiver count as not received; none: any age", unit="slots", source="ours"
    )


class ReportingPair(LatestNotesPolicy[Records]):
    """A pair: sends its receiver's gains to the trainer and follows the newest decision."""

    def __init__(self, welcome: Welcome, params: GreedyCentral) -> None:
        cell = cell_info(welcome)
        self._rbs, self._replicas, self._actions = cell.rbs, welcome.replicas, ActionTable(cell, welcome.action)
        super().__init__(LatestNotes(NoteReader(Kind.DECISION, (welcome.agents,), self._decision)))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._latest.update(turn)  # in both turns: late notes arrive in turn 0, before the exchange
        if turn.step == "exchange":
            return TurnOutput(notes=(to_trainer(Kind.CSI, _linear_gains(turn.measurement)),))
        decisions = self._latest.at(turn.slot)
        return TurnOutput(decisions[0][1]) if decisions else NO_OUTPUT

    def _decision(self, note: ReceivedNote) -> Records:
        """The action that a decision asks for, [E]."""
        rb = np.frombuffer(note.body, _rb_dtype(self._rbs)).astype(np.int64)
        if rb.shape != (self._replicas,) or (rb < -1).any() or (rb >= self._rbs).any():
            raise ValueError(f"expected an RB below {self._rbs}, or -1, for each of {self._replicas} replicas")
        return self._actions(rb)


class CentralScheduler(LatestNotesPolicy[Linear]):
    """The BS/cloud: keeps each receiver's newest gains and places all pairs."""

    def __init__(self, welcome: Welcome, params: GreedyCentral) -> None:
        self._cell, self._replicas = cell_info(welcome), welcome.replicas
        self._first_cue = welcome.names.index("cue-0")
        cues = range(self._first_cue, self._first_cue + self._cell.rbs)
        reader = NoteReader(Kind.CSI, {*range(self._cell.pairs), *cues}, self._measured)
        super().__init__(LatestNotes(reader, params.max_age_slots))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._latest.update(turn)
        return TurnOutput(notes=self._decisions(place(self._gains(turn.slot))))

    def _gains(self, slot: int) -> "Gains":
        """The gains known in `slot`, linear; zero where a receiver has sent none."""
        n, k = self._cell.pairs, self._cell.rbs
        at_pairs = np.zeros((n, self._replicas, n + 1, k))  # [rx, E, tx and last the BS, RB]
        at_cues = np.zeros((k, self._replicas, n + 1))  # [CUE, E, tx and last the BS]
        for source, measured in self._latest.at(slot):
            gains = at_pairs[source] if source < n else at_cues[source - self._first_cue]
            gains[...] = measured
        return Gains.of(self._cell, at_pairs, at_cues)

    def _measured(self, note: ReceivedNote) -> Linear:
        """The gains that a receiver measured, linear, [E, N + 1, K] of a pair, [E, N + 1] of a CUE."""
        n, k = self._cell.pairs, self._cell.rbs
        shape = (self._replicas, n + 1, k) if note.source < n else (self._replicas, n + 1)
        gains = np.frombuffer(note.body, "<f4").reshape(shape)
        if not np.isfinite(gains).all() or (gains < 0).any():
            raise ValueError("a gain is negative or not finite")
        return gains

    def _decisions(self, rb: Indices) -> tuple[Note, ...]:
        bits = ceil(log2(self._cell.rbs + 1))  # an RB, or silence
        bodies = np.ascontiguousarray(rb.T, _rb_dtype(self._cell.rbs))  # [N, E]
        return tuple(Note((n,), Kind.DECISION, body.tobytes(), bits) for n, body in enumerate(bodies))


@dataclass(frozen=True)
class Gains:
    """Received powers of this slot at full power, in units of the noise power."""

    pair: Floats  # [E, RB, tx, rx]; the diagonal is the pairs' own signal
    pair_bs: Floats  # [E, RB, rx]
    cue: Floats  # [E, RB, tx]
    cue_bs: Floats  # [E, RB]
    cue_threshold: float
    negative_reward: float

    @classmethod
    def of(cls, cell: CellInfo, at_pairs: Floats, at_cues: Floats) -> "Gains":
        """From linear gains [rx, E, tx + BS, RB] and [CUE, E, tx + BS]."""
        d2d, bs = cell.d2d_powers_w[0] / cell.noise_w, cell.bs_power_w / cell.noise_w
        by_rb = np.ascontiguousarray(at_pairs.transpose(1, 3, 2, 0))  # [E, RB, tx + BS, rx]
        cues = at_cues.swapaxes(0, 1)  # [E, RB, tx + BS]
        return cls(
            pair=d2d * by_rb[:, :, :-1],
            pair_bs=bs * by_rb[:, :, -1],
            cue=d2d * cues[:, :, :-1],
            cue_bs=bs * cues[:, :, -1],
            cue_threshold=cell.cue_threshold,
            negative_reward=cell.negative_reward,
        )


def place(gains: Gains) -> Indices:
    """An RB for every pair, -1 for silence, [E, N]."""
    placement = _Placement(gains)
    for _ in range(gains.pair.shape[2]):
        placement.insert_best()
    return placement.rb


class _Placement:
    """The RB of each pair, and what each further (RB, pair) would add to the total reward; all replicas at once."""

    def __init__(self, gains: Gains) -> None:
        e, k, n = gains.cue.shape
        self._gains = gains
        self._replica = np.arange(e)
        self.rb = np.full((e, n), -1)
        self._own = np.ascontiguousarray(np.diagonal(gains.pair, axis1=2, axis2=3))  # [E, RB, pair]
        self._members = np.zeros((e, k, n), bool)
        self._gain = np.empty((e, k, n))  # [E, RB, N]: what placing a pair there would add
        for rb in range(k):
            self._evaluate(np.full(e, rb))

    def insert_best(self) -> None:
        """In every replica, place the (pair, RB) that adds most, if it adds anything."""
        open_gain = np.where(self.rb[:, None, :] < 0, self._gain, -np.inf)  # [E, RB, N]
        rb, pair = np.divmod(open_gain.reshape(len(open_gain), -1).argmax(axis=1), self.rb.shape[1])
        helps = open_gain[self._replica, rb, pair] > 0.0
        if not helps.any():
            return
        self._members[self._replica, rb, pair] |= helps
        self.rb[self._replica[helps], pair[helps]] = rb[helps]
        self._evaluate(rb)

    def _evaluate(self, rb: Indices) -> None:
        """`_gain` of one RB per replica, [E] -> [E, N]: its total with each candidate, less its total without."""
        gains, at = self._gains, (self._replica, rb)
        members = self._members[at]  # [E, N]
        from_all, own = gains.pair[at], self._own[at]  # [E, tx, rx], [E, N]
        total = np.matmul(members[:, None, :].astype(float), from_all)[:, 0]  # [E, rx], a member's own signal included
        base = 1.0 + gains.pair_bs[at] + total - np.where(members, own, 0.0)  # [E, rx]
        rate = np.log2(1.0 + own / base)  # [E, N]: of a member as it is, of a candidate when it joins
        harmed = np.log2(1.0 + own[:, None, :] / (base[:, None, :] + from_all))  # [E, candidate, member]
        kept = np.where(members[:, None, :], harmed, 0.0).sum(axis=2)  # [E, candidate]
        count = members.sum(axis=1, keepdims=True)  # [E, 1]
        cue_load = 1.0 + (members * gains.cue[at]).sum(axis=1, keepdims=True)  # [E, 1]
        before = self._reward((rate * members).sum(axis=1, keepdims=True), count, cue_load, at)  # [E, 1]
        after = self._reward(kept + rate, count + 1, cue_load + gains.cue[at], at)  # [E, candidate]
        self._gain[at] = after - before

    def _reward(self, rates: Floats, count: Indices, cue_load: Floats, at: tuple[Indices, Indices]) -> Floats:
        """Eq. (5-7) summed over an RB's pairs, [E, .]."""
        served = self._gains.cue_bs[at][:, None] >= self._gains.cue_threshold * cue_load
        return np.where(served, rates, self._gains.negative_reward * count)


def _linear_gains(measured: Records) -> bytes:
    """float32 [E, N + 1, K]: from every transmitter, last from the BS."""
    gains_db = np.concatenate([measured["d2d_gain_db"], measured["bs_gain_db"][:, None, :]], axis=1)
    return np.asarray(np.float32(10) ** (gains_db / np.float32(10)), "<f4").tobytes()


def _rb_dtype(rbs: int) -> str:
    return "i1" if rbs <= 127 else "<i2"


def choreography(_params: GreedyCentral) -> Choreography:
    return Choreography((agents_exchange(view="csi"), network_sends("cue_csi"), trainer_decides(), agents_act()))


SCHEME = Scheme(CARD, choreography, ReportingPair, CentralScheduler, GreedyCentral)
