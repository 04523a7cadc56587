"""What a node knows when it acts: its measurement and the notes it has received, as a record, and the record as a
network's input.

The same object serves a scheme's nodes, the learner that reads their histories, and environments for learners outside.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol

import numpy as np
import numpy.typing as npt

from protocol.messages.episodes import Mask
from protocol.messages.spaces import Records, Space
from schemes.contract import NodePolicy, TurnContext
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.note_reader import Content

Floats = npt.NDArray[np.float32]


class Vectoriser(Protocol):
    """Records [E] to float32 [E, inputs]."""

    @property
    def inputs(self) -> int: ...

    def __call__(self, records: Records, /) -> Floats: ...


class Sense(Protocol):
    """`space`: of the record, which is also the state in a row of the node's history. `vector`: of such records."""

    space: Space

    @property
    def vector(self) -> Vectoriser: ...

    def record(self, turn: TurnContext, /) -> Records:
        """What is known in this turn, [E]. To be called in every turn, because notes arrive in every turn."""
        ...

    def restart(self, replicas: Mask, /) -> None: ...
    def snapshot(self) -> list[Any]: ...
    def restore(self, data: list[Any], /) -> None: ...


class Measured:
    """A node knows what it measures, and nothing else. Stateless."""

    def __init__(self, space: Space, vector: Vectoriser) -> None:
        self.space, self.vector = space, vector

    def record(self, turn: TurnContext) -> Records:
        return turn.measurement

    def restart(self, replicas: Mask) -> None: ...

    def snapshot(self) -> list[Any]:
        return []

    def restore(self, data: list[Any]) -> None: ...


class MeasuredWithNotes(Generic[Content]):
    """A node knows what it measures and the newest note of each source.

    `combine(measurement, notes)`: the record [E] of `space`, from each source's content, as `LatestNotes.at` gives it.
    A note holds all replicas, so it is forgotten when new episodes begin in all of them.
    """

    def __init__(
        self,
        space: Space,
        vector: Vectoriser,
        notes: LatestNotes[Content],
        combine: Callable[[Records, Sequence[tuple[int, Content]]], Records],
    ) -> None:
        self.space, self.vector = space, vector
        self._notes, self._combine = notes, combine

    def record(self, turn: TurnContext) -> Records:
        self._notes.update(turn)
        return self._combine(turn.measurement, self._notes.at(turn.slot))

    def restart(self, replicas: Mask) -> None:
        if replicas.all():
            self._notes.clear()

    def snapshot(self) -> list[Any]:
        return self._notes.snapshot()

    def restore(self, data: list[Any]) -> None:
        self._notes.restore(data)


class SensingPolicy(NodePolicy):
    """A policy whose only state is what it senses."""

    def __init__(self, sense: Sense) -> None:
        self._sense = sense

    def restart(self, replicas: Mask) -> None:
        self._sense.restart(replicas)

    def snapshot(self) -> dict[str, Any]:
        return {"sense": self._sense.snapshot()}

    def restore(self, data: dict[str, Any]) -> None:
        self._sense.restore(data["sense"])


class Flattened:
    """All numbers of a record in a row, as they are."""

    def __init__(self, space: Space) -> None:
        self._names = [field.name for field in space.fields]
        self.inputs = sum(int(np.prod(field.shape, dtype=np.int64)) for field in space.fields)

    def __call__(self, records: Records) -> Floats:
        if not self._names:
            return np.zeros((len(records), 0), np.float32)
        columns = [records[name].reshape(len(records), -1).astype(np.float32) for name in self._names]
        return np.concatenate(columns, axis=1)
