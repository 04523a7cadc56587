"""The trainer's `join`: from the agents' history notes to the data of its learner, or of one learner per agent."""

from typing import Any

from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from schemes.contract import AgentLearners, Join, Learner, TurnContext
from schemes.parts.history import HistoryChunk
from schemes.parts.joiner import Joiner
from schemes.parts.note_reader import NoteReader

_MAX_RESENDS = 10  # transmissions of a history that a slot waits for
_MIN_TIMEOUT_SLOTS = 20  # histories of agents that upload in every slot may lie as far apart, as they queue


def timeout_slots(join: Join, resend_after_slots: int) -> int:
    """How long a slot waits for missing rows: as long as two uploads and the resends of one take."""
    return max(2 * join.max_upload_interval_slots + _MAX_RESENDS * resend_after_slots, _MIN_TIMEOUT_SLOTS)


class JoinedHistories:
    """Joins histories, gives the learner its data, and knows whether there is something new to learn from.

    A slot waits `timeout_slots` for missing rows; then it is learnt from without them. With `join.how` "alone" or
    "pooled", no agent's rows wait for another's. `learners`: one, or one per agent.
    """

    def __init__(self, welcome: Welcome, join: Join, learner: Learner) -> None:
        agents = range(welcome.agents)
        groups = [tuple(agents)] if join.how == "together" else [(agent,) for agent in agents]
        timeout = timeout_slots(join, welcome.resend_after_slots)
        self._joiners = [
            Joiner([join.layouts[a] for a in group], agents=group, timeout_slots=timeout) for group in groups
        ]
        self._join = join
        self.learners = _agent_learners(welcome, learner) if join.how == "alone" else [learner]
        self._reader = NoteReader(Kind.HISTORY, agents, self._read)
        self._fresh: set[int] = set()  # the learners that have new data

    def add(self, turn: TurnContext) -> None:
        """Join the histories of the inbox, and give the learner what is ready."""
        for received, chunk in turn.read(self._reader):
            self._joiner(received.source).add(received.source, chunk)
        for i, joiner in enumerate(self._joiners):
            for joint in joiner.take():
                index = i if self._join.how == "alone" else 0
                self.learners[index].add(self._join.to_data(joint))
                self._fresh.add(index)

    def take_fresh(self) -> list[Learner]:
        """The learners that have got data since the last call."""
        fresh, self._fresh = sorted(self._fresh), set()
        return [self.learners[i] for i in fresh]

    @property
    def counts(self) -> dict[str, float]:
        """How many rows were masked or dropped; without those that were not."""
        masked = sum(joiner.masked for joiner in self._joiners)
        dropped = sum(joiner.dropped for joiner in self._joiners)
        return {name: number for name, number in (("rows_masked", masked), ("rows_dropped", dropped)) if number}

    def snapshot(self) -> dict[str, Any]:
        """Rows of slots that wait for others, and which learners have new data. Learners are saved elsewhere."""
        return {"joiners": [joiner.snapshot() for joiner in self._joiners], "fresh": sorted(self._fresh)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        for joiner, saved in zip(self._joiners, data["joiners"], strict=True):
            joiner.restore(saved)
        self._fresh = set(data["fresh"])

    def _read(self, note: ReceivedNote) -> HistoryChunk:
        return self._joiner(note.source).read(note)

    def _joiner(self, agent: int) -> Joiner:
        return self._joiners[0 if self._join.how == "together" else agent]


def _agent_learners(welcome: Welcome, learner: Learner) -> list[Learner]:
    if not isinstance(learner, AgentLearners):
        raise ValueError(f"{welcome.scheme} joins rows alone: its learner must have a learner per agent: Independent")
    return [learner.of(agent) for agent in range(welcome.agents)]
