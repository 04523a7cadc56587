"""The plan of a run: the controller writes it once, the channel server carries it out; it never changes."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from msgspec import Struct

from protocol.messages.choreography import Choreography, Phase
from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.signalling import SignallingPlan
from protocol.messages.telemetry import Event

Fallback = Literal["hold", "silent", "random"]
TracePhases = Literal["all", "eval", "none"]
OnLoss = Literal["fallback", "restart", "pause", "rollback", "fail"]


MAX_AIR_ROWS = 5_000_000  # about 150 MB


class PhasePlan(Struct, frozen=True):
    """One phase, in the order of the plan."""

    name: Phase
    slots: int


class LossPlan(Struct, frozen=True):
    """What happens when an agent is lost; `trainer`, `channel_server`: when one of these is, None as for an agent.

    fallback: the run continues, and `fallback` acts for a lost agent. restart: the same, and the launcher restarts the
    node. pause: the run pauses before the next slot until the node is back, and fails after `pause_s`.
    rollback: the run restarts from its last checkpoint. fail: the run fails.
    `max_restarts`: of each node, and of rollbacks. `trainer_lost_after_s` is longer than an agent's, as the trainer
    learns before it replies; so is `learner_lost_after_s`, of agents that learn, in slots of training. None: agents do
    not learn.
    """

    on_loss: OnLoss
    fallback: Fallback
    lost_after_s: float
    trainer_lost_after_s: float
    trainer: OnLoss | None = None
    channel_server: Literal["rollback", "fail"] = "fail"
    max_restarts: int = 3
    pause_s: float = 60.0
    learner_lost_after_s: float | None = None

    def of(self, node: str) -> OnLoss:
        """What happens when the node of this name is lost."""
        return self.trainer or self.on_loss if node == TRAINER_NAME else self.on_loss


class ClockPlan(Struct, frozen=True):
    """`slot_ms` None: lockstep, virtual time without deadlines. Else a slot lasts so many milliseconds of wall time: a
    node that has not replied by its turn's deadline has missed the turn, and the fallback acts."""

    slot_ms: float | None = None


class RecordPlan(Struct, frozen=True):
    """What a run keeps. `values`: full values besides the trace's digests; `frames_slots`: the number of slots whose
    frames are kept; `window_slots`: the length of the windows of metrics and toll, which phases also end;
    `checkpoint_every`: slots between two checkpoints, 0 for none. `trace`: the phases whose rows are kept;
    `air_book_rows`: how many rows of the air book are kept, the first ones."""

    values: bool
    frames_slots: int
    window_slots: int
    checkpoint_every: int = 0
    trace: TracePhases = "all"
    air_book_rows: int = MAX_AIR_ROWS


class PastEvent(Struct, frozen=True):
    """An event that a replay repeats: a node was lost at a turn or rejoined at a slot, weights were uploaded for it at
    a slot, or the run was interrupted before a slot. `body`: of the weights' note."""

    event: Literal["lost", "rejoined", "interrupted", "uploaded"]
    node: str
    slot: int
    turn: int
    body: bytes = b""


def past_events(events: Iterable[Event], uploaded_weights: Callable[[str, int], bytes]) -> tuple[PastEvent, ...]:
    """Those of a run's events that a replay repeats. `uploaded_weights`: the uploaded weights of a node and slot."""
    return tuple(
        PastEvent(e.event, e.node, e.slot, e.turn, uploaded_weights(e.node, e.slot) if e.event == "uploaded" else b"")
        for e in events
        if e.event == "lost" or e.event == "rejoined" or e.event == "interrupted" or e.event == "uploaded"
    )


class RunPlan(Struct, frozen=True):
    """One run: world + scheme + signalling model + seed.

    `nodes`: the names of those that join before the run begins: the agents, and the trainer if the scheme has one.
    `privileged`: whether every node is given the world's privileged information. `episode_slots`: slots between two
    resets, None for endless. `start`: per agent the body of the weights note that it
    starts from; empty for none. `replay`: None for a live run; else exactly these
    events happen, when they happened in the run that is replayed.
    """

    run_id: str
    nodes: tuple[str, ...]
    seed: int
    replicas: int
    world: str
    world_params: dict[str, Any]
    scheme: str
    scheme_params: dict[str, Any]
    choreography: Choreography
    phases: tuple[PhasePlan, ...]
    episode_slots: int | None
    train_delay_slots: int
    loss: LossPlan
    record: RecordPlan
    signalling: SignallingPlan = SignallingPlan()
    clock: ClockPlan = ClockPlan()
    replay: tuple[PastEvent, ...] | None = None
    start: tuple[bytes, ...] = ()
    privileged: bool = False

    @property
    def slots(self) -> int:
        return sum(phase.slots for phase in self.phases)
