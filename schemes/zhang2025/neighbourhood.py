"""An agent and its neighbours: what it knows of them by their notes, X_k of eq. (8), and its reward.

    X_k = (O_k, O_j of the neighbours j)      eq. (8)        R_k = u_k + sum of u_j      eq. (10)

In an exchange every agent sends its neighbours O_k, its numbers of each device, and, while there are rows to complete,
its backlog -u_k of the slot before, without which they do not know their rewards.

Stale rule: hold. Of each neighbour the newest note counts, by the slot in which it was sent, for X_k and for the
reward. Before its first note, and once that is older than `max_age_slots`, its numbers count as 0, as those of devices
that are not there, and the row whose reward would need it is not valid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Le

from protocol.messages.episodes import Mask
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote
from protocol.messages.spaces import Field, Records, Space
from protocol.params import param
from schemes.contract import TurnContext, broadcast
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.note_reader import NoteReader
from schemes.zhang2025.local_cell import Floats, LocalCell

_MAX_FLOAT16 = 65504.0
_MAX_BACKLOG = 1e5  # of a note; more would make a reward that no trainer takes


@dataclass(frozen=True, kw_only=True)
class ExchangeSettings:
    """What neighbours send each other, and how many of them and of their devices a network has inputs for."""

    neighbour_notes: Literal["on", "int8", "off"] = param(
        "on",
        "on: each number as a 16 bit float; int8: in 8 bits between its bounds; off: no notes, X_k = O_k and R_k = u_k",
        source="eq. (8), (10); the others ours",
    )
    exchange_every_slots: Annotated[int, Ge(1)] = param(1, "slots between two notes", unit="slots", source="alg. 1")
    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "an older note of a neighbour counts as none; none: any age", unit="slots", source="ours"
    )
    max_devices: Annotated[int, Ge(0), Le(64)] = param(
        0, "devices that networks have inputs for, dummies included; 0: those that there are", source="III-A"
    )
    max_neighbours: Annotated[int, Ge(0), Le(64)] = param(
        0, "neighbours that networks have inputs for; 0: those that there are", source="III-A"
    )


class NeighbourNote(NamedTuple):
    """A neighbour's note: its numbers [E, devices, F], and its backlog [E] if it sent that."""

    numbers: Floats
    backlog: Floats | None


class Padded:
    """Records of X_k as inputs: the own devices, then each neighbour's in the order of nodes, zeros for dummies.
    `space`: of these records. ValueError for fewer inputs than there are devices or neighbours."""

    def __init__(self, cell: LocalCell, settings: ExchangeSettings) -> None:
        counts = [cell.devices, *cell.neighbours.values()]
        self.devices = settings.max_devices or max(counts)
        self.neighbours = settings.max_neighbours or len(cell.neighbours)
        if self.devices < max(counts) or self.neighbours < len(cell.neighbours):
            raise ValueError(
                f"an agent has {len(cell.neighbours)} neighbours, and one of these agents {max(counts)} devices: "
                f"set scheme.max_neighbours and scheme.max_devices to at least as many, or to 0"
            )
        self._cell, self._counts = cell, counts
        self._around = 1 if settings.neighbour_notes == "off" else 1 + self.neighbours
        shape = (sum(counts[: self._around]), len(cell.bounds))
        self.space = Space((Field("numbers", "f2", shape, unit="see the card"),))
        places = [i * self.devices + np.arange(n) for i, n in enumerate(counts[: self._around])]
        self._places = np.concatenate(places)  # of the devices there are, among those with inputs
        self.inputs = self._around * self.devices * cell.inputs_per_device

    def __call__(self, records: Records) -> Floats:
        """[E] to [E, inputs]"""
        numbers = records["numbers"].astype(np.float32)  # [E, known, F]
        inputs = np.zeros((len(records), self._around * self.devices, self._cell.inputs_per_device), np.float32)
        inputs[:, self._places] = self._cell.inputs(numbers)
        return inputs.reshape(len(records), -1)


