"""Central schemes that learn: the cloud decides all powers by a policy, and improves it by the rates that follow.

One slot:
    1. in training every BS sends the cloud the sum rate of its cell in the slot before: a scalar each
    2. in training the cloud learns from the slot before, whose rates are now complete
    3. every BS sends the cloud its gains to all users: K B scalars each, K B^2 together
    4. the cloud sends each BS its powers: K scalars
    5. the BSs transmit

An iteration follows as soon as it has enough rows, and the next decision is by the new policy, so that with 1000
replicas and M = 1000 every slot is one iteration. Warmup plays as training does, and keeps its rows.

Stale rules: those of `central`. A BS without CSI, or with CSI older than `max_age_slots`, counts with the mean gains; a
BS without a decision does not transmit. A slot of which a rate is lost is not learnt from, nor is the last one before
an evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np
from annotated_types import Ge

from protocol.messages.choreography import Choreography, agents_act, agents_exchange, trainer_decides, trainer_learns
from protocol.messages.episodes import Mask
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from protocol.params import param
from schemes.contract import Learner, NodePolicy, Observer, Training, TurnContext, TurnOutput, to_trainer
from schemes.khan2020.network_info import Floats, NoteFormats, network_info
from schemes.khan2020.optimiser import csi_notes, gathered
from schemes.khan2020.policy import PolicySettings, policy_of, powers_of
from schemes.parts.central import Reporter
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.note_reader import NoteReader
from schemes.parts.numpy_nets import Network, Weights
from schemes.parts.rollout import Rollout
from schemes.parts.scalars import ScalarCoding

OBSERVES = "gain_db [B, K, dB] to all users, this slot; rate_bps_hz [K, bit/s/Hz] of its own users, the slot before"
SENDS = (
    "csi: 4 B K bytes per BS and slot to the cloud (float32; 2 with float16, 1 with int8); decision: 4 K bytes per BS; "
    "in training feedback: 4 bytes per BS and slot to the cloud"
)
_MAX_RATE_BPS_HZ = 1e4  # of a cell
_WAITED_SLOTS = 20  # for late rates


@dataclass(frozen=True, kw_only=True)
class CentralSettings(PolicySettings, NoteFormats):
    """Parameters of the central schemes beside those of their algorithm."""

    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "older CSI counts as not received; none: any age", unit="slots", source="ours"
    )


class VersionedLearner(Learner, Protocol):
    """`updates`: the version of its policy."""

    @property
    def updates(self) -> int: ...


class Decided(NamedTuple):
    """What the cloud saw and drew in a slot: gains [E, B, B K], standardised, and shares of Pmax [E, B, K]."""

    states: Floats
    shares: Floats
    version: int


@dataclass(frozen=True)
class AwaitedRows:
    """Slots whose rates are not complete, with the rates [E] that have come, by slot and BS."""

    cells: int
    decided: dict[int, Decided] = field(default_factory=dict)
    rates: dict[int, dict[int, Floats]] = field(default_factory=dict)

    def decide(self, slot: int, decided: Decided) -> None:
        """Wait for the rates of this slot, and no longer for those of old ones."""
        self.decided[slot] = decided
        for old in [old for old in self.decided if old < slot - _WAITED_SLOTS]:
            del self.decided[old]
            self.rates.pop(old, None)

    def rate(self, slot: int, cell: int, rate_bps_hz: Floats) -> Rollout | None:
        """Take in a cell's rate: the rows of the slot, if it was the last one that they lacked."""
        if slot not in self.decided:
            return None
        rates = self.rates.setdefault(slot, {})
        rates[cell] = rate_bps_hz
        if len(rates) < self.cells:
            return None
        del self.rates[slot]
        return self._rollout(self.decided.pop(slot), np.stack([rates[b] for b in range(self.cells)], axis=1))

    def _rollout(self, decided: Decided, rates_bps_hz: Floats) -> Rollout:
        """One slot of B agents, each with its own cell's rate [E, B]. An action changes no later channel, so each slot
        is an episode whatever the world's are."""
        replicas, agents = rates_bps_hz.shape
        ends = np.ones((1, replicas), bool)
        return Rollout(
            states=decided.states[None],
            actions=decided.shares[None],
            rewards=rates_bps_hz[None],
            next_states=decided.states[None],
            log_probs=None,
            terminated=ends,
            truncated=~ends,
            policy_versions=np.full((1, replicas, agents), decided.version, np.uint32),
        )


