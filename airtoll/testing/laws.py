"""The two laws and their consequences, for the plan of a run: each function raises AssertionError if one is broken."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace

from airtoll.testing.recording import (
    Checkpointed,
    Recording,
    assert_same_trace,
    in_process,
    in_processes,
    steps,
)
from controller.execution.building import build_world
from controller.execution.in_process import Loopback, run_in_process
from protocol.accounting.air_book import AirRow
from protocol.determinism.snapshots import unpack
from protocol.messages.codec import decode_for_node, decode_for_server, signalling
from protocol.messages.episodes import TERMINATED, TRUNCATED
from protocol.messages.plan import RunPlan


class CarriedNotes(NamedTuple):
    """The notes that a node's wire carried, and their bytes: up from the node and down to it."""

    up: int
    up_bytes: int
    down: int
    down_bytes: int


class _CountingLoopback(Loopback):
    """Counts the notes in the frames of every node."""

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan, build_world(plan))
        self.carried = {name: CarriedNotes(0, 0, 0, 0) for name in plan.nodes}

    def deliver(self, peer: bytes, frame: bytes) -> None:
        notes, size = signalling(decode_for_server(frame))
        before = self.carried[peer.decode()]
        self.carried[peer.decode()] = before._replace(up=before.up + notes, up_bytes=before.up_bytes + size)
        super().deliver(peer, frame)

    def step(self) -> bool:
        for peer, frame in self.in_flight[:1]:
            notes, size = signalling(decode_for_node(frame))
            before = self.carried[peer.decode()]
            after = before._replace(down=before.down + notes, down_bytes=before.down_bytes + size)
            self.carried[peer.decode()] = after
        return super().step()


def check_one_trace(plan: RunPlan) -> None:
    """First law in one process: the run succeeds, its repetition has the same trace, another seed another one."""
    once = in_process(plan)
    assert once.ended is not None
    assert once.ended.state == "SUCCEEDED", f"the run {once.ended.state}: {once.ended.reason}"
    assert_same_trace(once, in_process(plan))
    assert_same_trace(once, in_process(replace(plan, replay=once.past)))
    assert in_process(replace(plan, seed=plan.seed + 1)).trace != once.trace, "another seed gives the same run"


def check_processes(plan: RunPlan) -> None:
    """First law: one process and one process per node give the same trace, air book, metrics and reports."""
    here, there = in_process(plan), in_processes(plan)
    for ended in (here.ended, there.ended):
        assert ended is not None
        assert ended.state == "SUCCEEDED", f"the run {ended.state}: {ended.reason}"
    assert_same_trace(here, there)
    assert here.air == there.air
    assert [w.sums for w in here.windows] == [w.sums for w in there.windows]
    assert here.occurrences == there.occurrences
    assert here.scalars == there.scalars  # in the order in which they are written


def check_books(plan: RunPlan) -> None:
    """Second law in one process: the notes in the frames of each node are those of the air book."""
    loopback, recording = _CountingLoopback(plan), Recording()
    for _ in steps(loopback, recording):
        pass
    check_notes(recording.air, plan.nodes, loopback.carried)


def check_notes(air: list[AirRow], names: Sequence[str], carried: Mapping[str, CarriedNotes]) -> None:
    """Up the wire: each node's distinct notes. Down the wire: the copies delivered to it. `names` by node index."""
    sent, sent_bytes, received, received_bytes = (Counter[int]() for _ in range(4))
    by_some = 0  # copies of broadcasts that some did not receive; the book does not name them
    for row in air:
        sent[row.source] += row.crossed_socket
        sent_bytes[row.source] += row.note_bytes if row.crossed_socket else 0
        if 0 < row.copies < len(row.to):
            by_some += row.copies
        elif row.copies:
            received.update(dict.fromkeys(row.to, row.copies // len(row.to)))
            received_bytes.update(dict.fromkeys(row.to, row.copies // len(row.to) * row.note_bytes))
    assert sum(notes.down for notes in carried.values()) == received.total() + by_some
    for index, name in enumerate(names):
        notes = carried[name]
        assert (notes.up, notes.up_bytes) == (sent[index], sent_bytes[index]), name
        assert notes.down >= received[index], name
        if not by_some:
            assert (notes.down, notes.down_bytes) == (received[index], received_bytes[index]), name


def check_resumes(plan: RunPlan, slot: int) -> None:
    """A run that is restored from its checkpoint before `slot` gives the uninterrupted run, and so does the run that
    writes the checkpoint."""
    whole, kept = in_process(plan), Checkpointed()
    run_in_process(replace(plan, record=replace(plan.record, checkpoint_every=slot)), kept)
    past, after = kept.pasts[0]
    run_in_process(plan, after, past=past)
    assert whole.ended is not None
    for recording in (kept, after):
        assert recording.trace == whole.trace, f"the run does not continue from its checkpoint before slot {slot}"
        assert recording.air == whole.air
        assert [w.sums for w in recording.windows] == [w.sums for w in whole.windows]
        assert recording.occurrences == whole.occurrences
        assert recording.ended is not None
        assert (recording.ended.slots, recording.ended.probes) == (plan.slots, whole.ended.probes)


def check_learns_from_every_slot(plan: RunPlan, episode_slots: int, *, saved_at: int) -> list[int]:
    """Episodes of so many slots lose no row to learn from, and each row of a replay knows how its episode ended.

    `saved_at`: the slot of the checkpoint that shows the replays, none of which may be full yet. Returns the number of
    rows to learn from: by replay, then by learner that keeps none but counts the rows that it takes.
    """
    endless = _states(replace(plan, episode_slots=None), saved_at)
    short = _states(replace(plan, episode_slots=episode_slots), saved_at)
    replays, short_replays, taken = _rows(endless), _rows(short), _rows_taken(short)
    assert taken == _rows_taken(endless)
    assert len(replays) == len(short_replays)
    for (usable, no_end), (usable_too, ended) in zip(replays, short_replays, strict=True):
        assert usable.any()
        np.testing.assert_array_equal(usable_too, usable)
        assert not no_end.any()
        last = np.flatnonzero(usable_too.any(axis=1))[-1] + 1
        expected = np.where((np.arange(last) + 1) % episode_slots == 0, TRUNCATED, 0)
        np.testing.assert_array_equal(ended[:last], np.broadcast_to(expected[:, None], ended[:last].shape))
    return [*(int(usable.sum()) for usable, _ in short_replays), *taken]


def _states(plan: RunPlan, saved_at: int) -> list[Any]:
    """The nodes' states at the checkpoint."""
    kept = Checkpointed()
    run_in_process(replace(plan, record=replace(plan.record, checkpoint_every=saved_at)), kept)
    past, _ = kept.pasts[0]
    return [unpack(past.nodes[node]) for node in sorted(past.nodes)]


def _rows(states: list[Any]) -> list[tuple[Any, Any]]:
    """Which rows each replay holds, and how their episodes ended: [rows, E] each, by slot from 0."""
    return [(rows["drawable"], rows["ended"] & (TERMINATED | TRUNCATED)) for rows in _having(states, "drawable")]


def _rows_taken(states: list[Any]) -> list[int]:
    return [learner["rows_taken"] for learner in _having(states, "rows_taken")]


def _having(state: Any, key: str) -> Iterator[dict[str, Any]]:
    """All parts of a state that have this key."""
    if isinstance(state, dict) and key in state:
        yield state
    for value in state.values() if isinstance(state, dict) else state if isinstance(state, list) else ():
        yield from _having(value, key)
