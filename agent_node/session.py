"""A node's conversation with the channel server: Hello, Welcome or Refused, turns and replies, its state, Bye."""

import traceback

from agent_node.core import BuildPolicy, Node
from protocol.determinism.fingerprint import fingerprint
from protocol.determinism.snapshots import pack, parts, unpack
from protocol.messages.node import PROTOCOL_VERSION, Bye, Hello, Message, Refused, Restore, Save, Saved, Turn, Welcome


class Session:
    """`over`: the conversation has ended; `failure`: why the node failed, "" if it did not."""

    def __init__(self, run_id: str, name: str, build: BuildPolicy) -> None:
        self._run_id = run_id
        self._name = name
        self._build = build
        self.node: Node | None = None
        self.over = False
        self.failure = ""
        self._state: list[bytes] = []  # the parts of a state that is being restored, as they come

    def hello(self) -> Hello:
        """The first message."""
        return Hello(PROTOCOL_VERSION, self._run_id, self._name, fingerprint())

    def handle(self, message: Message) -> list[Message]:
        """Take a message from the channel server; returns the messages to send back."""
        if type(message) is Turn and self.node is not None:
            try:
                return [self.node.turn(message)]
            except Exception as error:
                return self._fail(error)
        match message:
            case Turn():
                return self._end("received a Turn before the Welcome")
            case Welcome():
                return self._welcome(message)
            case Restore():
                return self._restore(message)
            case Save(slot):
                return self._save(slot)
            case Refused(reason):
                return self._end(f"refused: {reason}")
            case Bye():
                self._end("")
                return [Bye("goodbye")]
            case _:
                return []

    def _welcome(self, welcome: Welcome) -> list[Message]:
        try:
            self.node = Node(welcome, self._build)
        except Exception as error:
            return self._fail(error)
        return []

    def _restore(self, part: Restore) -> list[Message]:
        self._state.append(part.data)
        if self.node is not None and not part.more:
            try:
                self.node.restore(unpack(b"".join(self._state)))
            except Exception as error:
                return self._fail(error)
            self._state.clear()
        return []

    def _save(self, slot: int) -> list[Message]:
        if self.node is None:
            return self._end("received a Save before the Welcome")
        try:
            return [Saved(slot, data, more) for data, more in parts(pack(self.node.snapshot()))]
        except Exception as error:
            return self._fail(error)

    def _fail(self, error: Exception) -> list[Message]:
        """An exception in a policy ends the run, wherever the node lives; the reason names the line of code."""
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = "/".join(last.filename.rsplit("/", 3)[1:])
        self._end(f"{type(error).__name__}: {error} ({where}:{last.lineno})")
        return [Bye("", self.failure)]

    def _end(self, failure: str) -> list[Message]:
        self.over = True
        self.failure = failure
        return []
