"""A scheme and a world run together in plain Python: no wire, no gate, no delay, no loss.

Notes sent in a turn are readable in the next one; feedback sent after a slot is readable in turn 0 of the next slot.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from channel_server.worlds.contract import InfrastructureNote, Privileged, World, WorldEntry
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import TurnSpec
from protocol.messages.episodes import TRUNCATED, going_on
from protocol.messages.kinds import NEIGHBOURS, TRAINER, TRAINER_NAME, Kind
from protocol.messages.node import NodeSpaces, Note, ReceivedNote, Welcome
from protocol.messages.spaces import Records, Space
from schemes.contract import NodePolicy, Scheme, TurnContext

_NOTHING_MEASURED = Space()


def welcome_for(
    world: World, scheme: Scheme, index: int, params: Any = None, *, seed: int = 1, replicas: int = 1
) -> Welcome:
    """The Welcome that the channel server would send node `index` (an agent, or the trainer for len(agents))."""
    params = scheme.params() if params is None else params
    agents = len(world.agents)
    is_agent = index < agents
    privileged = world.privileged_info() if scheme.privileged and isinstance(world, Privileged) else {}
    spaces = [NodeSpaces({view: of[i] for view, of in world.views.items()}, world.actions[i]) for i in range(agents)]
    return Welcome(
        run_id="direct",
        index=index,
        names=[*world.agents, TRAINER_NAME, *world.infrastructure],
        agents=agents,
        scheme=scheme.card.name,
        params=asdict(params) if is_dataclass(params) and not isinstance(params, type) else {},
        seed=seed,
        replicas=replicas,
        choreography=scheme.choreography(params),
        views=spaces[index].views if is_agent else {},
        action=spaces[index].action if is_agent else _NOTHING_MEASURED,
        static_info=world.static_info(index) | privileged,
        everyone=[] if is_agent else spaces,
    )


def play(
    entry: WorldEntry,
    world_params: Any,
    scheme: Scheme,
    scheme_params: Any = None,
    *,
    slots: int,
    seed: int = 1,
    replicas: int = 1,
    episodes: int = 1,
) -> dict[str, float]:
    """Metric means, sum / count over all slots of all episodes (`slots` in each)."""
    world = entry.build(world_params, seed=seed, replicas=replicas)
    stage = Stage(world, scheme, scheme_params, seed=seed, replicas=replicas)
    for episode in range(episodes):
        for _ in range(slots):
            stage.play_slot()
        if episode < episodes - 1:
            stage.truncate()
    stage.close()
    return stage.means()


class Stage:
    """One run, slot by slot. `policies`: the agents', then the trainer's where the scheme has a cloud side."""

    def __init__(self, world: World, scheme: Scheme, params: Any = None, *, seed: int = 1, replicas: int = 1) -> None:
        self.world, self.seed, self.replicas = world, seed, replicas
        self.n_agents = len(world.agents)
        params = scheme.params() if params is None else params
        self.choreography = scheme.choreography(params)
        build = [scheme.node] * self.n_agents + ([scheme.cloud] if scheme.cloud else [])
        self.policies: list[NodePolicy] = [
            make(welcome_for(world, scheme, i, params, seed=seed, replicas=replicas), params)
            for i, make in enumerate(build)
        ]
        self.note_bytes: Counter[Kind] = Counter()  # as sent: a broadcast counts once
        self.payload_bits: Counter[Kind] = Counter()
        self.slots: list[dict[str, float]] = []  # metric means, slot by slot
        self.slot, self.ended = 0, going_on(replicas)
        self.state = world.reset()
        self.actions = [world.silent(i) for i in range(self.n_agents)]
        self.inboxes: defaultdict[int, list[ReceivedNote]] = defaultdict(list)
        self.sums = np.zeros(len(world.metrics))
        self.counts = np.zeros(len(world.metrics))

    def truncate(self) -> None:
        """Cut all episodes off after the last slot."""
        self.ended = np.full(self.replicas, TRUNCATED, np.uint8)
        self.actions = [self.world.silent(i) for i in range(self.n_agents)]
        for policy in self.policies:
            policy.restart(self.ended > 0)

    def play_slot(self) -> None:
        self.state = self.world.begin(self.state, self.slot, self.ended > 0)
        self.turn = 0
        for spec in self.choreography.turns:
            for _ in range(spec.repeat):
                self._play(spec)
        self.state, outcome = self.world.transmit(self.state, self.actions)
        self.rewards = outcome.rewards  # [n_agents, E]
        self._count(outcome.sums, outcome.counts)
        for report in self.choreography.feedback:
            self._publish(self.world.report(self.state, report))
        self.slot += 1
        self.ended = going_on(self.replicas)

    def close(self) -> None:
        """The closing turn; its measurement is the view the agents see first in a slot."""
        views = [spec.view for spec in self.choreography.turns if spec.who == "agents"]
        spec = TurnSpec(who="agents", step="close", view=views[0] if views else "")
        self.turn = 0
        for turn, policy in zip(self._turns(list(range(self.n_agents)), spec), self.policies, strict=False):
            policy.close(turn)

    def means(self) -> dict[str, float]:
        return self._ratios(self.sums, self.counts)

    def _play(self, spec: TurnSpec) -> None:
        if spec.who == "network":
            self._publish(self.world.report(self.state, spec.view))
            self.turn += 1
            return
        for nodes in self._asked(spec):
            self._ask(nodes, spec)
            self.turn += 1

    def _asked(self, spec: TurnSpec) -> Iterator[list[int]]:
        if spec.who == "trainer":
            yield [self.n_agents]
        elif spec.order == "all":
            yield list(range(self.n_agents))
        else:
            rng = CounterRng(self.seed, "order").at(self.slot, self.turn)
            by_index = np.roll(range(self.n_agents), -self.slot if spec.order == "rotating" else 0).tolist()
            order = rng.permutation(self.n_agents).tolist() if spec.order == "random" else by_index
            yield from ([node] for node in order)

    def _ask(self, nodes: list[int], spec: TurnSpec) -> None:
        turns = self._turns(nodes, spec)
        outputs = [self.policies[node].on_turn(turn) for node, turn in zip(nodes, turns, strict=True)]
        for node, output in zip(nodes, outputs, strict=True):
            if output.action is not None:
                self.actions[node] = output.action
            for note in output.notes:
                self._deliver(node, note)
        if spec.step == "probe":
            self.state = self.world.probe(self.state, self.actions)

    def _turns(self, nodes: list[int], spec: TurnSpec) -> list[TurnContext]:
        measured = self._measured(nodes, spec)
        inboxes = [self.inboxes.pop(node, []) for node in nodes]
        return [
            TurnContext(
                self.slot,
                self.turn,
                spec.step,
                "eval",
                self.ended,
                seen,
                inbox,
                CounterRng(self.seed, "node", node),
                [],
            )
            for node, seen, inbox in zip(nodes, measured, inboxes, strict=True)
        ]

    def _measured(self, nodes: list[int], spec: TurnSpec) -> list[Records]:
        if spec.who == "trainer" or not spec.view:
            return [_NOTHING_MEASURED.empty(self.replicas)] * len(nodes)
        records, spaces = self.world.measure(self.state, spec.view), self.world.views[spec.view]
        return [spaces[node].decode(records[node].tobytes()) for node in nodes]

    def _publish(self, notes: list[InfrastructureNote]) -> None:
        for source, note in notes:
            self._deliver(self.n_agents + 1 + source, note)

    def _deliver(self, source: int, note: Note) -> None:
        self.note_bytes[note.kind] += len(note.body)
        self.payload_bits[note.kind] += note.charged_bits(self.replicas)
        for node in self._receivers(source, note):
            self.inboxes[node].append(ReceivedNote(source, note.kind, self.slot, self.turn, note.body))

    def _receivers(self, source: int, note: Note) -> Iterator[int]:
        for to in note.to:
            if to == NEIGHBOURS:
                yield from self.world.neighbours(self.state)[source]
            else:
                yield self.n_agents if to == TRAINER else to

    def _count(self, sums: Any, counts: Any) -> None:
        self.sums += sums
        self.counts += counts
        self.slots.append(self._ratios(sums, counts))

    def _ratios(self, sums: Any, counts: Any) -> dict[str, float]:
        pairs = zip(self.world.metrics, sums, counts, strict=True)
        return {metric.name: float(s / c) if c else float("nan") for metric, s, c in pairs}
