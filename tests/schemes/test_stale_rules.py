"""Rules for stale information: the note that was sent last counts, until the maximum age if there is one."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from msgspec import structs

from channel_server.worlds import conflict_graph, d2d_underlay, traffic_cells
from channel_server.worlds.conflict_graph import ConflictGraphParams
from channel_server.worlds.d2d_underlay import D2DUnderlay
from channel_server.worlds.traffic_cells import TrafficCells
from protocol.determinism.snapshots import pack
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote
from schemes.contract import Scheme
from schemes.li2020 import greedy_central
from schemes.zhang2025 import cells_llq, fp, gms, itlinq, llq
from tests.schemes.direct import Stage

Fate = Callable[[ReceivedNote], Iterable[int]]  # by how many slots each copy of a note is late


class BadStage(Stage):
    """Each note has a fate; late copies arrive in turn 0 of their slot, older notes last."""

    fate: Fate = staticmethod(lambda _: [0])

    def play_slot(self) -> None:
        self._late = getattr(self, "_late", [])
        for due, node, received in sorted(self._late, key=lambda late: -late[2].slot):
            if due <= self.slot:
                self.inboxes[node].append(received)
        self._late = [late for late in self._late if late[0] > self.slot]
        super().play_slot()

    def _deliver(self, source: int, note: Any) -> None:
        before = {node: len(inbox) for node, inbox in self.inboxes.items()}
        super()._deliver(source, note)
        for node, inbox in self.inboxes.items():
            fresh = inbox[before.get(node, 0) :]
            del inbox[before.get(node, 0) :]
            for received in fresh:
                for slots in self.fate(received):
                    if slots:
                        self._late.append((self.slot + slots, node, received))
                    else:
                        inbox.append(received)


SMALL_CELLS = TrafficCells(rings=1, devices_per_cell=2, subbands=2, load_packets_s=40.0)


def _stage(scheme: Scheme, fate: Fate | None = None, **params: Any) -> BadStage:
    cell = d2d_underlay.WORLD.build(D2DUnderlay(pairs=4, rbs=3), seed=1, replicas=1)
    graph = conflict_graph.WORLD.build(ConflictGraphParams(load=0.5), seed=1, replicas=1)
    cells = traffic_cells.WORLD.build(SMALL_CELLS, seed=1, replicas=1)
    worlds = {"d2d_underlay": cell, "conflict_graph": graph, "traffic_cells": cells}
    stage = BadStage(worlds[scheme.card.worlds[0]], scheme, scheme.params(**params))
    if fate is not None:
        stage.fate = fate
    return stage


def _actions(stage: Stage) -> list[bytes]:
    return [action.tobytes() for action in stage.actions]


CENTRAL = [greedy_central.SCHEME, gms.SCHEME, itlinq.SCHEME, fp.SCHEME]
central = pytest.mark.parametrize("scheme", CENTRAL, ids=lambda scheme: scheme.card.name)
keeping = pytest.mark.parametrize(
    "scheme", [*CENTRAL, llq.SCHEME, cells_llq.SCHEME], ids=lambda scheme: scheme.card.name
)


@central
def test_without_a_decision_the_last_one_is_kept(scheme: Scheme) -> None:
    stage = _stage(scheme)
    for _ in range(5):
        stage.play_slot()
    kept = _actions(stage)
    stage.fate = lambda received: [] if received.kind == Kind.DECISION else [0]
    for _ in range(5):
        stage.play_slot()
        assert _actions(stage) == kept


@central
def test_a_late_decision_takes_effect_when_it_comes(scheme: Scheme) -> None:
    late = _stage(scheme, lambda received: [3] if received.kind == Kind.DECISION else [0])
    in_time, decided = _stage(scheme), list[list[bytes]]()
    for slot in range(12):
        in_time.play_slot()
        late.play_slot()
        decided.append(_actions(in_time))
        if slot < 3:
            assert _actions(late) == [stage.tobytes() for stage in map(late.world.silent, range(late.n_agents))]
        elif scheme is greedy_central.SCHEME:  # its decisions do not depend on past actions
            assert _actions(late) == decided[slot - 3]


@keeping
def test_reordered_and_repeated_notes_change_nothing(scheme: Scheme) -> None:
    plain, crowded = _stage(scheme), _stage(scheme, lambda _: [0, 0, 1, 2, 5])
    for _ in range(20):
        plain.play_slot()
        crowded.play_slot()
        assert _actions(plain) == _actions(crowded)


@keeping
def test_the_newest_notes_are_kept_at_any_age(scheme: Scheme) -> None:
    stage = _stage(scheme)
    for _ in range(5):
        stage.play_slot()
    held = [policy.snapshot() for policy in stage.policies]
    stage.fate = lambda _: []
    for _ in range(50):
        stage.play_slot()
    assert pack([policy.snapshot() for policy in stage.policies]) == pack(held)


def test_the_cloud_decides_by_the_newest_gains() -> None:
    stage = _stage(greedy_central.SCHEME)
    stage.play_slot()
    first = _actions(stage)
    stage.fate = lambda received: [] if received.kind == Kind.CSI else [0]
    for _ in range(5):
        stage.play_slot()
        assert _actions(stage) == first


@central
def test_the_cloud_ignores_notes_over_the_maximum_age(scheme: Scheme) -> None:
    stage = _stage(scheme, max_age_slots=2)
    for _ in range(30):
        stage.play_slot()
    stage.fate = lambda received: [] if received.kind == Kind.CSI else [0]
    silent = [stage.world.silent(node).tobytes() for node in range(stage.n_agents)]
    for age in (1, 2):
        stage.play_slot()
        assert _actions(stage) != silent, age
    stage.play_slot()
    assert _actions(stage) == silent


def test_an_old_queue_of_a_neighbour_counts_as_empty() -> None:
    """With an old note of a long queue nearby an agent stays silent, unless the note is over the maximum age."""
    up = {}
    for max_age_slots in (None, 2):
        stage = _stage(llq.SCHEME, lambda _: [], max_age_slots=max_age_slots)
        for other in stage.world.neighbours(stage.state)[0]:
            received = ReceivedNote(other, Kind.NEIGHBOUR, 0, 0, b"\xff\xff" * 2)
            stage.inboxes[0] += [received, structs.replace(received, slot=-1, body=b"\0\0" * 2)]
        on_air = []
        for _ in range(40):
            stage.play_slot()
            on_air.append(bool(stage.actions[0]["device"].any()))
        up[max_age_slots] = on_air
    assert not any(up[None])
    assert not any(up[2][:3])
    assert any(up[2][3:])


def test_an_old_queue_of_a_neighbouring_cell_counts_as_empty() -> None:
    """As above, in the cellular network."""
    up = {}
    for max_age_slots in (None, 2):
        stage = _stage(cells_llq.SCHEME, lambda _: [], max_age_slots=max_age_slots)
        node = next(k for k, around in enumerate(stage.world.neighbours(stage.state)) if around)
        for other in stage.world.neighbours(stage.state)[node]:
            stage.inboxes[node].append(ReceivedNote(other, Kind.NEIGHBOUR, 0, 0, b"\xff\xff"))
        on_air = []
        for _ in range(40):
            stage.play_slot()
            on_air.append(bool(stage.actions[node]["device"].any()))
        up[max_age_slots] = on_air
    assert not any(up[None])
    assert not any(up[2][:3])
    assert any(up[2][3:])
