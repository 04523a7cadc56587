"""The trajectories of several agents, joined slot by slot from their histories."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from protocol.messages.node import ReceivedNote
from protocol.messages.spaces import Records
from schemes.parts.history import Floats, HistoryChunk, JointTrajectory, Layout, read_chunk


class Joiner:
    """Joins the histories of `agents` by slot; each slot is handed out once, to learn from.

    That is when the rows of all agents have come, or else once the slot lies `timeout_slots` behind the newest one
    received from any of them: then without the rows that are missing, so that a lost agent does not stop the others.
    Slots are handed out in order; one that is completed late comes late, after later ones. Rows that come for a slot
    after that are dropped.
    `masked`: rows that were missing from slots when these were handed out; `dropped`: rows that came too late, or
    without the state that they start from.
    """

    def __init__(self, layouts: Sequence[Layout], *, agents: Sequence[int] = (), timeout_slots: int = 0) -> None:
        self._agents = tuple(agents) or tuple(range(len(layouts)))
        self._layouts = dict(zip(self._agents, layouts, strict=True))
        self._timeout = timeout_slots
        self._states: dict[int, dict[int, Records]] = {agent: {} for agent in self._agents}
        self._rows: dict[int, dict[int, npt.NDArray[Any]]] = {agent: {} for agent in self._agents}
        self._carried: dict[int, dict[int, Floats]] = {agent: {} for agent in self._agents}
        self._newest = self._closed = -1  # the newest slot received, and the last of those that no row is taken for
        self._handed_out: set[int] = set()  # of the slots after `_closed`
        self.masked = self.dropped = 0

    @property
    def rows(self) -> int:
        """Rows kept, of all agents."""
        return sum(map(len, self._rows.values()))

    def read(self, note: ReceivedNote) -> HistoryChunk:
        """The history in an agent's note. ValueError if it cannot be read, if no agent can have seen what it holds by
        the slot in which it was sent, or if a slot of it has come before."""
        layout = self._layouts[note.source]
        chunk = read_chunk(note.body, layout)
        first, end = chunk.first_slot, chunk.first_slot + len(chunk.rows)
        if end > note.slot:  # a row holds the state of the slot after
            raise ValueError(f"it was sent in slot {note.slot} and names slot {max(first, end - 1)}")
        if not len(chunk.rows):
            raise ValueError("it has no rows")
        if reason := layout.fault(chunk):
            raise ValueError(reason)
        if repeated := (self._rows[note.source].keys() | self._handed_out) & set(range(first, end)):
            raise ValueError(f"slot {min(repeated)} has come before")
        return chunk

    def add(self, agent: int, chunk: HistoryChunk) -> None:
        """Add an agent's history."""
        rows, states = self._rows[agent], self._states[agent]
        if chunk.first_state is not None:
            states[chunk.first_slot] = chunk.first_state
        if chunk.carried is not None:
            self._carried[agent][chunk.first_slot] = chunk.carried
        for slot, row in enumerate(chunk.rows, chunk.first_slot):
            rows[slot], states[slot + 1] = row, row["state"]
        self._newest = max(self._newest, chunk.first_slot + len(chunk.rows) - 1)
        self._drop_closed(agent)

    def take(self) -> Iterator[JointTrajectory]:
        """Every contiguous stretch of slots that is to be handed out now."""
        last_overdue = self._newest - self._timeout
        ready = [slot for slot in sorted(set().union(*self._rows.values())) if self._is_ready(slot, last_overdue)]
        for first, last in _stretches(ready):
            yield self._joined(range(first, last + 1))
        for agent in self._agents:
            for slot in ready:
                self._rows[agent].pop(slot, None)
                self._carried[agent].pop(slot, None)
        self._closed = max(self._closed, last_overdue)
        self._handed_out = {slot for slot in self._handed_out.union(ready) if slot > self._closed}
        for agent in self._agents:
            self._drop_closed(agent)

    def snapshot(self) -> dict[str, Any]:
        """Rows of slots that were not handed out."""
        states = [[[slot, state.tobytes()] for slot, state in each.items()] for each in self._states.values()]
        rows = [[[slot, row.tobytes()] for slot, row in each.items()] for each in self._rows.values()]
        slots = [self._newest, self._closed, sorted(self._handed_out)]
        carried = [[[slot, each.copy()] for slot, each in by_slot.items()] for by_slot in self._carried.values()]
        counts = {"masked": self.masked, "dropped": self.dropped}
        return {"states": states, "rows": rows, "carried": carried, "slots": slots} | counts

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        for i, (agent, layout) in enumerate(self._layouts.items()):
            self._states[agent] = {s: np.frombuffer(raw, layout.state) for s, raw in data["states"][i]}
            self._rows[agent] = {s: np.frombuffer(raw, layout.row)[0] for s, raw in data["rows"][i]}
            self._carried[agent] = {s: numbers.copy() for s, numbers in data["carried"][i]}
        self._newest, self._closed, handed_out = data["slots"]
        self._handed_out = set(handed_out)
        self.masked, self.dropped = data["masked"], data["dropped"]

    def _is_ready(self, slot: int, last_overdue: int) -> bool:
        usable = (self._is_usable(agent, slot) for agent in self._agents)
        return any(usable) if slot <= last_overdue else all(usable)

    def _is_usable(self, agent: int, slot: int) -> bool:
        """Whether the agent's row of this slot has come, and the state that it starts from."""
        return slot in self._rows[agent] and slot in self._states[agent]

    def _joined(self, slots: range) -> JointTrajectory:
        present = np.array([[self._is_usable(agent, slot) for agent in self._agents] for slot in slots])
        self.masked += int(np.count_nonzero(~present))
        rows = [self._rows_of(agent, slots) for agent in self._agents]  # N of [T]
        return JointTrajectory(
            agents=self._agents,
            first_slot=slots.start,
            states=[self._states_of(agent, range(slots.start, slots.stop + 1)) for agent in self._agents],
            actions=[agent_rows["action"] for agent_rows in rows],
            rewards=np.stack([agent_rows["reward"] for agent_rows in rows], axis=-1),
            flags=np.stack([agent_rows["flags"] for agent_rows in rows], axis=-1),
            policy_versions=np.stack([agent_rows["policy_version"] for agent_rows in rows], axis=-1),
            present=present,
            log_probs=self._log_probs(rows),
            carried=self._carried_before(slots.start),
        )

    def _log_probs(self, rows: list[npt.NDArray[Any]]) -> Floats | None:
        """Of all agents' rows, [T, E, N]."""
        if any(layout.carried is None for layout in self._layouts.values()):
            return None
        return np.stack([agent_rows["log_prob"] for agent_rows in rows], axis=-1)

    def _carried_before(self, slot: int) -> Floats | None:
        """[N, E, C]"""
        widths = {layout.carried for layout in self._layouts.values()}
        if len(widths) > 1 or not (width := widths.pop()):
            return None
        replicas = self._layouts[self._agents[0]].replicas
        unknown = np.zeros((replicas, width), np.float32)
        return np.stack([self._carried[agent].get(slot, unknown) for agent in self._agents])

    def _rows_of(self, agent: int, slots: range) -> npt.NDArray[Any]:
        rows, missing = self._rows[agent], np.zeros((), self._layouts[agent].row)
        return np.stack([rows[slot] if self._is_usable(agent, slot) else missing for slot in slots])

    def _states_of(self, agent: int, slots: range) -> Records:
        layout = self._layouts[agent]
        unknown = np.zeros(layout.replicas, layout.state)
        return np.stack([self._states[agent].get(slot, unknown) for slot in slots])

    def _drop_closed(self, agent: int) -> None:
        """Delete all rows up to slot `_closed`. The state after it stays: the next history may continue from it."""
        for slot in [slot for slot in self._rows[agent] if slot <= self._closed]:
            del self._rows[agent][slot]
            self.dropped += 1
        for by_slot in (self._states[agent], self._carried[agent]):
            for slot in [slot for slot in by_slot if slot <= self._closed]:
                del by_slot[slot]


def _stretches(slots: list[int]) -> Iterator[tuple[int, int]]:
    """First and last slot of each contiguous stretch of sorted `slots`."""
    for _, stretch in groupby(enumerate(slots), lambda pair: pair[1] - pair[0]):
        members = [slot for _, slot in stretch]
        yield members[0], members[-1]
