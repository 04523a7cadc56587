"""Histories as notes: contiguous rows of a node's states, actions and rewards, no state sent twice.

A body is a head (first slot, number of rows, whether a first state follows), that first state if so, then the rows.
Row i holds action, reward, flags and policy version of slot first + i and the state of the slot after: T actions, T
rewards, and T + 1 states together with the last state of the chunk before. Where an episode ended with the slot, the
state after is the first one of the next episode.
"""

from collections.abc import Iterator
from itertools import groupby
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from protocol.messages.episodes import TERMINATED, TRUNCATED
from protocol.messages.node import ReceivedNote
from protocol.messages.spaces import Records, Space

Flags = npt.NDArray[np.uint8]

VALID = 1  # the other bits of a row's flags are those of protocol.messages.episodes
_head = Struct("<IHB")
_MAX_ROWS = 0xFFFF
_VERSION_BYTES = 4  # of a row's policy version, the only part of a row that is the same for all replicas
_FLAGS = VALID | TERMINATED | TRUNCATED
_MAX_REWARD = 1e6  # the square of a larger one leaves too little of float32 to a learner


class Layout:
    """The memory layout of one node's rows. `states`, `actions`: spaces of the node's view and actions."""

    def __init__(self, states: Space, actions: Space, replicas: int) -> None:
        self.state = states.dtype
        self.replicas = replicas
        self._states, self._actions = states, actions
        self.row = np.dtype(
            [
                ("flags", "u1", (replicas,)),
                ("policy_version", "<u4"),
                ("action", actions.dtype, (replicas,)),
                ("reward", "<f4", (replicas,)),
                ("state", states.dtype, (replicas,)),  # of the slot after
            ]
        )

    def fault(self, chunk: "HistoryChunk") -> str:
        """Why no node can have measured or done this, or ""."""
        rows = chunk.rows
        states = [rows["state"], *([] if chunk.first_state is None else [chunk.first_state])]
        if not all(map(self._states.holds, states)):
            return "a state lies outside its space"
        if not self._actions.holds(rows["action"]):
            return "an action lies outside its space"
        if not np.isfinite(rows["reward"]).all() or (np.abs(rows["reward"]) > _MAX_REWARD).any():
            return f"a reward is not within +-{_MAX_REWARD:g}"
        return "a row has an unknown flag" if (rows["flags"] & ~np.uint8(_FLAGS)).any() else ""


class HistoryChunk(NamedTuple):
    """A decoded history note. `first_state` [E] where a history starts, else None; `rows` [T] of the layout's row."""

    first_slot: int
    first_state: Records | None
    rows: npt.NDArray[Any]


