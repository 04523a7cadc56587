"""The action board: the last action of every agent, as records that a world reads without joining them first."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, assert_never, cast

import numpy as np

from channel_server.worlds.contract import World
from protocol.determinism.rng import CounterRng
from protocol.messages.episodes import Mask
from protocol.messages.plan import Fallback
from protocol.messages.spaces import Records, Space


class ActionRows:
    """One encoded action per agent in one buffer, written in place. `initial`: at first, and after `clear`."""

    def __init__(self, spaces: Sequence[Space], initial: Sequence[bytes]) -> None:
        ends = list(accumulate(map(len, initial), initial=0))
        self._rows = [slice(begin, end) for begin, end in pairwise(ends)]
        self._dtypes = [space.dtype for space in spaces]
        self._same_dtype = all(dtype == self._dtypes[0] for dtype in self._dtypes)
        self._initial = b"".join(initial)
        self.buffer = bytearray(self._initial)

    def write(self, node: int, action: bytes) -> None:
        """An agent's encoded action, of the length that its space has."""
        self.buffer[self._rows[node]] = action

    def read(self, node: int) -> bytes:
        """The encoded action of an agent."""
        return bytes(self.buffer[self._rows[node]])

    def clear(self) -> None:
        """Every agent has its initial action again."""
        self.buffer[:] = self._initial

    def restart(self, replicas: Mask) -> None:
        """In these replicas, [E], every agent has its initial action again."""
        if replicas.all():
            self.clear()
        else:
            for row, dtype in zip(self._rows, self._dtypes, strict=True):
                initial = np.frombuffer(self._initial[row], dtype)
                np.frombuffer(memoryview(self.buffer)[row], dtype)[replicas] = initial[replicas]

    def records(self) -> Sequence[Records]:
        """All actions by node, read-only: one array [N, E] if all have the same dtype, else one [E] per agent."""
        frozen = bytes(self.buffer)  # a copy, so that a world may keep views of it in its state
        if self._same_dtype:
            table = np.frombuffer(frozen, self._dtypes[0]).reshape(len(self._rows), -1)
            return cast(Sequence[Records], table)  # an array of rows is indexed and iterated like a sequence of them
        view = memoryview(frozen)
        return [np.frombuffer(view[row], dtype) for row, dtype in zip(self._rows, self._dtypes, strict=True)]


class ActionBoard:
    """`actions`: what each agent radiates in this slot; one that is not asked keeps its last action. `trial`: the
    actions of a probe turn.

    A node that is lost or misses its turn acts by the `fallback` of the run's plan: hold its last action, be silent, or
    act at random, at a position of the seed.
    """

    def __init__(self, world: World, fallback: Fallback, *, seed: int) -> None:
        self._world = world
        self._fallback = fallback
        agents = range(len(world.agents))
        self._silent = [world.silent(node).tobytes() for node in agents]
        self.actions = ActionRows(world.actions, self._silent)
        self.trial = ActionRows(world.actions, self._silent)
        self._random = [CounterRng(seed, "fallback", node) for node in agents]

    def fall_back(self, node: int, slot: int, turn: int) -> bytes:
        """Let the fallback act for a node; the encoded action."""
        match self._fallback:
            case "hold":
                pass
            case "silent":
                self.actions.write(node, self._silent[node])
            case "random":
                rng = self._random[node].at(slot, turn)
                self.actions.write(node, self._world.random(node, rng).tobytes())
            case _:
                assert_never(self._fallback)
        return self.actions.read(node)

    def take_trial(self) -> Sequence[Records]:
        """The actions of a probe turn, in which an agent that does not probe is silent; the next trial starts anew."""
        records = self.trial.records()
        self.trial.clear()
        return records

    def snapshot(self) -> dict[str, Any]:
        """The actions that are kept between two slots."""
        return {"actions": bytes(self.actions.buffer)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.actions.buffer[:] = data["actions"]
