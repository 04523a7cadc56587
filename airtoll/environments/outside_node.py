"""A node whose action is chosen outside: it takes part in a run like any other, but its act turn waits for a caller."""

from agent_node.core import OpenTurn, agent_policy
from agent_node.session import Session
from protocol.messages.node import Message, Reply, Turn, Welcome
from protocol.messages.spaces import Records
from schemes.contract import NodePolicy, TurnContext, TurnOutput


class OutsideNode(Session):
    """The conversation of a node that reads its act turn and leaves the action to `act`.

    All its other turns are answered by the scheme's own policy: it reports, exchanges and probes as the scheme's nodes
    do. `turn`: the last act turn, or the closing turn once the run is over. `welcome`: what it knows of its run.
    """

    def __init__(self, run_id: str, name: str) -> None:
        super().__init__(run_id, name, reporter)
        self.welcome: Welcome | None = None
        self._opened: OpenTurn | None = None

    @property
    def turn(self) -> TurnContext:
        """RuntimeError before the first act turn."""
        if self._opened is None:
            raise RuntimeError("this node has not been asked to act yet")
        return self._opened.context

    def handle(self, message: Message) -> list[Message]:
        """Take a message from the channel server; the answer to an act turn is given by `act`."""
        if type(message) is Welcome:
            self.welcome = message
        if type(message) is not Turn or self.node is None:
            return super().handle(message)
        opened = self.node.open(message)
        if opened.context.step in ("act", "close"):
            self._opened = opened
        return [] if opened.context.step == "act" else [self.node.answer(opened)]

    def check(self, action: Records | None) -> None:
        """Before `act`, which the node cannot take back: ValueError if the action [E] lies outside its space;
        RuntimeError before the first act turn."""
        if self.node is None or self._opened is None:
            raise RuntimeError("this node has not been asked to act yet")
        self.node.check(action)

    def act(self, action: Records | None) -> Reply:
        """The reply to the act turn; None keeps the last action. ValueError if the action [E] lies outside its space;
        RuntimeError before the first act turn."""
        if self.node is None or self._opened is None:
            raise RuntimeError("this node has not been asked to act yet")
        return self.node.reply(self._opened, TurnOutput(action))


def reporter(welcome: Welcome) -> NodePolicy:
    """What answers the turns besides the act turn: the scheme's policy, or nothing if there are no such turns."""
    steps = {spec.step for spec in welcome.choreography.turns if spec.who == "agents"}
    return agent_policy(welcome) if steps > {"act"} else NodePolicy()