class HistoryWriter:
    """Collects a node's rows between two history notes."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._first_slot = 0
        self._first_state = b""
        self._rows: list[bytes] = []

    def start(self, slot: int, state: Records) -> None:
        """Start a history with the state [E] of `slot`; rows of the previous one that were not taken are dropped."""
        self._first_slot, self._first_state, self._rows = slot, state.tobytes(), []

    def add(
        self, *, action: Records, reward: npt.NDArray[Any], policy_version: int, flags: Flags, state: Records
    ) -> None:
        """Append the next slot: its `action`, `reward` and `flags`, and the `state` of the slot after it; each [E]."""
        row = np.zeros((), self._layout.row)
        row["flags"], row["policy_version"] = flags, policy_version
        row["action"], row["reward"], row["state"] = action, reward, state
        self._rows.append(row.tobytes())

    @property
    def rows(self) -> int:
        """Rows not taken yet."""
        return len(self._rows)

    def take(self) -> bytes:
        """The body of a history note with all rows not taken yet."""
        rows, self._rows = self._rows[:_MAX_ROWS], self._rows[_MAX_ROWS:]
        body = _head.pack(self._first_slot, len(rows), bool(self._first_state)) + self._first_state + b"".join(rows)
        self._first_slot, self._first_state = self._first_slot + len(rows), b""
        return body

    def snapshot(self) -> dict[str, Any]:
        """The rows not taken yet."""
        return {"first_slot": self._first_slot, "first_state": self._first_state, "rows": list(self._rows)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._first_slot, self._first_state, self._rows = data["first_slot"], data["first_state"], list(data["rows"])


def read_chunk(body: bytes, layout: Layout) -> HistoryChunk:
    """Decode the body of a history note. ValueError if its length does not fit the layout."""
    if len(body) < _head.size:
        raise ValueError(f"a history has a head of {_head.size} bytes, not {len(body)}")
    first_slot, rows, is_start = _head.unpack_from(body)
    states_from, state_bytes = _head.size, layout.state.itemsize * layout.replicas if is_start else 0
    if len(body) != states_from + state_bytes + rows * layout.row.itemsize:
        raise ValueError(f"a history of {rows} rows does not fit into {len(body)} bytes")
    first_state = np.frombuffer(body, layout.state, layout.replicas, states_from) if is_start else None
    return HistoryChunk(first_slot, first_state, np.frombuffer(body, layout.row, rows, states_from + state_bytes))


def payload_bits(body: bytes, replicas: int) -> int | None:
    """The bits of a history note's body that are one replica's; None for a body of one, which is charged as it is."""
    if replicas == 1:
        return None
    rows: int = _head.unpack_from(body)[1]
    whole = _head.size + rows * _VERSION_BYTES
    return 8 * (whole + (len(body) - whole) // replicas)


class JointTrajectory(NamedTuple):
    """The joined rows of all agents over T contiguous slots: T + 1 states, T actions, T rewards.

    `states`, `actions`: per agent, records [T + 1, E] and [T, E]; `rewards`, `flags` [T, E, N]; `policy_versions`
    [T, N]: of the weights by which each agent chose its action.
    """

    first_slot: int
    states: list[Records]
    actions: list[Records]
    rewards: npt.NDArray[np.float32]
    flags: Flags
    policy_versions: npt.NDArray[np.uint32]

    @property
    def ended(self) -> Flags:
        """How the episodes ended that ended with a slot, [T, E]; 0 for those that went on."""
        return np.asarray(np.bitwise_or.reduce(self.flags, axis=2) & np.uint8(TERMINATED | TRUNCATED))


class Joiner:
    """Joins the agents' histories by slot: a slot for which every agent's row has come is handed out once.

    Slots are handed out in order; one that is completed late comes late, after later ones. An incomplete slot is
    dropped, and rows that still come for it are ignored, once it lies `timeout_slots` behind the newest complete slot
    (0: at once) or `max_slots` behind the newest slot received from any agent. The second bound limits memory while an
    agent is lost.
    """

    def __init__(self, layouts: list[Layout], *, timeout_slots: int = 0, max_slots: int = _MAX_ROWS) -> None:
        self._layouts = layouts
        self._timeout, self._max_slots = timeout_slots, max_slots
        self._states: list[dict[int, Records]] = [{} for _ in layouts]
        self._rows: list[dict[int, npt.NDArray[Any]]] = [{} for _ in layouts]
        self._newest = self._dropped = -1  # the newest slot received, and the last slot of those dropped

    @property
    def rows(self) -> int:
        """Rows kept, of all agents."""
        return sum(map(len, self._rows))

    def read(self, note: ReceivedNote) -> HistoryChunk:
        """The history in an agent's note. ValueError if it cannot be read, if no agent can have seen what it holds by
        the slot in which it was sent, or if a slot of it is waiting here already."""
        chunk = read_chunk(note.body, self._layouts[note.source])
        first, end = chunk.first_slot, chunk.first_slot + len(chunk.rows)
        if end > note.slot:  # a row holds the state of the slot after
            raise ValueError(f"it was sent in slot {note.slot} and names slot {max(first, end - 1)}")
        if not len(chunk.rows):
            raise ValueError("it has no rows")
        if reason := self._layouts[note.source].fault(chunk):
            raise ValueError(reason)
        if repeated := self._rows[note.source].keys() & set(range(first, end)):
            raise ValueError(f"slot {min(repeated)} has come before")
        return chunk

    def add(self, agent: int, chunk: HistoryChunk) -> None:
        """Add an agent's history."""
        rows, states = self._rows[agent], self._states[agent]
        if chunk.first_state is not None:
            states[chunk.first_slot] = chunk.first_state
        for slot, row in enumerate(chunk.rows, chunk.first_slot):
            rows[slot], states[slot + 1] = row, row["state"]
        self._newest = max(self._newest, chunk.first_slot + len(chunk.rows) - 1)
        self._drop_old(agent)

    def take(self) -> Iterator[JointTrajectory]:
        """Every contiguous stretch of slots that is complete now."""
        complete = sorted(slot for slot in self._rows[0] if self._is_complete(slot))
        for first, last in _stretches(complete):
            yield self._joined(first, last)
        for rows in self._rows:
            for slot in complete:
                del rows[slot]
        newest_complete = complete[-1] if complete else -1
        self._dropped = max(self._dropped, newest_complete - self._timeout, self._newest - self._max_slots)
        for agent in range(len(self._layouts)):
            self._drop_old(agent)

    def snapshot(self) -> dict[str, Any]:
        """Rows of incomplete slots."""
        states = [[[slot, state.tobytes()] for slot, state in each.items()] for each in self._states]
        rows = [[[slot, row.tobytes()] for slot, row in each.items()] for each in self._rows]
        return {"states": states, "rows": rows, "slots": [self._newest, self._dropped]}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        for agent, layout in enumerate(self._layouts):
            self._states[agent] = {s: np.frombuffer(raw, layout.state) for s, raw in data["states"][agent]}
            self._rows[agent] = {s: np.frombuffer(raw, layout.row)[0] for s, raw in data["rows"][agent]}
        self._newest, self._dropped = data["slots"]

    def _is_complete(self, slot: int) -> bool:
        return all(slot in rows and slot in states for rows, states in zip(self._rows, self._states, strict=True))

    def _joined(self, first: int, last: int) -> JointTrajectory:
        slots, with_states = range(first, last + 1), range(first, last + 2)
        rows = [np.stack([agent_rows[slot] for slot in slots]) for agent_rows in self._rows]  # N of [T]
        return JointTrajectory(
            first_slot=first,
            states=[np.stack([states[slot] for slot in with_states]) for states in self._states],
            actions=[agent_rows["action"] for agent_rows in rows],
            rewards=np.stack([agent_rows["reward"] for agent_rows in rows], axis=-1),
            flags=np.stack([agent_rows["flags"] for agent_rows in rows], axis=-1),
            policy_versions=np.stack([agent_rows["policy_version"] for agent_rows in rows], axis=-1),
        )

    def _drop_old(self, agent: int) -> None:
        """Delete all rows up to slot `_dropped`. The state after it stays: the next history may continue from it."""
        for kept in (self._rows[agent], self._states[agent]):
            for slot in [slot for slot in kept if slot <= self._dropped]:
                del kept[slot]


def _stretches(slots: list[int]) -> Iterator[tuple[int, int]]:
    """First and last slot of each contiguous stretch of sorted `slots`."""
    for _, stretch in groupby(enumerate(slots), lambda pair: pair[1] - pair[0]):
        members = [slot for _, slot in stretch]
        yield members[0], members[-1]
