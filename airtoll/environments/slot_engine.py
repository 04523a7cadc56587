"""Drives a run slot by slot for a learner outside: the act turn is a call, everything else happens as in any run.

    engine = SlotEngine(plan, world, agents, sink)
    result = engine.start()
    while not result.over:
        result = engine.act({agent: action for agent in agents})

The run is the one that `airtoll run` executes in one process: the same core, relay, books and trace.
"""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent_node.core import BuildPolicy
from agent_node.session import Session
from airtoll.environments.outside_node import OutsideNode
from channel_server.waiting import Waiting
from channel_server.worlds.contract import SlotOutcome, World
from controller.execution.building import policy_builder
from controller.execution.in_process import Loopback
from protocol.messages.codec import encode
from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.node import Welcome
from protocol.messages.plan import RunPlan
from protocol.messages.spaces import Records
from protocol.messages.telemetry import Sink
from schemes.contract import NO_OUTPUT, NodePolicy, TurnContext, TurnOutput

_REPORT_EVERY_SLOTS = 100


class SlotResult(NamedTuple):
    """Where a run stands: the outside agents' act turns, by index; after the last slot their closing turns.

    `outcome`: of the slot before, None before the first. `over`: no slot is left.
    """

    turns: Mapping[int, TurnContext]
    outcome: SlotOutcome | None
    over: bool


class SlotEngine:
    """A run in this process whose `agents`, by index, are played from outside; the others follow the scheme.

    `sink` receives the run's telemetry. ValueError for a choreography in which the agents are not asked together.
    """

    def __init__(self, plan: RunPlan, world: World, agents: Sequence[int], sink: Sink) -> None:
        _check_choreography(plan, agents)
        self._loopback = Loopback(plan, world)
        self._run = self._loopback.run
        self._sink = sink
        self._nodes = {agent: OutsideNode(plan.run_id, plan.nodes[agent]) for agent in agents}
        self._sessions = _sessions(plan, self._nodes)
        self._reported = 0  # slots whose telemetry the sink has
        self._started_at = time.monotonic()

    @property
    def welcomes(self) -> dict[int, Welcome]:
        """What each outside agent knows of its run, by index; after `start`."""
        return {agent: node.welcome for agent, node in self._nodes.items() if node.welcome is not None}

    @property
    def slot(self) -> int:
        """The slot that is being played; the number of slots once the run is over."""
        return self._run.slot

    def start(self) -> SlotResult:
        """Let all nodes join, and play up to the first act turn."""
        for name, session in self._sessions.items():
            self._loopback.sessions[name.encode()] = session
            self._loopback.deliver(name.encode(), encode(session.hello()))
        return self._play()

    def act(self, actions: Mapping[int, Records | None]) -> SlotResult:
        """Transmit by these actions, records [E] by agent or None to keep the last, and play up to the next act turn.

        ValueError for an action outside its space, and KeyError for an agent without one, before any node replies;
        RuntimeError if the run fails.
        """
        for agent, node in self._nodes.items():
            node.check(actions[agent])
        replies = [(self._run.names[agent], node.act(actions[agent])) for agent, node in self._nodes.items()]
        for name, reply in replies:
            self._loopback.deliver(name.encode(), encode(reply))
        return self._play()

    def report(self) -> None:
        """Send the sink what has been recorded so far, the toll included."""
        if self._run.waiting is not Waiting.NOTHING:
            self._run.state.recorder.finish()
            self._report()

    def close(self) -> None:
        """Stop a run that is not over, where it stands."""
        if self._run.waiting is Waiting.NOTHING:
            return
        self._loopback.send(self._run.finish("STOPPED", "the environment was closed or reset"))
        self._deliver()
        self._end()

    def _play(self) -> SlotResult:
        """Deliver messages until the act turn waits for its actions, or the run is over."""
        self._deliver()
        over = self._run.waiting is Waiting.NOTHING
        if over:
            self._end()
        elif self._run.slot >= self._reported + _REPORT_EVERY_SLOTS:
            self._report()
        turns = {agent: node.turn for agent, node in self._nodes.items()}
        return SlotResult(turns, self._run.state.medium.outcome, over)

    def _deliver(self) -> None:
        while self._loopback.step():
            pass

    def _report(self) -> None:
        self._reported = self._run.slot
        for telemetry in self._run.telemetry():
            self._sink(telemetry)

    def _end(self) -> None:
        self._report()
        self._sink(self._run.ended(wall_s=time.monotonic() - self._started_at, wire=[]))
        state, reason = self._run.end
        if state == "FAILED":
            raise RuntimeError(f"the run has failed: {reason}")


class _IdleTrainer(NodePolicy):
    """In place of a trainer that would learn from the histories of agents which send none: it learns nothing."""

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        return NO_OUTPUT


def _sessions(plan: RunPlan, played: Mapping[int, OutsideNode]) -> dict[str, Session]:
    """All nodes by name, in the order of their indices."""
    choreography = plan.choreography
    steps = {spec.step for spec in choreography.turns if spec.who == "trainer"}
    is_idle = steps == {"learn"} and len(played) == len(plan.nodes) - 1
    sessions: dict[str, Session] = {}
    for node, name in enumerate(plan.nodes):
        build: BuildPolicy = (lambda _: _IdleTrainer()) if is_idle and name == TRAINER_NAME else policy_builder(name)
        sessions[name] = played.get(node) or Session(plan.run_id, name, build)
    return sessions


def _check_choreography(plan: RunPlan, agents: Sequence[int]) -> None:
    """ValueError unless every outside agent acts once per slot, and several of them together."""
    acts = [spec for spec in plan.choreography.turns if spec.who == "agents" and spec.step == "act"]
    if len(acts) != 1 or acts[0].repeat != 1:
        raise ValueError(f"scheme: the agents of {plan.scheme} do not act once per slot: choose one whose agents do")
    if len(agents) > 1 and acts[0].order != "all":
        raise ValueError(
            f"scheme: the agents of {plan.scheme} act one after another ({acts[0].order}): play a single agent "
            "from outside (airtoll.gym_env), or choose a scheme whose agents act at once"
        )
