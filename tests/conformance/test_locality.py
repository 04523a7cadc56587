"""Locality: changing anything that a node cannot measure and did not receive leaves its Turn unchanged."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from controller.config.catalogue import worlds
from controller.execution.building import build_world
from controller.execution.in_process import Loopback
from protocol.messages.choreography import CLOSING
from protocol.messages.codec import decode_for_node
from protocol.messages.node import Turn
from protocol.messages.plan import RunPlan
from tests.conformance.homes import HOMES, home_plan, homes, small
from tests.conformance.resampling import check_resampling
from tests.impairments import MODELS
from tests.recording import Recording, plan_for, stepping


@homes
@pytest.mark.parametrize(
    ("replicas", "signalling"), [(1, "ideal"), (2, "ideal"), (1, MODELS["all of it"])], ids=["1", "2", "impaired"]
)
def test_a_turn_contains_only_what_its_node_measures(scheme: str, world: str, replicas: int, signalling: Any) -> None:
    """Each Turn's measurement against a state that differs in everything its node cannot measure."""
    plan = home_plan(scheme, world, slots=12, replicas=replicas, signalling=signalling)
    loopback, steps, _ = stepping(plan)
    built, rng, checked = build_world(plan), np.random.default_rng(1), 0
    for turn, node in _turns(loopback, steps):
        if turn.measurement and turn.spec != CLOSING:
            view = plan.choreography.turns[turn.spec].view
            elsewhere = built.resample_unobserved(loopback.run.state.medium.state, view, node, rng)
            assert built.measure(elsewhere, view)[node].tobytes() == turn.measurement
            checked += 1
    assert bool(checked) == _measures_anything(plan)


@pytest.mark.parametrize("signalling", ["ideal", MODELS["all of it"]], ids=["ideal", "impaired"])
@homes
def test_every_note_in_an_inbox_was_sent_to_its_node(scheme: str, world: str, signalling: Any) -> None:
    """The air book has each note, with the node among its destinations."""
    plan = home_plan(scheme, world, slots=12, signalling=signalling)
    loopback, steps, recording = stepping(plan)
    read = [(node, note) for turn, node in _turns(loopback, steps) for note in turn.inbox]
    booked = _receivers(recording)
    assert all(node in booked[note.source, note.slot, note.turn, note.kind] for node, note in read)
    assert bool(read) == bool(recording.air)


@pytest.mark.parametrize("world", worlds())
def test_a_resampled_state_really_differs(world: str) -> None:
    check_resampling(build_world(plan_for(_some_scheme(world), small(world))))


def _turns(loopback: Loopback, steps: Iterator[None]) -> Iterator[tuple[Turn, int]]:
    """Every Turn as soon as it is sent, and the node that it is sent to."""
    seen: set[tuple[int, int, int]] = set()
    for _ in steps:
        for peer, frame in loopback.in_flight:
            message = decode_for_node(frame)
            node = list(loopback.sessions).index(peer)
            if isinstance(message, Turn) and (message.slot, message.turn, node) not in seen:
                seen.add((message.slot, message.turn, node))
                yield message, node


def _receivers(recording: Recording) -> dict[tuple[int, int, int, int], set[int]]:
    booked: dict[tuple[int, int, int, int], set[int]] = {}
    for row in recording.air:
        booked.setdefault((row.source, row.slot, row.turn, row.kind), set()).update(row.to)
    return booked


def _measures_anything(plan: RunPlan) -> bool:
    return any(spec.view for spec in plan.choreography.turns if spec.who == "agents")


def _some_scheme(world: str) -> str:
    """Some scheme that runs in this world."""
    return next(name for name, home in HOMES if home == world)
