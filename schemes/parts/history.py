"""Histories as notes: contiguous rows of what a node saw, did and earned, no state told twice.

A body is a head (first slot, rows, whether it brings its own first state), that first state if so, then the rows. Row i
holds action, reward, flags and weights version of slot first + i and the state of the slot after: T actions, T rewards,
T + 1 states with the last state of the chunk before.
"""

from collections.abc import Iterator
from itertools import groupby
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from protocol.messages.spaces import Records, Space

VALID, TERMINATED, TRUNCATED = 1, 2, 4
_head = Struct("<IHB")
_MAX_ROWS = 0xFFFF


class Layout:
    """How the rows of one node lie in memory. `states`, `actions`: spaces of the node's view and actions."""

    def __init__(self, states: Space, actions: Space, replicas: int) -> None:
        self.state = states.dtype
        self.replicas = replicas
        self.row = np.dtype(
            [
                ("flags", "u1"),
                ("version", "<u4"),
                ("action", actions.dtype, (replicas,)),
                ("reward", "<f4", (replicas,)),
                ("state", states.dtype, (replicas,)),  # of the slot after
            ]
        )


class Chunk(NamedTuple):
    """A history note, read. `first_state` [E] if the chunk is a start, else None; `rows` [T] of the layout's row."""

    first_slot: int
    first_state: Records | None
    rows: npt.NDArray[Any]


class HistoryWriter:
    """A node's rows since it last told any."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._first_slot = 0
        self._first_state = b""
        self._rows: list[bytes] = []

    def start(self, slot: int, state: Records) -> None:
        """A history begins with the state of `slot`; what was not told of the one before is forgotten."""
        self._first_slot, self._first_state, self._rows = slot, state.tobytes(), []

    def add(self, *, action: Records, reward: npt.NDArray[Any], version: int, flags: int, state: Records) -> None:
        """What came of the slot before: `reward` [E]; `state` [E] is the one it led to."""
        row = np.zeros((), self._layout.row)
        row["flags"], row["version"] = flags, version
        row["action"], row["reward"], row["state"] = action, reward, state
        self._rows.append(row.tobytes())

    @property
    def rows(self) -> int:
        """Rows that have not been told."""
        return len(self._rows)

    def take(self) -> bytes:
        """The body of a note with all rows not told yet."""
        rows, self._rows = self._rows[:_MAX_ROWS], self._rows[_MAX_ROWS:]
        body = _head.pack(self._first_slot, len(rows), bool(self._first_state)) + self._first_state + b"".join(rows)
        self._first_slot, self._first_state = self._first_slot + len(rows), b""
        return body

    def snapshot(self) -> dict[str, Any]:
        """What has not been told."""
        return {"first_slot": self._first_slot, "first_state": self._first_state, "rows": list(self._rows)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._first_slot, self._first_state, self._rows = data["first_slot"], data["first_state"], list(data["rows"])


def read_chunk(body: bytes, layout: Layout) -> Chunk:
    """A history note's body, read. ValueError if it does not fit the layout."""
    first_slot, rows, is_start = _head.unpack_from(body)
    states_from, state_bytes = _head.size, layout.state.itemsize * layout.replicas if is_start else 0
    if len(body) != states_from + state_bytes + rows * layout.row.itemsize:
        raise ValueError(f"a history of {rows} rows does not fit into {len(body)} bytes")
    first_state = np.frombuffer(body, layout.state, layout.replicas, states_from) if is_start else None
    return Chunk(first_slot, first_state, np.frombuffer(body, layout.row, rows, states_from + state_bytes))


class JointHistory(NamedTuple):
    """Contiguous histories of all agents: T + 1 states, T actions, T rewards.

    `states`, `actions`: per agent, records [T + 1, E] and [T, E]; `rewards` [T, E, N]; `flags` [T, N].
    """

    first_slot: int
    states: list[Records]
    actions: list[Records]
    rewards: npt.NDArray[np.float32]
    flags: npt.NDArray[np.uint8]


