"""TD3-MIX with and without FLWF: what is radiated, stored and learnt from; weights that come between probes."""

from typing import Any

import numpy as np
import pytest

from airtoll.testing.laws import _CountingLoopback
from airtoll.testing.recording import Recording, in_process, steps
from channel_server.worlds.mumimo_cells import WORLD, MuMimoCells
from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.choreography import Step
from protocol.messages.episodes import going_on
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.plan import RunPlan
from protocol.messages.spaces import Records
from schemes.contract import TurnContext
from schemes.parts.history import HistoryChunk, Layout, read_chunk
from schemes.parts.joiner import Joiner
from schemes.parts.numpy_nets import Network, draw
from schemes.parts.weights import write_weights
from schemes.wong2021 import td3_mix
from schemes.wong2021.cells_info import cells_info, to_powers
from schemes.wong2021.situation import Situation
from schemes.wong2021.td3_mix import VIEW, Td3Mix, Td3MixNode, policy_of
from tests.recording import plan_for
from tests.schemes.direct import welcome_for

WORLD_PARAMS = MuMimoCells(antennas=4, users=2, channels=3, observation="gains")
SMALL: dict[str, Any] = {"hidden": (8,), "batch": 8, "upload_every_slots": 2, "push_every_slots": 2}
CLOUD, E = 3, 2


def welcome(params: Td3Mix, *, replicas: int = E) -> Welcome:
    world = WORLD.build(WORLD_PARAMS, seed=1, replicas=replicas)
    return welcome_for(world, td3_mix.SCHEME, 0, params, replicas=replicas)


class Cell:
    """A base station with measurements of a made-up world, turn by turn."""

    def __init__(self, **params: Any) -> None:
        self.params = Td3Mix(**(SMALL | params))
        self.welcome = welcome(self.params)
        self.node = Td3MixNode(self.welcome, self.params)
        self.notes: list[Note] = []
        self._counter_rng = CounterRng(1, "node")

    def turn(self, slot: int, turn: int, *inbox: ReceivedNote, phase: str = "train", rate: float = 8.0) -> Records:
        last = turn == self.params.iterations
        view = VIEW if turn == 0 else "costs"
        measured = self.welcome.views[view].empty(E)
        rng = np.random.default_rng(100 * slot + turn)
        measured["cost"], measured["budget"] = rng.exponential(size=measured["cost"].shape), 30.0
        measured["quiet_cost"] = measured["cost"] / 2
        if turn == 0:
            measured["rate"] = rate
        step: Step = "act" if last else "probe"
        seen = TurnContext(slot, turn, step, phase, going_on(E), measured, list(inbox), self._counter_rng, [])
        output = self.node.on_turn(seen)
        self.notes += output.notes
        self.measured = measured
        assert output.action is not None
        return output.action

    def slot(self, slot: int, **kwargs: Any) -> list[Records]:
        return [self.turn(slot, turn, **kwargs) for turn in range(self.params.iterations + 1)]

    def rows(self) -> list[HistoryChunk]:
        layout = Layout(self.welcome.views[VIEW], self.welcome.action, E)
        return [read_chunk(note.body, layout) for note in self.notes if note.kind == Kind.HISTORY]


def weights_note(cell: Cell, version: int) -> tuple[ReceivedNote, Network]:
    situation = Situation(cells_info(cell.welcome))
    architecture = policy_of(situation, 6, cell.params)
    drawn = draw(architecture, np.random.default_rng(version))
    note = ReceivedNote(CLOUD, Kind.WEIGHTS, 0, 9, write_weights(drawn, version, "float32"))
    return note, Network(architecture, drawn)


def test_the_stored_action_is_the_actors_and_the_reward_the_rate_after_flwf() -> None:
    cell = Cell(iterations=3)
    actors, radiated = [], []
    for slot in range(5):
        actions = cell.slot(slot, rate=4.0 * slot)
        actors.append(actions[0])
        radiated.append(actions[-1])
    rows = [row for chunk in cell.rows() for row in chunk.rows]
    assert len(rows) == 4
    for slot, row in enumerate(rows):
        np.testing.assert_array_equal(row["action"], actors[slot])
        assert (row["action"]["share"] != radiated[slot]["share"]).any()
        np.testing.assert_allclose(row["reward"], 4.0 * (slot + 1) / 2)  # the next slot measures it; 2 users


def test_the_actors_powers_are_probed_and_flwf_answers_from_them() -> None:
    from schemes.parts.solvers import flwf

    cell = Cell(iterations=2)
    p = to_powers(cell.turn(0, 0), np.full((E, 1), 30.0))
    for turn in (1, 2):
        action = cell.turn(0, turn)
        p = flwf.respond(cell.measured["cost"].astype(float), p, 30.0).powers
        np.testing.assert_allclose(to_powers(action, np.full((E, 1), 30.0)), p, rtol=1e-5, atol=1e-5)


def test_without_iterations_the_actors_powers_go_on_the_air() -> None:
    plan = plan_for("wong2021/td3_mix", {"name": "mumimo_cells"}, params={"iterations": 0}, slots=None, phases={})
    assert [spec.step for spec in plan.choreography.turns] == ["act", "learn"]
    [action] = Cell(iterations=0).slot(0)
    assert (action["share"].sum(axis=-1) > 1).any()  # the world scales them down


