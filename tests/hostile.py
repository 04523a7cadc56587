"""A seated node that lies: besides its own replies it sends whatever comes to its mind, in every field."""

import random
from collections.abc import Callable
from typing import Any

from msgspec import structs

from agent_node.session import Session
from channel_server.waiting import Waiting
from controller.execution.building import build_world
from controller.execution.in_process import Loopback
from protocol.messages.choreography import CLOSING
from protocol.messages.kinds import NEIGHBOURS, TRAINER, Kind, LinkClass
from protocol.messages.node import Hello, Message, Note, Reply, Report, Saved, Turn, Unread
from protocol.messages.plan import RunPlan
from tests.channel_server.playing import played, recorded, time_out
from tests.recording import Checkpointed

_NUMBERS = (0, 1, -1, 255, 2**31, 2**32 - 1, 2**63, -(2**63))
_NOWHERE = ((), (0, 0), (-3,), (99,), (-1, 0))
_FALSE_REPORT = Report({"loss": float("nan")}, [Unread(0, Kind.CSI, 1, "a\u2028b\x00"), Unread(99, Kind.CSI, 1, "")])


class Liar(Session):
    """The session of an agent that adds lies to what its policy sends.

    With the probability `mute` a reply is replaced by one that is rejected. `can_send`: whether the channel server
    relays a note of this agent, without which its whole reply would be rejected.
    """

    def __init__(self, session: Session, rng: random.Random, can_send: Callable[[Note], bool], *, mute: float) -> None:
        self.__dict__ |= session.__dict__
        self._rng, self._can_send, self._mute = rng, can_send, mute
        self._bodies = [b""]  # of notes that it received or sent: the truth, to be twisted

    def handle(self, message: Message) -> list[Any]:
        answers: list[Any] = super().handle(message)
        if not (isinstance(message, Turn) and answers and isinstance(answers[0], Reply)):
            return answers
        [reply] = answers
        self._bodies = [*self._bodies, *(note.body for note in [*message.inbox, *reply.outbox])][-50:]
        lies = [self._frame(reply) for _ in range(self._rng.randrange(3))]
        return [*lies, reply if message.spec == CLOSING else self._twisted(reply)]

    def _twisted(self, reply: Reply) -> Reply:
        """A reply that is taken, unless this agent is mute."""
        rng = self._rng
        if rng.random() < self._mute:
            return structs.replace(reply, action=rng.randbytes(3))
        own = reply.outbox if reply.slot % 7 else []  # now and then it keeps its notes to itself
        lies = [note for note in (self._note() for _ in range(rng.randrange(6))) if self._can_send(note)]
        return structs.replace(reply, outbox=[*lies, *own], report=rng.choice((None, reply.report, _FALSE_REPORT)))

    def _frame(self, reply: Reply) -> Any:
        """Something that is rejected."""
        rng, note, number = self._rng, self._note(), self._rng.choice(_NUMBERS)
        return rng.choice(
            (
                structs.replace(reply, slot=reply.slot + rng.choice((-1, 1, 2**40))),
                structs.replace(reply, turn=reply.turn + 1),
                structs.replace(reply, action=rng.randbytes(rng.choice((1, 3, 500)))),
                structs.replace(reply, outbox=[structs.replace(note, to=rng.choice(_NOWHERE))]),
                structs.replace(reply, outbox=[structs.replace(note, attempt=-1)]),
                structs.replace(reply, outbox=[structs.replace(note, sequence=2**40)]),
                structs.replace(reply, report=Report({}, [Unread(number, note.kind, -1, "")])),
                Saved(reply.slot, rng.randbytes(9)),
                Hello(3, "test", "pair-0", {}),
                [5, number, number, note.body, [[number]]],
                rng.randbytes(20),
                None,
            )
        )

    def _note(self) -> Note:
        rng = self._rng
        to = rng.choice(((NEIGHBOURS,), (TRAINER,), (rng.randrange(8),)))
        sequence = rng.choice((None, None, rng.randrange(2000), 2**32 - 1))
        bits = rng.choice((None, None, 0, 2**20))
        return Note(to, rng.choice(list(Kind)), self._body(), bits, rng.choice((None, *LinkClass)), 1, sequence)

    def _body(self) -> bytes:
        """Noise, or the truth cut short, lengthened, changed or told again."""
        rng = self._rng
        body = bytearray(rng.choice(self._bodies))
        match rng.randrange(5):
            case 0:
                return rng.randbytes(rng.choice((1, 3, 11, 4000)))
            case 1:
                return bytes(body[: rng.randrange(len(body) + 1)])
            case 2:
                return bytes(body) + b"\xff"
            case 3 if body:
                for _ in range(rng.choice((1, 4, 40))):
                    body[rng.randrange(len(body))] = rng.choice((0, 0x7F, 0xFF, rng.randrange(256)))
        return bytes(body)


def play_with_liar(plan: RunPlan, liar: str, seed: int, *, mute: float = 0.0) -> tuple[Checkpointed, Loopback]:
    """A run in this process in which one agent lies. When its replies are rejected it is lost, and comes back."""
    loopback, rng = Loopback(plan, build_world(plan)), random.Random(seed)
    relay, index, peer, joined = loopback.run.state.relay, loopback.run.names.index(liar), liar.encode(), 0
    loopback.seat_all()
    while loopback.run.waiting is not Waiting.NOTHING:
        if not isinstance(loopback.sessions[peer], Liar):
            honest = loopback.sessions[peer]
            loopback.sessions[peer] = Liar(honest, rng, lambda note: not relay.routes.fault(index, [note]), mute=mute)
        for _ in played(loopback):
            pass
        if loopback.run.waiting is Waiting.REPLIES:
            assert loopback.run.awaited == [liar]
            time_out(loopback)
            joined += 1
            peer = f"{liar} {joined}".encode()
            loopback.join(peer, liar)
    return recorded(loopback), loopback
