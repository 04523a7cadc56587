"""Which replies are rejected although they come in turn: no content of a node's reply passes unchecked."""

from channel_server.relay import Relay
from channel_server.worlds.contract import World
from protocol.messages.choreography import Step
from protocol.messages.kinds import TRAINER
from protocol.messages.node import Reply

MAX_REPLY_BITS = 2**33  # of the air: sums over the longest run stay below 2**63


class ReplyChecks:
    """Checks a reply against its turn's step, the agent's action space for so many replicas, and the run's nodes."""

    def __init__(self, world: World, relay: Relay, replicas: int) -> None:
        self._agents = len(world.agents)
        self._relay = relay
        self._replicas = replicas
        self._action_checks = [space.checker(replicas) for space in world.actions]

    def fault(self, node: int, reply: Reply, step: Step) -> str:
        """Why a node's reply is rejected in a turn of this step, or ""."""
        if reply.action and (node >= self._agents or step not in ("act", "probe")):
            return "reply with an action out of turn"
        if reply.action and not self._action_checks[node](reply.action):
            return "reply with an action outside its space"
        if not reply.outbox:
            return ""
        if step == "close" and any(note.to != (TRAINER,) or node >= self._agents for note in reply.outbox):
            return "reply with a note after the last turn"
        if self._relay.routes.fault(node, reply.outbox):
            return "reply with a note to an unknown destination"
        if not self._relay.held.have_room(node, reply.outbox):
            return "reply with more notes than its links can hold"
        # all bytes of a frame are fewer bits than that: it takes a note that states its bits itself
        stated = [note for note in reply.outbox if note.payload_bits is not None]
        if stated and sum([note.charged_bits(self._replicas) for note in reply.outbox]) > MAX_REPLY_BITS:
            return "reply with notes of too many bits"
        return ""