class LearningBs(Reporter):
    """A BS: sends its cell's rate unless this is an evaluation, then its CSI, and follows the newest decision."""

    def __init__(self, welcome: Welcome, params: CentralSettings) -> None:
        info, e = network_info(welcome), welcome.replicas
        self._csi, self._rate = info.csi_coding(e, params.csi), rate_coding(e)
        super().__init__(
            welcome,
            lambda measured: self._csi.write(measured["gain_db"]),
            info.power_coding(e, params.powers),
            lambda shares: info.action(welcome, shares),
        )

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        if turn.turn > 0:
            return super().on_turn(turn)
        self._latest.update(turn)
        if turn.phase == "eval":
            return TurnOutput()
        rate = turn.measurement["rate_bps_hz"].sum(axis=1)
        return TurnOutput(notes=(to_trainer(Kind.FEEDBACK, self._rate.write(rate)),))

    def start_from(self, weights: Sequence[Weights]) -> None:
        """They are the cloud's, which starts from them."""


class CloudInbox(Observer):
    """Keeps each BS's newest CSI, and gives the learner each slot whose rates are complete."""

    def __init__(self, csi: LatestNotes[Floats], rows: AwaitedRows, learner: Learner, replicas: int) -> None:
        self._csi, self._rows, self._learner = csi, rows, learner
        rates = rate_coding(replicas)

        def read(note: ReceivedNote) -> Floats:
            return rates.read(note.body)

        self._rates = NoteReader(Kind.FEEDBACK, range(rows.cells), read)

    def observe(self, turn: TurnContext) -> None:
        self._csi.update(turn)
        for note, rate in turn.read(self._rates):
            rollout = self._rows.rate(note.slot - 1, note.source, rate)
            if rollout is not None:
                self._learner.add(rollout)

    def restart(self, replicas: Mask) -> None:
        if replicas.all():
            self._csi.clear()

    def snapshot(self) -> dict[str, Any]:
        rows = self._rows
        return {
            "csi": self._csi.snapshot(),
            "decided": [[slot, *decided] for slot, decided in rows.decided.items()],
            "rates": [[slot, list(rates.items())] for slot, rates in rows.rates.items()],
        }

    def restore(self, data: dict[str, Any]) -> None:
        self._csi.restore(data["csi"])
        self._rows.decided.update({slot: Decided(*decided) for slot, *decided in data["decided"]})
        self._rows.rates.update({slot: dict(rates) for slot, rates in data["rates"]})


class Cloud(NodePolicy):
    """Decides by the learner's policy: draws from it, and in evaluation takes its mean. Its state is the inbox's."""

    def __init__(
        self,
        welcome: Welcome,
        params: CentralSettings,
        csi: LatestNotes[Floats],
        rows: AwaitedRows,
        learner: VersionedLearner,
    ) -> None:
        self._info, self._replicas = network_info(welcome), welcome.replicas
        self._csi, self._rows, self._learner = csi, rows, learner
        self._powers = powers_of(self._info.cells * self._info.users)
        self._architecture = policy_of(params, self._info.cells * self._powers.size, self._powers.size)
        self._coding = self._info.power_coding(welcome.replicas, params.powers)
        self._acting: tuple[int, Network] | None = None

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        version, network = self._newest()
        e, cells = self._replicas, self._info.cells
        gains_db = gathered(self._info, self._csi.at(turn.slot), e)
        states = self._info.standardised(gains_db).reshape(e, cells, -1)
        outputs = network(states.reshape(e, -1))
        explores = turn.phase != "eval"
        drawn = self._powers.sample(outputs, turn.rng()) if explores else self._powers.mode(outputs)
        shares = drawn.reshape(e, cells, -1)
        if explores:
            self._rows.decide(turn.slot, Decided(states, shares, version))
        sent = self._info.within_budget(shares)
        return TurnOutput(notes=tuple(self._coding.note(b, sent[:, b]) for b in range(cells)))

    def _newest(self) -> tuple[int, Network]:
        """The learner's policy and its version."""
        version = self._learner.updates
        if self._acting is None or self._acting[0] != version:
            self._acting = version, Network(self._architecture, self._learner.weights(0))
        return self._acting


def rate_coding(replicas: int) -> ScalarCoding:
    """Of a cell's sum rate in bit/s/Hz, [E]."""
    return ScalarCoding(0.0, _MAX_RATE_BPS_HZ, (), replicas)


def training(welcome: Welcome, params: Any) -> Training:
    """The cloud's side; `params`: of an algorithm and `CentralSettings`."""
    info, e = network_info(welcome), welcome.replicas
    csi, rows = csi_notes(info, params.csi, params.max_age_slots, e), AwaitedRows(info.cells)

    def learner() -> Learner:
        from schemes.khan2020.learner_powers import central

        powers = info.cells * info.users
        return central(params, params, gains=info.cells * powers, powers=powers, seed=welcome.seed)

    return Training(
        learner=learner,
        updates_per_turn=1,
        observe=lambda built: CloudInbox(csi, rows, built, e),
        decide=lambda built: Cloud(welcome, params, csi, rows, built),
    )


def choreography(_: CentralSettings) -> Choreography:
    """Rates and learning, then CSI, decision and transmission."""
    return Choreography(
        (agents_exchange("rates"), trainer_learns(), agents_exchange("csi"), trainer_decides(), agents_act())
    )
