"""The state of a run: the parts that a checkpoint saves."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from typing import Any, Self

from channel_server.attendance import Attendance
from channel_server.event_log import EventLog
from channel_server.learn_turns import LearnTurns
from channel_server.medium import Medium
from channel_server.pace import Pace
from channel_server.recorder import Recorder
from channel_server.relay import Relay
from channel_server.routes import Routes
from channel_server.timeline import Timeline
from channel_server.welcome import names
from channel_server.worlds.contract import World
from protocol.messages.plan import RunPlan


@dataclass(frozen=True)
class RunState:
    """One of each part; every part has `snapshot` and `restore`, between two slots."""

    timeline: Timeline
    medium: Medium
    relay: Relay
    recorder: Recorder
    attendance: Attendance
    pace: Pace
    learning: LearnTurns
    events: EventLog

    @classmethod
    def before_first_slot(cls, plan: RunPlan, world: World, seated: Callable[[], Collection[int]]) -> Self:
        """The state in which a run begins. `seated`: the nodes that have a peer now."""
        timeline, medium = Timeline(plan), Medium(plan, world)
        recorder = Recorder(plan, world.metrics, getattr(world, "distributions", ()))
        everybody, agents = names(world), len(world.agents)
        routes = Routes(agents, world.agent_link, world.cloud_link, has_trainer=plan.choreography.has_trainer)
        relay = Relay(routes, plan.signalling, seed=plan.seed, replicas=plan.replicas, radio_bits=medium.radio_bits)
        return cls(
            timeline,
            medium,
            relay,
            recorder,
            Attendance(everybody, plan.replay, seated),
            Pace(plan.clock, plan.choreography, everybody, agents),
            LearnTurns(plan.train_delay_slots),
            EventLog(recorder, timeline),
        )

    def snapshot(self) -> dict[str, Any]:
        """The state of each part, by its name."""
        return {field.name: getattr(self, field.name).snapshot() for field in fields(self)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`, before the first slot."""
        for field in fields(self):
            getattr(self, field.name).restore(data[field.name])
