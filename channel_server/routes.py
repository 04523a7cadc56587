"""Who receives a note, and the class of link that it crosses."""

from collections.abc import Callable, Iterable, Sequence

from protocol.messages.kinds import NEIGHBOURS, TRAINER, CloudLink, LinkClass, cloud_link_classes
from protocol.messages.node import Note

Neighbours = Callable[[], Sequence[tuple[int, ...]]]


class Routes:
    """The ways between `agents` agents, the trainer (index `agents`) and the infrastructure, which comes after it.

    `agent_link`: the class of links between agents. `cloud_link`: what lies between them and the BS/cloud, to which
    the trainer belongs and, unless its notes name their link, the infrastructure.
    """

    def __init__(self, agents: int, agent_link: LinkClass, cloud_link: CloudLink, *, has_trainer: bool) -> None:
        self.trainer = agents
        self._nodes = agents + has_trainer
        self._agent_link = agent_link
        self._to_cloud, self._from_cloud = cloud_link_classes(cloud_link)

    def route(self, note: Note, source: int, neighbours: Neighbours) -> tuple[tuple[int, ...], LinkClass]:
        """The node indices that a note's destination stands for, and the class of link that it crosses."""
        to = note.to
        if to == (NEIGHBOURS,):
            to = tuple(neighbours()[source])
        elif to == (TRAINER,):
            to = (self.trainer,)
        return to, self.link(source, to) if note.link is None else note.link

    def link(self, source: int, to: tuple[int, ...]) -> LinkClass:
        """The class that the world gives to links from a source to these receivers."""
        if source >= self.trainer:
            return self._from_cloud
        return self._to_cloud if self.trainer in to else self._agent_link

    def fault(self, source: int, notes: Iterable[Note]) -> str:
        """Why these notes cannot be relayed, or ""."""
        for note in notes:
            if reason := self._fault(source, note):
                return f"a {note.kind.name.lower()} note {reason}"
        return ""

    def _fault(self, source: int, note: Note) -> str:
        if note.payload_bits is not None and note.payload_bits < 0:
            return "of negative bits"
        if source == self.trainer and min(note.to, default=0) < 0:
            return "from the trainer to a destination that only agents can use"
        if note.to == (TRAINER,):
            return "" if self._nodes > self.trainer else "to the trainer of a run that has none"
        if note.to == (NEIGHBOURS,):
            return ""
        to = note.to
        known = to and min(to) >= 0 and max(to) < self._nodes and source not in to and len(set(to)) == len(to)
        return "" if known else "to an unknown destination"
