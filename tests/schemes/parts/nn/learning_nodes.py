"""Nodes that learn a small problem: real actors, and a real trainer where there is one, without a wire between them."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from controller.trainer import LearningTrainer
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import Choreography, agents_act, trainer_learns
from protocol.messages.episodes import TERMINATED, TRUNCATED, Mask
from protocol.messages.kinds import TRAINER
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.spaces import Field, Records, Space
from schemes.contract import Join, Learner, NodePolicy, Send, Training, TurnContext
from schemes.parts.actor import Actor, Behaviour, Choices, Continuous, Net
from schemes.parts.experience import Experience
from schemes.parts.exploration import EpsilonSoftmax, GaussianNoise
from schemes.parts.history import JointTrajectory, Layout
from schemes.parts.local_trainer import LocalTrainer
from schemes.parts.nn.learning import Independent
from schemes.parts.numpy_nets import Weights
from schemes.parts.sense import Floats, Measured
from schemes.parts.uploads import EverySlots, Rows
from tests.schemes.parts.nn.small_problems import Problem

REPLICAS = 32
_NO_VIEW, _OFTEN_BEST = Space(), EpsilonSoftmax(0.3)
Place = Literal["node", "trainer"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A learner and how nodes act by it. `learner(seed, node)`; `choices` 0: one number in [-1, 1]. `joint`: `learner`
    is one of all agents, at the trainer alone. `updates`: per upload."""

    learner: Callable[[int, int], Learner]
    network: Callable[[Weights], Net]
    data: Callable[[Experience, JointTrajectory], Any]
    slots: int
    upload_every_slots: int
    choices: int = 2
    updates: int = 1
    joint: bool = False
    exploration: EpsilonSoftmax = _OFTEN_BEST
    numbered: bool = False  # a state is the number of its one-hot entry


class Earned:
    """A node's reward is what it measures in the next slot."""

    feedback = None

    def of(self, _action: Records, measured: Records, _feedback: None) -> tuple[Floats, Mask]:
        return measured["earned"], np.ones(len(measured), bool)


class Seen:
    """The problem's observation, or its number."""

    def __init__(self, inputs: int, *, numbered: bool) -> None:
        self.inputs, self._numbered = 1 if numbered else inputs, numbered

    def __call__(self, records: Records) -> Floats:
        seen = records["seen"].reshape(len(records), -1)
        return seen.argmax(axis=1)[:, None].astype(np.float32) if self._numbered else seen