class Joiner:
    """Joins the agents' histories by slot: what all have told of is handed out once, in the order of slots.

    A slot that is complete late is handed out late, after later ones. What is not complete is forgotten, and what comes
    of it then is ignored, when it lies `timeout_slots` behind the newest slot that was complete (0: at once), or
    `max_slots` behind the newest of which anybody told: so that little is kept while nobody hears of some agent.
    """

    def __init__(self, layouts: list[Layout], *, timeout_slots: int = 0, max_slots: int = _MAX_ROWS) -> None:
        self._layouts = layouts
        self._timeout, self._most = timeout_slots, max_slots
        self._states: list[dict[int, Records]] = [{} for _ in layouts]
        self._rows: list[dict[int, npt.NDArray[Any]]] = [{} for _ in layouts]
        self._newest = self._forgotten = -1  # slots: the newest that anybody told of, and all up to which is forgotten

    @property
    def rows(self) -> int:
        """Rows that are kept, of all agents."""
        return sum(map(len, self._rows))

    def add(self, agent: int, body: bytes) -> None:
        """A history note of an agent."""
        chunk = read_chunk(body, self._layouts[agent])
        rows, states = self._rows[agent], self._states[agent]
        if chunk.first_state is not None:
            states[chunk.first_slot] = chunk.first_state
        for slot, row in enumerate(chunk.rows, chunk.first_slot):
            rows[slot], states[slot + 1] = row, row["state"]
        self._newest = max(self._newest, chunk.first_slot + len(chunk.rows) - 1)
        self._forget(agent)

    def take(self) -> Iterator[JointHistory]:
        """All runs of slots that every agent has told of by turn."""
        complete = sorted(slot for slot in self._rows[0] if self._is_complete(slot))
        for first, last in _runs(complete):
            yield self._joined(first, last)
        for rows in self._rows:
            for slot in complete:
                del rows[slot]
        newest_complete = complete[-1] if complete else -1
        self._forgotten = max(self._forgotten, newest_complete - self._timeout, self._newest - self._most)
        for agent in range(len(self._layouts)):
            self._forget(agent)

    def snapshot(self) -> dict[str, Any]:
        """Rows of slots that are not complete."""
        states = [[[slot, state.tobytes()] for slot, state in each.items()] for each in self._states]
        rows = [[[slot, row.tobytes()] for slot, row in each.items()] for each in self._rows]
        return {"states": states, "rows": rows, "slots": [self._newest, self._forgotten]}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        for agent, layout in enumerate(self._layouts):
            self._states[agent] = {s: np.frombuffer(raw, layout.state) for s, raw in data["states"][agent]}
            self._rows[agent] = {s: np.frombuffer(raw, layout.row)[0] for s, raw in data["rows"][agent]}
        self._newest, self._forgotten = data["slots"]

    def _is_complete(self, slot: int) -> bool:
        return all(slot in rows and slot in states for rows, states in zip(self._rows, self._states, strict=True))

    def _joined(self, first: int, last: int) -> JointHistory:
        slots, with_states = range(first, last + 1), range(first, last + 2)
        rows = [np.stack([agent_rows[slot] for slot in slots]) for agent_rows in self._rows]  # N of [T]
        return JointHistory(
            first_slot=first,
            states=[np.stack([states[slot] for slot in with_states]) for states in self._states],
            actions=[agent_rows["action"] for agent_rows in rows],
            rewards=np.stack([agent_rows["reward"] for agent_rows in rows], axis=-1),
            flags=np.stack([agent_rows["flags"] for agent_rows in rows], axis=-1),
        )

    def _forget(self, agent: int) -> None:
        """All up to the last slot forgotten. The state after it is kept: the next history may go on from it."""
        for kept in (self._rows[agent], self._states[agent]):
            for slot in [slot for slot in kept if slot <= self._forgotten]:
                del kept[slot]


def _runs(slots: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of neighbouring slots."""
    for _, run in groupby(enumerate(slots), lambda pair: pair[1] - pair[0]):
        members = [slot for _, slot in run]
        yield members[0], members[-1]
