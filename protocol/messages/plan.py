"""What the channel server is told of a run: the controller writes it, once, and it never changes."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from msgspec import Struct

from protocol.messages.choreography import Choreography
from protocol.messages.signalling import SignallingPlan
from protocol.messages.telemetry import Event

Fallback = Literal["hold", "silent", "random"]
OnLoss = Literal["fallback", "restart", "pause", "rollback", "fail"]


class PhasePlan(Struct, frozen=True):
    """So many slots of a phase, in order of the plan."""

    name: Literal["warmup", "train", "eval"]
    slots: int


class LossPlan(Struct, frozen=True):
    """What happens when an agent is lost; `trainer`, `channel_server`: when one of these is, None as for an agent.

    fallback: the run goes on, and `fallback` acts for a lost agent. restart: so it does, and the launcher starts the
    node again. pause: the run is held before the next slot until the node is back, and fails after `pause_s`.
    rollback: everything is started again from the last checkpoint. fail: the run ends.
    `max_restarts`: of each node, and of rollbacks. A trainer may be silent for longer than an agent: it learns
    meanwhile.
    """

    on_loss: OnLoss
    fallback: Fallback
    lost_after_s: float
    trainer_lost_after_s: float
    trainer: OnLoss | None = None
    channel_server: Literal["rollback", "fail"] = "fail"
    max_restarts: int = 3
    pause_s: float = 60.0

    def of(self, node: str) -> OnLoss:
        """What happens when the node of this name is lost."""
        return self.trainer or self.on_loss if node == "trainer" else self.on_loss


class ClockPlan(Struct, frozen=True):
    """`slot_ms` None: lockstep, virtual time without deadlines. Else a slot lasts so many milliseconds of wall time:
    who has not answered by its turn's deadline has missed it, and the fallback acts."""

    slot_ms: float | None = None


class RecordPlan(Struct, frozen=True):
    """What a run keeps. `values`: full values beside the trace's digests; `frames_slots`: frames of the first slots;
    `checkpoint_every`: slots between two checkpoints, 0 for none."""

    values: bool
    frames_slots: int
    window_slots: int
    checkpoint_every: int = 0


class PastEvent(Struct, frozen=True):
    """A node lost at a turn or rejoined at a slot, weights put to it at a slot, or an interrupt before a slot, in a run
    that is replayed. `body`: of weights, without a number."""

    event: Literal["lost", "rejoined", "interrupted", "put"]
    node: str
    slot: int
    turn: int
    body: bytes = b""


def past_events(events: Iterable[Event], weights_put: Callable[[str, int], bytes]) -> tuple[PastEvent, ...]:
    """What a replay repeats of all that happened to a run; `weights_put`: those of a node and slot."""
    return tuple(
        PastEvent(e.event, e.node, e.slot, e.turn, weights_put(e.node, e.slot) if e.event == "put" else b"")
        for e in events
        if e.event == "lost" or e.event == "rejoined" or e.event == "interrupted" or e.event == "put"
    )


class RunPlan(Struct, frozen=True):
    """One run: world + scheme + signalling model + seed.

    `nodes`: the names of those that join before the run begins: the agents, and the trainer if the scheme has one.
    `episode_slots`: slots between two resets, None for endless. `replay`: None for a live run; else what
    happened to it happens exactly then, and nothing else does.
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

    @property
    def slots(self) -> int:
        return sum(phase.slots for phase in self.phases)