class Neighbourhood:
    """The `Sense` of an agent. `exchange`: its notes to its neighbours. `reward`: eq. (10)."""

    def __init__(self, cell: LocalCell, settings: ExchangeSettings, vector: Padded, *, replicas: int) -> None:
        self.space, self.vector = vector.space, vector
        self._cell, self._settings, self._replicas = cell, settings, replicas
        neighbours = () if settings.neighbour_notes == "off" else cell.neighbours
        ends = cell.devices + np.cumsum([cell.neighbours[agent] for agent in neighbours], dtype=int)
        self._columns = {a: slice(end - cell.neighbours[a], end) for a, end in zip(neighbours, ends, strict=True)}
        self._notes = LatestNotes(NoteReader(Kind.NEIGHBOUR, self._columns, self.read), settings.max_age_slots)
        self._received: Mapping[int, NeighbourNote] = {}
        self._keeps_rows = False  # in the slot of the last exchange

    def record(self, turn: TurnContext) -> Records:
        """X_k, [E]."""
        self._notes.update(turn)
        self._received = dict(self._notes.at(turn.slot))
        record = self.space.empty(self._replicas)
        record["numbers"][:, : self._cell.devices] = _float16(self._cell.observe(turn.measurement))
        for agent, received in self._received.items():
            record["numbers"][:, self._columns[agent]] = received.numbers
        return record

    def exchange(self, turn: TurnContext) -> tuple[Note, ...]:
        """Read what came late; send all neighbours O_k, with the backlog as long as they have a row to complete."""
        self._notes.update(turn)
        completes = self._keeps_rows or turn.phase != "eval"
        self._keeps_rows = turn.phase != "eval"
        if turn.slot % self._settings.exchange_every_slots:
            return ()
        body = self._encoded(self._cell.observe(turn.measurement))
        if completes:
            body += np.minimum(self._cell.backlog(turn.measurement), _MAX_BACKLOG).astype("<f4").tobytes()
        return (broadcast(Kind.NEIGHBOUR, body),)

    def reward(self, measured: Records) -> tuple[Floats, Mask]:
        """R_k of the slot before this measurement, and whether all that it needs is known, [E]."""
        backlogs = [received.backlog for received in self._received.values() if received.backlog is not None]
        total = np.minimum(self._cell.backlog(measured), np.float32(_MAX_BACKLOG))
        for backlog in backlogs:
            total = total + backlog
        return -total, np.full(self._replicas, len(backlogs) == len(self._columns))

    def restart(self, replicas: Mask) -> None:
        if replicas.all():  # a note holds all replicas
            self._notes.clear()

    def snapshot(self) -> list[Any]:
        return [self._keeps_rows, self._notes.snapshot()]

    def restore(self, data: list[Any]) -> None:
        self._keeps_rows, notes = data
        self._notes.restore(notes)

    def _encoded(self, numbers: Floats) -> bytes:
        coded = _float16(numbers)
        if self._settings.neighbour_notes == "int8":
            low, high = self._cell.bounds.T
            coded = np.rint((np.clip(numbers, low, high) - low) / (high - low) * 255).astype(np.uint8)
        body: bytes = coded.tobytes()
        return body

    def read(self, note: ReceivedNote) -> NeighbourNote:
        """A neighbour's note. ValueError for another length, and for numbers that no neighbour can have measured."""
        devices, n_numbers = self._cell.neighbours[note.source], len(self._cell.bounds)
        size = self._replicas * devices * n_numbers * (1 if self._settings.neighbour_notes == "int8" else 2)
        if len(note.body) not in (size, size + 4 * self._replicas):
            raise ValueError(f"a note of {len(note.body)} bytes; expected {size}, or {4 * self._replicas} more")
        numbers = self._decoded(note.body[:size]).reshape(self._replicas, devices, n_numbers)
        if not (np.isfinite(numbers).all() and (numbers >= self._cell.bounds[:, 0]).all()):
            raise ValueError("a number is not finite, or too low")
        if len(note.body) == size:
            return NeighbourNote(numbers, None)
        backlog = np.frombuffer(note.body, "<f4", offset=size)
        if not ((backlog >= 0) & (backlog <= _MAX_BACKLOG)).all():
            raise ValueError(f"a backlog is not within 0 to {_MAX_BACKLOG:g}")
        return NeighbourNote(numbers, backlog)

    def _decoded(self, data: bytes) -> Floats:
        if self._settings.neighbour_notes != "int8":
            return np.frombuffer(data, "<f2").astype(np.float32)
        steps = np.frombuffer(data, np.uint8).reshape(-1, len(self._cell.bounds))
        low, high = self._cell.bounds.T
        return np.asarray(low + steps * (high - low) / 255, np.float32)


class NeighbourhoodReward:
    """The `Reward` of a `Neighbourhood`, which has read the notes of the turn that completes a row."""

    feedback = None

    def __init__(self, neighbourhood: Neighbourhood) -> None:
        self._neighbourhood = neighbourhood

    def of(self, _action: Records, measured: Records, _feedback: None) -> tuple[Floats, Mask]:
        return self._neighbourhood.reward(measured)


def _float16(numbers: Floats) -> Any:
    """Little-endian; larger numbers as the largest."""
    return np.clip(numbers, -_MAX_FLOAT16, _MAX_FLOAT16).astype("<f2")
