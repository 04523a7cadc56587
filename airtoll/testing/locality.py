"""Locality: changing anything that a node cannot measure and did not receive leaves its Turn unchanged."""

from collections.abc import Iterator

import numpy as np

from airtoll.testing.recording import Recording, stepping
from controller.execution.building import build_world
from controller.execution.in_process import Loopback
from protocol.messages.choreography import CLOSING
from protocol.messages.codec import decode_for_node
from protocol.messages.node import Turn
from protocol.messages.plan import RunPlan


def check_measurements(plan: RunPlan) -> None:
    """Each Turn's measurement against a state that differs in everything its node cannot measure."""
    loopback, steps, _ = stepping(plan)
    built, rng, checked = build_world(plan), np.random.default_rng(1), 0
    for turn, node in _turns(loopback, steps):
        if turn.measurement and turn.spec != CLOSING:
            view = plan.choreography.turns[turn.spec].view
            elsewhere = built.resample_unobserved(loopback.run.state.medium.state, view, node, rng)
            same = built.measure(elsewhere, view)[node].tobytes() == turn.measurement
            assert same, f"{plan.nodes[node]} measures in the view {view!r} what resample_unobserved redraws"
            checked += 1
    assert bool(checked) == any(spec.view for spec in plan.choreography.turns if spec.who == "agents")


def check_inboxes(plan: RunPlan) -> None:
    """The air book has each note that a node receives, with the node among its destinations."""
    loopback, steps, recording = stepping(plan)
    read = [(node, note) for turn, node in _turns(loopback, steps) for note in turn.inbox]
    booked = _receivers(recording)
    assert all(node in booked[note.source, note.slot, note.turn, note.kind] for node, note in read)
    assert bool(read) == bool(recording.air)


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
