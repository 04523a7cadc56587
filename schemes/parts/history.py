"""Histories as notes: contiguous rows of a node's states, actions and rewards, no state sent twice.

A body is a head (first slot, number of rows, whether a first state follows), that first state if so, then the rows.
Row i holds action, reward, flags and policy version of slot first + i and the state of the slot after: T actions, T
rewards, and T + 1 states together with the last state of the chunk before. Where an episode ended with the slot, the
state after is the first one of the next episode.

Rows for learners that learn on-policy also hold the log-probability of the action. If the policy is recurrent, what it
carried before the first row comes before the rows: from there a learner computes what it carried later.
"""

from struct import Struct
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from protocol.messages.episodes import TERMINATED, TRUNCATED
from protocol.messages.spaces import Records, Space

Flags = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

VALID = 1  # the other bits of a row's flags are those of protocol.messages.episodes
_head = Struct("<IHB")
_MAX_ROWS = 0xFFFF
_VERSION_BYTES = 4  # of a row's policy version, the only part of a row that is the same for all replicas
_FLAGS = VALID | TERMINATED | TRUNCATED
_MAX_FLOAT16 = 65504.0
_MAX_NUMBER = 1e6  # of rewards and the like: the square of a larger one leaves too little of float32 to a learner


class Layout:
    """The memory layout of one node's rows. `states`, `actions`: spaces of the node's view and actions.

    `precision`: of the states' float32 fields in a note; with float16 they are rounded, and cut off at +-65504. `state`
    and `row` are the layouts in memory, `sent_state` and `sent_row` those in a note. `carried`: None for rows without
    log-probabilities; else they have them, and the policy carries so many numbers from slot to slot, 0 if it is not
    recurrent.
    """

    def __init__(
        self,
        states: Space,
        actions: Space,
        replicas: int,
        *,
        precision: Literal["float32", "float16"] = "float32",
        carried: int | None = None,
    ) -> None:
        self.state, self.replicas, self.carried = states.dtype, replicas, carried
        self._states, self._actions = states, actions
        narrow = {"f4": "f2"} if precision == "float16" else {}
        self.sent_state = np.dtype([(f.name, "<" + narrow.get(f.dtype, f.dtype), f.shape) for f in states.fields])
        self.row, self.sent_row = self._row(self.state), self._row(self.sent_state)

    def narrowed(self, state: Records) -> Records:
        """A state [E] as a note has it."""
        if self.sent_state == self.state:
            return state
        sent = np.empty(len(state), self.sent_state)
        for name in self.state.names or ():
            values = state[name]
            if sent[name].dtype != values.dtype:
                values = np.clip(values, -_MAX_FLOAT16, _MAX_FLOAT16)
            sent[name] = values
        return sent

    def _row(self, state: np.dtype[Any]) -> np.dtype[Any]:
        return np.dtype(
            [
                ("flags", "u1", (self.replicas,)),
                ("policy_version", "<u4"),
                ("action", self._actions.dtype, (self.replicas,)),
                ("reward", "<f4", (self.replicas,)),
                ("state", state, (self.replicas,)),  # of the slot after
                *([] if self.carried is None else [("log_prob", "<f4", (self.replicas,))]),
            ]
        )

    @property
    def carried_bytes(self) -> int:
        """Of what the policy carried before the first row, of all replicas."""
        return 4 * self.replicas * (self.carried or 0)

    def fault(self, chunk: "HistoryChunk") -> str:
        """Why no node can have measured or done this, or ""."""
        rows = chunk.rows
        states = [rows["state"], *([] if chunk.first_state is None else [chunk.first_state])]
        if not all(map(self._states.holds, states)):
            return "a state lies outside its space"
        if not self._actions.holds(rows["action"]):
            return "an action lies outside its space"
        if not _are_bounded(rows["reward"]):
            return f"a reward is not within +-{_MAX_NUMBER:g}"
        if self.carried is not None and not _are_bounded(rows["log_prob"]):
            return f"a log-probability is not within +-{_MAX_NUMBER:g}"
        if chunk.carried is not None and not _are_bounded(chunk.carried):
            return f"a carried number is not within +-{_MAX_NUMBER:g}"
        return "a row has an unknown flag" if (rows["flags"] & ~np.uint8(_FLAGS)).any() else ""


class HistoryChunk(NamedTuple):
    """A decoded history note. `first_state` [E] where a history starts, else None; `rows` [T] of the layout's row;
    `carried` [E, C]: what a recurrent policy carried before the first of them."""

    first_slot: int
    first_state: Records | None
    rows: npt.NDArray[Any]
    carried: Floats | None = None


class Draw(NamedTuple):
    """How an action was drawn. `log_prob` [E]; `carried` [E, C]: what a recurrent policy carried before it; None: as at
    the beginning of an episode."""

    log_prob: Floats
    carried: Floats | None


