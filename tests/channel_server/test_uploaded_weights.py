"""Uploaded weights: sent to a node over the air, recorded at a slot, replayed to the same trace."""

from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_server.waiting import RUNNING, Waiting
from controller.execution.building import build_world
from controller.execution.in_process import Loopback, run_in_process
from protocol.accounting.air_book import AirRow, AttemptOutcome
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.orders import ReportWeights, UploadWeights
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import OrderDone
from schemes.li2020 import maac
from schemes.parts.actor import Actor
from schemes.parts.weights import read_weights, write_weights
from tests.conformance.homes import SMALL_NETWORKS, home_plan
from tests.impairments import MODELS
from tests.recording import Checkpointed, Recording, assert_same_trace, in_process, stepping

SLOTS = 60
KNOWN = {field.name for field in fields(maac.SCHEME.params)}
PUSHES_RARELY = {key: value for key, value in SMALL_NETWORKS.items() if key in KNOWN} | {"push_every_slots": 500}


def _plan(model: str = "ideal", **settings: Any) -> RunPlan:
    signalling = {"signalling": MODELS.get(model, "ideal")}
    return home_plan("li2020/maac", "d2d_underlay", slots=SLOTS, **(signalling | settings))


@pytest.fixture(scope="module")
def other() -> bytes:
    """Weights of the right shape from a run with another seed."""
    return next(weights.body for weights in in_process(_plan(seed=9)).weights if weights.node == 0)


def _at_slot(steps: Iterator[None], loopback: Loopback, slot: int) -> None:
    while loopback.run.slot < slot:
        next(steps)


def _to_the_end(steps: Iterator[None]) -> None:
    for _ in steps:
        pass


def _uploaded_rows(recording: Recording) -> list[AirRow]:
    return [row for row in recording.air if row.kind == Kind.WEIGHTS and row.repeated]


def _assert_replays(plan: RunPlan, recording: Recording) -> None:
    replayed = in_process(msgspec.structs.replace(plan, replay=recording.past))
    assert_same_trace(recording, replayed)
    assert replayed.air == recording.air
    assert replayed.past == recording.past


def test_they_are_sent_in_the_next_slot_booked_and_used(other: bytes) -> None:
    plan = _plan()
    loopback, steps, recording = stepping(plan)
    _at_slot(steps, loopback, 20)
    loopback.run.take_order(UploadWeights("a", "pair-0", other))
    _at_slot(steps, loopback, 22)
    node = loopback.sessions[b"pair-0"].node
    assert node is not None
    assert isinstance(node.policy, Actor)
    assert node.policy.net is not None
    for name, tensor in read_weights(other)[1].items():
        np.testing.assert_array_equal(node.policy.net.weights[name], tensor)
    _to_the_end(steps)
    [row] = _uploaded_rows(recording)
    assert (row.slot, row.turn, row.to, row.link) == (21, 0, (0,), LinkClass.DOWNLINK)
    assert (row.outcome, row.until, row.payload_bits) == (AttemptOutcome.DELIVERED, 21, 8 * (len(other) + 4))
    assert [(e.event, e.node, e.slot) for e in recording.events] == [("uploaded", "pair-0", 21)]
    assert recording.answers == [OrderDone("a")]
    assert recording.trace != in_process(plan).trace
    _assert_replays(plan, recording)


@settings(max_examples=10)
@given(
    model=st.sampled_from(["ideal", "lossy", "all of it"]),
    puts=st.lists(st.tuples(st.integers(10, 250), st.integers(0, 3)), min_size=1, max_size=4),
    kill=st.none() | st.tuples(st.integers(10, 250), st.integers(0, 4), st.integers(1, 60)),
)
def test_whenever_they_are_uploaded_the_run_replays(
    other: bytes, model: str, puts: list[tuple[int, int]], kill: tuple[int, int, int] | None
) -> None:
    plan = _plan(model)
    loopback, steps, recording = stepping(plan)
    names, ordered = [*build_world(plan).agents, "trainer"], 0
    for moment, _ in enumerate(steps):
        if loopback.run.waiting not in RUNNING:
            continue
        for when, node in puts:
            if when == moment:  # a run that lost an agent may have ended before
                ordered += 1
                loopback.run.take_order(UploadWeights(str(moment), names[node], other))
        if kill is not None and moment == kill[0] and names[kill[1]].encode() in loopback.sessions:
            loopback.leave(names[kill[1]].encode(), "killed")
        if kill is not None and moment == kill[0] + kill[2]:
            loopback.join(b"again", names[kill[1]])
    _assert_replays(plan, recording)
    assert len(recording.answers) == ordered