@pytest.mark.parametrize("turn", [0, 1, 3])
def test_weights_count_from_the_next_slot_on_whatever_turn_they_come_in(turn: int) -> None:
    cell = Cell(iterations=3)
    note, net = weights_note(cell, 1)
    for t in range(4):
        cell.turn(0, t, *([note] if t == turn else []), phase="eval")
    action = cell.turn(1, 0, phase="eval")
    outputs = net(Situation(cells_info(cell.welcome))(cell.measured))
    np.testing.assert_allclose(action["share"].reshape(E, -1), (outputs + 1) / 2, rtol=1e-5)


def test_shares_are_actions_and_back() -> None:
    space = welcome(Td3Mix(**SMALL)).action
    outputs = np.random.default_rng(1).uniform(-1, 1, (5, 6)).astype(np.float32)
    records = td3_mix._to_shares(space, outputs)
    assert space.holds(records)
    np.testing.assert_allclose(td3_mix._from_shares(records), outputs, atol=1e-6)
    joint = np.stack([records, records])  # [T, E]
    assert td3_mix._from_shares(joint).shape == (2, 5, 6)


def test_a_mean_channel_is_at_0_without_interference_and_at_1_with_all() -> None:
    seen = welcome(Td3Mix(**SMALL))
    vector, records = Situation(cells_info(seen)), seen.views[VIEW].empty(2)
    records["quiet_cost"], records["budget"] = 1 / 3, 300.0
    records["cost"][0], records["cost"][1] = 1 / 3, (1 + 2 * 2 * 100) / 3
    x = vector(records)
    assert x.shape == (2, vector.inputs) == (2, 13)
    np.testing.assert_allclose(x[0], [*[0] * 12, 1], atol=1e-6)
    np.testing.assert_allclose(x[1], [*[1] * 6, *[0] * 6, 1], atol=1e-6)


def test_the_whole_of_s_b_is_an_input() -> None:
    world = WORLD.build(MuMimoCells(antennas=4, users=2, channels=3), seed=1, replicas=2)
    seen = welcome_for(world, td3_mix.SCHEME, 0, Td3Mix())
    [records, *_] = world.measure(world.begin(world.reset(), 0), VIEW)
    vector = Situation(cells_info(seen))
    x = vector(records)
    assert x.shape == (2, vector.inputs) == (2, 13 + 4 * 3 * 4 * 2)
    h, w = x[:, 13:37], x[:, 61:85]
    np.testing.assert_array_equal(h, records["h_re"].reshape(2, -1))
    np.testing.assert_allclose(w, 2 * records["w_re"].reshape(2, -1))


def test_the_negotiation_survives_a_checkpoint_between_slots() -> None:
    cell, resumed = Cell(iterations=2), Cell(iterations=2)
    for it in (cell, resumed):
        it.slot(0)
    data = unpack(pack(resumed.node.snapshot()))
    resumed.node = Td3MixNode(resumed.welcome, resumed.params)
    resumed.node.restore(data)
    for a, b in zip(cell.slot(1), resumed.slot(1), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [note.body for note in cell.notes] == [note.body for note in resumed.notes]


def trained(iterations: int, **settings: Any) -> RunPlan:
    world = {"name": "mumimo_cells", "antennas": 4, "users": 2, "channels": 3, "observation": "gains"}
    params = {**SMALL, "hidden": [8], "iterations": iterations}
    phases = {"warmup": 6, "train": 14, "eval": 20}
    given = {"slots": None, "phases": phases, "params": params, "replicas": 4} | settings
    return plan_for("wong2021/td3_mix", world, **given)


@pytest.mark.parametrize("iterations", [0, 2])
def test_in_evaluation_no_note_is_sent(iterations: int) -> None:
    """W7: what is left after training are the histories and weights on their way, and acknowledgements."""
    plan = trained(iterations)
    loopback, recording = _CountingLoopback(plan), Recording()
    for _ in steps(loopback, recording):
        pass
    assert recording.ended is not None
    assert recording.ended.state == "SUCCEEDED"
    assert {row.slot for row in recording.air} <= set(range(22))
    assert recording.ended.probes == 3 * 40 * iterations


def test_all_rows_of_training_are_learnt_from() -> None:
    recording = in_process(trained(1))
    learnt = [each for each in recording.scalars if "value_loss" in each.scalars]
    assert learnt
    assert not any(each.scalars.get("rows_dropped") or each.scalars.get("rows_masked") for each in learnt)


def test_a_joint_trajectory_becomes_continuous_transitions() -> None:
    cell = Cell(iterations=1)
    for slot in range(5):
        cell.slot(slot)
    world = WORLD.build(WORLD_PARAMS, seed=1, replicas=E)
    join = td3_mix.training(welcome_for(world, td3_mix.SCHEME, CLOUD, cell.params, replicas=E), cell.params).join
    assert join is not None
    joiner = Joiner([Layout(cell.welcome.views[VIEW], cell.welcome.action, E)] * 3)
    for agent in range(3):
        for note in cell.notes:
            joiner.add(agent, joiner.read(ReceivedNote(agent, note.kind, 5, 0, note.body)))
    [joint] = joiner.take()
    data = join.to_data(joint)
    assert data.actions.shape == (4, E, 3, 6)
    assert data.states.shape == (5, E, 3, 13)
    assert (np.abs(data.actions) <= 1).all()
    np.testing.assert_allclose(data.rewards, 4.0)
