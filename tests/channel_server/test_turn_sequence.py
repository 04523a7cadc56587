"""The order of the turns: who is asked when."""

from typing import Any

import msgspec
import pytest

from channel_server.medium import Medium
from channel_server.worlds.d2d_underlay import D2DCell
from controller.execution.building import build_world
from protocol.messages.choreography import Choreography, TurnSpec
from protocol.messages.codec import decode_for_node
from protocol.messages.node import Turn
from tests.conformance.homes import home_plan
from tests.recording import assert_same_trace, in_process, plan_for, stepping

ODD = Choreography(
    (
        TurnSpec(who="agents", step="probe", order="one by one", view="receiver"),
        TurnSpec(who="agents", step="act", order="random", view="probe"),
    ),
    feedback=("outage",),
)


def test_turns_one_by_one_and_in_random_order_ask_each_agent_once() -> None:
    """Probes count as airtime; the order of a slot is drawn anew, and is the same in every placement."""
    plan = msgspec.structs.replace(plan_for("li2020/random", slots=20, episode_slots=7), choreography=ODD)
    loopback, steps, recording = stepping(plan)
    asked: dict[tuple[int, int], list[int]] = {}
    for _ in steps:
        if (gate := loopback.run.gates.awaited) is not None:
            asked[gate.slot, gate.turn] = gate.asked
    assert all(asked[slot, turn] == [turn] for slot in range(20) for turn in range(4))
    orders = [tuple(asked[slot, turn][0] for turn in range(4, 8)) for slot in range(20)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len(set(orders)) > 5
    assert recording.ended is not None
    assert recording.ended.probes == 80
    assert_same_trace(recording, in_process(plan))


def test_a_rotating_order_begins_with_another_node_in_every_slot() -> None:
    spec = TurnSpec(who="agents", step="act", order="rotating", view="observation")
    plan = msgspec.structs.replace(plan_for("li2020/random", slots=6), choreography=Choreography((spec,)))
    loopback, steps, _ = stepping(plan)
    asked: dict[tuple[int, int], list[int]] = {}
    for _ in steps:
        if (gate := loopback.run.gates.awaited) is not None and gate.slot < 6:
            asked[gate.slot, gate.turn] = gate.asked
    assert asked == {(slot, turn): [(slot + turn) % 4] for slot in range(6) for turn in range(4)}


def test_agents_that_act_one_by_one_are_measured_once() -> None:
    plan = plan_for("li2020/random", slots=2)
    medium = Medium(plan, build_world(plan))
    medium.begin(0)
    first = medium.measure("observation", medium.agents)
    assert medium.measure("observation", medium.agents) is first
    assert medium.measure("observation", [2]) == {2: first[2]}
    assert medium.measure("csi", medium.agents) != first
    medium.begin(1)
    assert medium.measure("observation", medium.agents) != first


def test_agents_that_probe_one_by_one_are_measured_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe changes what the next one measures, so only the agent that is asked is measured before each."""
    measured: list[tuple[str, list[int] | None]] = []
    measure: Any = D2DCell.measure

    def noted(world: Any, state: Any, view: str, nodes: Any = None) -> Any:
        measured.append((view, nodes))
        return measure(world, state, view, nodes)

    monkeypatch.setattr(D2DCell, "measure", noted)
    in_process(msgspec.structs.replace(plan_for("li2020/random", slots=2), choreography=ODD))
    slot = [("receiver", [0]), ("receiver", [1]), ("receiver", [2]), ("receiver", [3]), ("probe", None)]
    assert measured[: 2 * len(slot)] == 2 * slot


def test_the_trainer_is_asked_at_intervals_while_its_weights_are_not_acknowledged() -> None:
    """No acknowledgement ever arrives: every fourth slot the trainer is asked though nothing has come for it."""
    signalling = {"uplink": {"ack": {"loss": 1.0}}, "resend_after_slots": 4}
    plan = home_plan("li2020/maac", "d2d_underlay", slots=40, train_delay_slots=0, signalling=signalling)
    loopback, steps, _ = stepping(plan)
    asked: dict[int, bool] = {}
    for _ in steps:
        for peer, frame in loopback.in_flight:
            message = decode_for_node(frame)
            if isinstance(message, Turn) and peer == b"trainer":
                asked[message.slot] = bool(message.inbox)
    first_weights = next(slot for slot in range(40) if slot in asked and not asked[slot])
    assert {slot for slot in range(first_weights, 40) if slot % 4 == 0} <= asked.keys()
    assert all(slot % 4 == 0 for slot in range(40) if asked.get(slot) is False)