def test_lost_ones_are_resent_until_the_node_has_them(other: bytes) -> None:
    signalling = {"downlink": {"weights": {"loss": 0.8}}, "resend_after_slots": 2}
    plan = _plan(signalling=signalling, params=PUSHES_RARELY)
    loopback, steps, recording = stepping(plan)
    _at_slot(steps, loopback, 30)
    loopback.run.take_order(UploadWeights("a", "pair-0", other))
    _to_the_end(steps)
    rows = _uploaded_rows(recording)
    assert [row.attempt for row in rows] == list(range(1, len(rows) + 1))
    assert [row.outcome for row in rows] == [AttemptOutcome.LOST] * (len(rows) - 1) + [AttemptOutcome.DELIVERED]
    assert len(rows) > 1
    assert {after.until - before.until for before, after in pairwise(rows)} == {2}
    _assert_replays(plan, recording)


def test_they_are_resent_to_a_node_that_comes_back(other: bytes) -> None:
    plan = _plan(params=PUSHES_RARELY)
    loopback, steps, recording = stepping(plan)
    _at_slot(steps, loopback, 30)
    loopback.run.take_order(UploadWeights("a", "pair-0", other))
    _at_slot(steps, loopback, 35)
    loopback.leave(b"pair-0", "killed")
    _at_slot(steps, loopback, 37)
    loopback.join(b"again", "pair-0")
    _to_the_end(steps)
    assert [(row.attempt, row.outcome) for row in _uploaded_rows(recording)] == [
        (1, AttemptOutcome.DELIVERED),
        (2, AttemptOutcome.DELIVERED),
    ]
    _assert_replays(plan, recording)


def test_of_several_for_one_slot_the_latest_counts(other: bytes) -> None:
    loopback, steps, recording = stepping(_plan())
    _at_slot(steps, loopback, 20)
    mine = write_weights(read_weights(other)[1], 3, "float16")
    for number, body in (("a", mine), ("b", other)):
        loopback.run.take_order(UploadWeights(number, "pair-0", body))
    loopback.run.take_order(UploadWeights("c", "pair-9", other))
    _to_the_end(steps)
    assert [(weights.sent_slot, weights.body) for weights in recording.weights if weights.uploaded] == [(21, other)]
    assert recording.answers == [
        OrderDone("a", "other weights came for the same slot"),
        OrderDone("c", "no agent is named 'pair-9'"),
        OrderDone("b"),
    ]


def test_an_order_that_comes_too_late_is_answered(other: bytes) -> None:
    loopback, steps, recording = stepping(_plan())
    while loopback.run.slot < SLOTS:
        next(steps)
    loopback.run.take_order(UploadWeights("a", "pair-0", other))
    _to_the_end(steps)
    loopback.run.take_order(UploadWeights("b", "pair-0", other))
    answers = recording.answers + [sent for sent in loopback.run.telemetry() if isinstance(sent, OrderDone)]
    assert answers == [OrderDone("a", "the run has ended"), OrderDone("b", "the run has ended")]


def test_a_run_resumed_after_them_has_the_trace_of_the_whole_one(other: bytes) -> None:
    plan = _plan(checkpoint_every=25)
    kept = Checkpointed()
    orders = iter([[UploadWeights("a", "pair-0", other)]])
    started = Loopback(plan, build_world(plan))
    started.seat_all()
    while started.run.waiting is not Waiting.NOTHING:
        if started.run.checkpoint_due:
            started.send(started.run.checkpoint(wall_s=0.0, wire=[]))
        if started.run.slot == 20:
            for order in next(orders, []):
                started.run.take_order(order)
        started.step()
    for telemetry in started.run.telemetry():
        kept(telemetry)
    past, resumed = kept.pasts[0]
    assert past.slot == 25
    run_in_process(plan, resumed, past=past)
    assert_same_trace(kept, resumed)
    assert resumed.air == kept.air
    _assert_replays(msgspec.structs.replace(plan, record=_plan().record), kept)


def test_the_weights_of_nodes_are_reported_when_asked_and_at_the_end() -> None:
    loopback, steps, recording = stepping(_plan())
    _at_slot(steps, loopback, 40)
    for number in ("a", "b"):
        loopback.run.take_order(ReportWeights(number))
    for telemetry in loopback.run.telemetry():
        recording(telemetry)
    assert recording.answers == [OrderDone("a"), OrderDone("b")]
    assert [weights.node for weights in recording.weights] == [0, 1, 2, 3]
    first = recording.weights[0]
    rows = [row for row in recording.air if (row.kind, row.to) == (Kind.WEIGHTS, (0,))]
    assert (first.sent_slot, len(first.body)) == (rows[-1].slot, rows[-1].note_bytes - 4)
    _to_the_end(steps)
    assert len({weights.sent_slot for weights in recording.weights if weights.node == 0}) == 2