class Nodes:
    """A problem's agents, `learns_at` of each its own place; `lose`: the share of notes that are lost."""

    def __init__(self, problem: Problem, method: Method, learns_at: Place, *, seed: int = 1, lose: float = 0.0) -> None:
        self._problem, self._method, self._lose = problem, method, lose
        self._view = Space((Field("seen", "f4", (problem.inputs,)), Field("earned", "f4")))
        choice = (
            Field("a", "i1", low=0, high=method.choices - 1) if method.choices else Field("a", "f4", low=-1, high=1)
        )
        self._action = Space((choice,))
        self._rng, self._rngs = np.random.default_rng(seed), [CounterRng(seed, "node", n) for n in range(3)]
        self._losses = np.random.default_rng(seed + 1)
        self._vector = Seen(problem.inputs, numbered=method.numbered)
        self.actors = [self._actor(n, learns_at, seed) for n in range(problem.agents)]
        self._trainer = (
            LearningTrainer(self._welcome(problem.agents), self._training(seed)) if learns_at == "trainer" else None
        )
        self._inboxes: defaultdict[int, list[ReceivedNote]] = defaultdict(list)

    def learn(self) -> Self:
        """Train for the method's slots."""
        state = self._problem.reset(REPLICAS, self._rng)
        earned: Floats = np.zeros((REPLICAS, self._problem.agents), np.float32)
        ended = np.zeros(REPLICAS, np.uint8)
        for slot in range(self._method.slots):
            seen = self._problem.observe(state)
            actions = self._act(slot, seen, earned, ended)
            if self._trainer is not None:
                self._ask_trainer(self._trainer, slot)
            state, earned = self._problem.step(state, np.stack([a["a"][:, None] for a in actions], axis=1))
            ended = np.zeros(REPLICAS, np.uint8)
            if (slot + 1) % self._problem.slots == 0:
                ended[:] = TERMINATED if self._problem.slots == 1 else TRUNCATED
                state = self._problem.reset(REPLICAS, self._rng)
        self._act(
            self._method.slots, self._problem.observe(state), earned, ended, phase="eval"
        )  # takes the last weights
        return self

    @property
    def score(self) -> float:
        """Mean reward of the best actions as a share of the optimum."""
        problem, rng = self._problem, np.random.default_rng(99)
        state, rewards = problem.reset(64, rng), []
        for _ in range(problem.slots):
            seen = problem.observe(state)
            state, earned = problem.step(state, np.stack([self._best(n, seen[:, n]) for n in range(problem.agents)], 1))
            rewards.append(earned)
        return float(np.mean(rewards)) / problem.optimum

    def _best(self, node: int, seen: Floats) -> Any:
        """[E, 1]"""
        net, record = self.actors[node].net, self._view.empty(len(seen))
        assert net is not None
        record["seen"] = seen
        outputs = net(self._vector(record))
        return outputs.argmax(axis=1)[:, None] if self._method.choices else outputs

    def _act(self, slot: int, seen: Floats, earned: Floats, ended: Any, *, phase: str = "train") -> list[Records]:
        """Every agent's action."""
        actions = []
        for node, actor in enumerate(self.actors):
            measured = self._view.empty(REPLICAS)
            measured["seen"], measured["earned"] = seen[:, node], earned[:, node]
            if ended.any():
                actor.restart(ended > 0)
            output = actor.on_turn(self._turn(node, slot, "act", measured, ended, phase=phase))
            self._deliver(node, slot, output.notes)
            assert output.action is not None
            actions.append(output.action)
        return actions

    def _ask_trainer(self, trainer: NodePolicy, slot: int) -> None:
        node = self._problem.agents
        turn = self._turn(node, slot, "learn", _NO_VIEW.empty(REPLICAS), np.zeros(REPLICAS, np.uint8))
        self._deliver(node, slot, trainer.on_turn(turn).notes)

    def _turn(
        self, node: int, slot: int, step: Any, measured: Records, ended: Any, *, phase: str = "train"
    ) -> TurnContext:
        return TurnContext(slot, 0, step, phase, ended, measured, self._inboxes.pop(node, []), self._rngs[node], [])

    def _deliver(self, source: int, slot: int, notes: tuple[Note, ...]) -> None:
        for note in notes:
            for to in note.to:
                if self._losses.random() >= self._lose:
                    receiver = self._problem.agents if to == TRAINER else to
                    self._inboxes[receiver].append(ReceivedNote(source, note.kind, slot, 0, note.body))

    def _actor(self, node: int, learns_at: Place, seed: int) -> Actor:
        layout = Layout(self._view, self._action, REPLICAS)
        local = LocalTrainer(
            lambda: Independent([self._method.learner(seed, node)]), layout, self._data, updates=self._method.updates
        )
        actor = Actor(
            self._welcome(node),
            sense=Measured(self._view, self._vector),
            network=self._method.network,
            behaviour=self._behaviour(),
            rows=Rows(layout, Earned(), timeout_slots=0),
            upload_rule=EverySlots(self._method.upload_every_slots),
            local_trainer=local if learns_at == "node" else None,
        )
        actor.prepare()
        return actor

    def _behaviour(self) -> Behaviour:
        def action(chosen: Any) -> Records:
            records = self._action.empty(REPLICAS)
            records["a"] = chosen.reshape(REPLICAS)
            return records

        if self._method.choices:
            return Choices(action, self._method.choices, self._method.exploration, replicas=REPLICAS)
        return Continuous(action, 1, GaussianNoise(0.4, -1, 1), replicas=REPLICAS)

    def _training(self, seed: int) -> Training:
        agents, layout = range(self._problem.agents), Layout(self._view, self._action, REPLICAS)
        learner = self._method.learner
        return Training(
            learner=lambda: learner(seed, 0) if self._method.joint else Independent([learner(seed, n) for n in agents]),
            updates_per_turn=self._method.updates,
            join=Join(
                how="together" if self._method.joint else "alone",
                layouts=[layout for _ in agents],
                to_data=self._data,
                max_upload_interval_slots=self._method.upload_every_slots,
            ),
            send=Send(to="each", every_slots=1, precision="float32"),
        )

    def _data(self, joint: JointTrajectory) -> Any:
        def numbers(records: Records) -> Any:
            return records["a"].astype(np.int64) if self._method.choices else records["a"][..., None]

        return self._method.data(Experience(self._vector, numbers), joint)

    def _welcome(self, node: int) -> Welcome:
        agents = self._problem.agents
        return Welcome(
            run_id="nodes",
            index=node,
            names=[*(f"node-{n}" for n in range(agents)), "trainer"],
            agents=agents,
            scheme="tests/nodes",
            params={},
            seed=1,
            replicas=REPLICAS,
            choreography=Choreography((agents_act("seen"), trainer_learns())),
            views={"seen": self._view},
            action=self._action,
            static_info={},
        )