class HistoryWriter:
    """Collects a node's rows between two history notes."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._first_slot = 0
        self._first_state = b""
        self._carried = b""
        self._rows: list[bytes] = []

    def start(self, slot: int, state: Records) -> None:
        """Start a history with the state [E] of `slot`; rows of the previous one that were not taken are dropped."""
        self._first_slot, self._first_state, self._rows = slot, self._layout.narrowed(state).tobytes(), []

    def add(
        self,
        *,
        action: Records,
        reward: npt.NDArray[Any],
        policy_version: int,
        flags: Flags,
        state: Records,
        draw: Draw | None = None,
    ) -> None:
        """Append the next slot: its `action`, `reward` and `flags`, and the `state` of the slot after it; each [E].
        `draw`: how the action was drawn, where the layout has log-probabilities."""
        row = np.zeros((), self._layout.sent_row)
        row["flags"], row["policy_version"] = flags, policy_version
        row["action"], row["reward"], row["state"] = action, reward, self._layout.narrowed(state)
        if draw is not None:
            row["log_prob"] = draw.log_prob
            self._carried = self._carried if self._rows else self._encoded(draw.carried)
        self._rows.append(row.tobytes())

    @property
    def rows(self) -> int:
        """Rows not taken yet."""
        return len(self._rows)

    def take(self) -> bytes:
        """The body of a history note with all rows not taken yet."""
        rows, self._rows = self._rows[:_MAX_ROWS], self._rows[_MAX_ROWS:]
        head = _head.pack(self._first_slot, len(rows), bool(self._first_state))
        body = head + self._first_state + self._carried + b"".join(rows)
        self._first_slot, self._first_state = self._first_slot + len(rows), b""
        return body

    def snapshot(self) -> dict[str, Any]:
        """The rows not taken yet."""
        return {
            "first_slot": self._first_slot,
            "first_state": self._first_state,
            "carried": self._carried,
            "rows": list(self._rows),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._first_slot, self._first_state, self._rows = data["first_slot"], data["first_state"], list(data["rows"])
        self._carried = data["carried"]

    def _encoded(self, carried: Floats | None) -> bytes:
        """What the policy carried; before its first weights it carries nothing, as at the beginning of an episode."""
        return bytes(self._layout.carried_bytes) if carried is None else carried.astype("<f4").tobytes()


def read_chunk(body: bytes, layout: Layout) -> HistoryChunk:
    """Decode the body of a history note. ValueError if its length does not fit the layout."""
    if len(body) < _head.size:
        raise ValueError(f"a history has a head of {_head.size} bytes, not {len(body)}")
    first_slot, rows, is_start = _head.unpack_from(body)
    state_bytes = layout.sent_state.itemsize * layout.replicas if is_start else 0
    carried_from = _head.size + state_bytes
    rows_from = carried_from + layout.carried_bytes
    if len(body) != rows_from + rows * layout.sent_row.itemsize:
        raise ValueError(f"a history of {rows} rows does not fit into {len(body)} bytes")
    first_state = np.frombuffer(body, layout.sent_state, layout.replicas, _head.size) if is_start else None
    carried = None
    if layout.carried:
        numbers = np.frombuffer(body, "<f4", layout.replicas * layout.carried, carried_from)
        carried = numbers.reshape(layout.replicas, layout.carried)
    sent_rows = np.frombuffer(body, layout.sent_row, rows, rows_from)
    if layout.sent_row == layout.row:
        return HistoryChunk(first_slot, first_state, sent_rows, carried)
    state = None if first_state is None else first_state.astype(layout.state)
    return HistoryChunk(first_slot, state, sent_rows.astype(layout.row), carried)


def payload_bits(body: bytes, replicas: int) -> int | None:
    """The bits of a history note's body that are one replica's; None for a body of one, which is charged as it is."""
    if replicas == 1:
        return None
    rows: int = _head.unpack_from(body)[1]
    whole = _head.size + rows * _VERSION_BYTES
    return 8 * (whole + (len(body) - whole) // replicas)


class JointTrajectory(NamedTuple):
    """The rows of `agents` over T contiguous slots: T + 1 states, T actions, T rewards.

    `states`, `actions`: per agent, records [T + 1, E] and [T, E]; `rewards`, `flags` [T, E, N]; `policy_versions`
    [T, N]: of the weights by which each agent chose its action; `present` [T, N]: whether the agent's row has come.
    Where it has not, all of it is 0, as is a state that no row tells.
    `log_probs` [T, E, N] and `carried` [N, E, C], before the first slot: None where the layouts have none. What was
    carried is 0 where no note tells it.
    """

    agents: tuple[int, ...]
    first_slot: int
    states: list[Records]
    actions: list[Records]
    rewards: npt.NDArray[np.float32]
    flags: Flags
    policy_versions: npt.NDArray[np.uint32]
    present: npt.NDArray[np.bool_]
    log_probs: Floats | None = None
    carried: Floats | None = None

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Which rows may be learnt from, [T, E, N]: those that are present, with the flag."""
        return np.asarray(self.flags & np.uint8(VALID) > 0)

    @property
    def ended(self) -> Flags:
        """How the episodes ended that ended with a slot, [T, E]; 0 for those that went on."""
        return np.asarray(np.bitwise_or.reduce(self.flags, axis=2) & np.uint8(TERMINATED | TRUNCATED))


def _are_bounded(numbers: npt.NDArray[Any]) -> bool:
    return bool(np.isfinite(numbers).all() and (np.abs(numbers) <= _MAX_NUMBER).all())
