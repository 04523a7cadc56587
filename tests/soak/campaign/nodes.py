"""Lying and mute nodes: a process of ours takes the seat of an agent, plays its policy, and lies for a while."""

import csv
import json
import math
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import NamedTuple

import zmq
from msgspec.structs import replace

from agent_node.core import agent_policy
from agent_node.session import Session
from protocol.messages.codec import decode_for_node, encode
from protocol.messages.kinds import Kind
from protocol.messages.node import PROTOCOL_VERSION, Hello, Message, Note, Reply, Report, Saved, Turn, Unread
from protocol.messages.pool import ROLES, Assignment, Heartbeat
from protocol.messages.pool import encode as encode_for_pool
from protocol.transports.curve import lock_client
from protocol.transports.keys import Keys
from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import API, Scene
from tests.soak.campaign.works import Work
from tests.soak.mutation import mutated

HOSTILE_NAMES = (
    *(
        "\u2028",
        "\x85",
        "a\nb",
        "a\r\nSet-Cookie: x",
        "\x1c",
        "\x1b[2J",
        "<script>alert(1)</script>",
        "x" * 200,
        "\u202eabc",
    ),
    *("", " ", "\0", "../../etc", "pair-0", "'; DROP TABLE runs;--", '"}', "\ud7ff", "\U0010ffff", "%s%n", "\ufeff"),
)
_LINE_BREAKS = ("\u2028", "\x85", "\x1c")  # of str.splitlines, and of no file's reader
_LYING_TURNS = 20
_PLAYS_WITHIN_S = 150.0
_ANSWERS_WITHIN_MS = 60_000  # a trainer that loads torch on a busy machine holds up everybody
_VICTIM = "pair-1"
_LEARNING = {"phases": {"warmup": 50, "train": 900, "eval": 50}}
_LEARNS_UNTIL_SLOT = 900
_LEARNS_AGAIN_SLOTS = 300  # after the first lie; the last lie comes 100 slots after it, in the 20th history
_Frames = list[list[bytes]]
_MakeFrames = Callable[[Turn, list[Message], Random], _Frames]


class Lie(NamedTuple):
    """What a lying node sends in place of its honest replies to a turn."""

    frames: _MakeFrames
    needs_histories: bool = False


def lying_node(scene: Scene, rng: Draw) -> str:
    """An agent of ours lies; the run must succeed, lose nobody else, and go on learning."""
    name = rng.variant(sorted(LIES))
    learns = LIES[name].needs_histories or rng.random() < 0.3
    settings = _LEARNING if learns else {"slots": 3000}
    [work] = scene.begin("learning" if learns else "processes", on_node_loss={"lost_after_s": 4}, **settings)
    work.same_trace = False
    lied_at = _play(scene, work, LIES[name], rng)
    if lied_at < 0:
        return f"{name}: the seat was not to be had"
    scene.until(lambda: scene.ended(work), 60)
    _judge(scene, work, name, lied_at if learns else 0)
    return f"{name} from slot {lied_at} of a {work.name} run"


def hostile_workers(scene: Scene, rng: Draw) -> str:
    """Workers, and guests of a run, with hostile names, hosts and fingerprints."""
    names = [rng.choice(HOSTILE_NAMES) for _ in range(10)]
    with zmq.Context() as context:
        pool = [_client(context, scene.pool, scene) for _ in names]
        for socket, name in zip(pool, names, strict=True):
            scene.ledger.count("bad inputs")
            beat = _heartbeat(name, rng)
            socket.send(encode_for_pool(beat))
        for work in scene.works:
            _greet(context, scene, work, rng)
        time.sleep(1.0)
        for path in (f"{API}/nodes", "/metrics", *(f"{API}/nodes?run={work.id}" for work in scene.works)):
            answer = scene.request("GET", path)
            if answer.status != 200:
                scene.broke(f"GET {path.partition('?')[0]} answers {answer.status}: {answer.body[:150]!r}")
        for socket in pool:
            socket.close(0)
    scene.until(lambda: b'"w' not in scene.request("GET", f"{API}/nodes").body, 15)  # the workers count as dead
    return f"names {names}"


def _heartbeat(name: str, rng: Random) -> Heartbeat:
    """An honest heartbeat but for a name somewhere."""
    fields = {"worker": f"w{rng.random()}", "name": "w", "host": "h", "run": ""}
    fields[rng.choice(sorted(fields))] = name
    leases = {name: Assignment(name, name)} if fields["run"] else {}
    return Heartbeat(
        PROTOCOL_VERSION,
        fields["worker"],
        rng.choice(ROLES),
        fields["name"],
        fields["host"],
        rng.choice((-1, 0, 2**40)),
        1,
        {name: name} if rng.random() < 0.3 else {},
        leases,
    )


def _greet(context: "zmq.Context[zmq.Socket[bytes]]", scene: Scene, work: Work, rng: Random) -> None:
    """Say Hello to a run with hostile names."""
    with suppress(OSError, KeyError, ValueError), context.socket(zmq.DEALER) as guest:
        guest.setsockopt(zmq.LINGER, 500)
        guest.connect(json.loads((scene.run_folder(work) / "meta.json").read_text())["endpoint"])
        for name in (*_LINE_BREAKS, *rng.sample(HOSTILE_NAMES, 3)):
            hello = Hello(PROTOCOL_VERSION, rng.choice((work.id, name)), rng.choice((name, "pair-0")), {name: name})
            guest.send(encode(hello))
            scene.ledger.count("bad inputs")


def _client(context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, scene: Scene) -> "zmq.Socket[bytes]":
    """A connection that the pool accepts: with a worker's keys where there are any."""
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 500)
    if scene.key_folders is not None:
        lock_client(socket, Keys.read(scene.key_folders[1]).client())
    socket.connect(endpoint)
    return socket


def _play(scene: Scene, work: Work, lie: Lie, rng: Random) -> int:
    """Take the seat, lie for some turns, then be honest to the end; the slot of the first lie, or -1."""
    victims = [process for process in scene.processes_of(work) if process.name() == _VICTIM]
    if not victims:
        return -1
    endpoint = json.loads((scene.run_folder(work) / "meta.json").read_text())["endpoint"]
    victims[0].kill()
    session, turns, lied_at = Session(work.id, _VICTIM, agent_policy), 0, -1
    deadline = time.monotonic() + _PLAYS_WITHIN_S
    with zmq.Context() as context, context.socket(zmq.DEALER) as server:
        server.setsockopt(zmq.LINGER, 0)
        server.connect(endpoint)
        server.send(encode(session.hello()))
        while not session.over and time.monotonic() < deadline and server.poll(_ANSWERS_WITHIN_MS):
            message = decode_for_node(server.recv())
            replies = session.handle(message)
            if session.failure.startswith("refused"):  # the seat is not free yet
                time.sleep(0.1)
                session = Session(work.id, _VICTIM, agent_policy)
                server.send(encode(session.hello()))
            elif isinstance(message, Turn) and turns < _LYING_TURNS and (frames := lie.frames(message, replies, rng)):
                turns += 1
                lied_at = message.slot if lied_at < 0 else lied_at
                scene.ledger.count("bad inputs", len(frames))
                for parts in frames:
                    server.send_multipart(parts)
            else:
                for reply in replies:
                    server.send(encode(reply))
    return lied_at


def _judge(scene: Scene, work: Work, lie: str, lied_at: int) -> None:
    """Nobody else is lost; a run that learns has learnt after the lies, if its trainer joins everybody's histories."""
    folder = scene.run_folder(work)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    if others := {event["node"] for event in events if event["event"] == "lost"} - {_VICTIM}:
        scene.broke(f"{lie}: also lost {', '.join(sorted(others))}")
    if lied_at and LIES[lie].needs_histories and lied_at + _LEARNS_AGAIN_SLOTS < _LEARNS_UNTIL_SLOT:
        losses = [value for slot, value in _critic_losses(scene, work) if slot > lied_at + _LEARNS_AGAIN_SLOTS]
        if not losses:
            scene.broke(f"{lie} at slot {lied_at}: nobody learns any more")
        elif not math.isfinite(losses[-1]):
            scene.broke(f"{lie} at slot {lied_at}: the critics' loss is {losses[-1]} at the end")


def _critic_losses(scene: Scene, work: Work) -> list[tuple[int, float]]:
    """The trainer's losses by slot; none if it has never learnt."""
    file = scene.run_folder(work) / "scalars.csv"
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines())) if file.exists() else []
    return [(int(row["slot"]), float(row["value"])) for row in rows if row["name"] == "critic_loss"]


def _encoded(*messages: Message) -> _Frames:
    return [[encode(message)] for message in messages]


def _history(change: Callable[[bytes, Random], bytes]) -> _MakeFrames:
    """Changes the histories of a reply; nothing to lie about in a turn without."""

    def frames(_turn: Turn, replies: list[Message], rng: Random) -> _Frames:
        changed = [_with_history(reply, change, rng) for reply in replies]
        return _encoded(*changed) if changed != replies else []

    return frames


def _eleven_bytes(_body: bytes, rng: Random) -> bytes:
    return struct.pack("<IHB", 4_000_000_000, 0, 1) + rng.randbytes(4)


def _with_history(message: Message, change: Callable[[bytes, Random], bytes], rng: Random) -> Message:
    if not isinstance(message, Reply):
        return message
    outbox = [
        replace(note, body=change(note.body, rng)) if note.kind is Kind.HISTORY else note for note in message.outbox
    ]
    return replace(message, outbox=outbox)


def _reply(change: Callable[[Reply, Random], Reply]) -> _MakeFrames:
    """Changes the reply."""

    def frames(_turn: Turn, replies: list[Message], rng: Random) -> _Frames:
        return _encoded(*(change(each, rng) if isinstance(each, Reply) else each for each in replies))

    return frames


def _in_addition(
    make: Callable[[Turn, Random], Iterator[list[bytes]]],
) -> _MakeFrames:
    """Sends more than the honest replies, before them."""

    def frames(turn: Turn, replies: list[Message], rng: Random) -> _Frames:
        return [*make(turn, rng), *_encoded(*replies)]

    return frames


def _note(reply: Reply, rng: Random) -> Reply:
    """A reply with an implausible note."""
    to = rng.choice(((10_000,), (0, 0), (-1,), (-3,), (1,), ()))
    note = Note(
        to,
        rng.choice(list(Kind)),
        rng.randbytes(rng.choice((0, 3, 1000, 100_000))),
        payload_bits=rng.choice((None, 0, 2**60, -5)),
        attempt=rng.choice((1, 0, -1, 2**31)),
        sequence=rng.choice((None, 0, 2**32 - 1)),
    )
    return replace(reply, outbox=[*reply.outbox, note])


def _report(reply: Reply, rng: Random) -> Reply:
    """A reply with a report of what no file can hold, and of notes that nobody sent."""
    value = rng.choice((float("nan"), float("inf"), -1e308, 0.0))
    unread = [Unread(rng.choice((0, -1, 10_000)), Kind.HISTORY, 2**16, rng.choice(HOSTILE_NAMES)[:100])]
    return replace(reply, report=Report({rng.choice(HOSTILE_NAMES): value, "finite": 1.0}, unread))


def _flood(reply: Reply, rng: Random) -> Reply:
    """A reply with a report of more scalars than one may have."""
    return replace(reply, report=Report({f"name {rng.random()}": 1.0 for _ in range(5000)}))


def _states(turn: Turn, rng: Random) -> Iterator[list[bytes]]:
    yield [encode(Saved(turn.slot, rng.randbytes(1000), more=rng.random() < 0.5))]


def _hellos(_turn: Turn, rng: Random) -> Iterator[list[bytes]]:
    for name in ("pair-0", "trainer", _VICTIM, "bs", rng.choice(HOSTILE_NAMES)):
        yield [encode(Hello(PROTOCOL_VERSION, "another", name, {}))]


def _mutations(_turn: Turn, rng: Random) -> Iterator[list[bytes]]:
    frames = [rng.randbytes(30), b"\x95\x05\x00\x00\xc4\x00\x90", b"\x93\x07\x00\x80"]
    for _ in range(10):
        parts = mutated(frames, rng)
        if parts != [b""] and not parts[0].startswith((b"\x93\x06", b"\x95\x05")):
            yield parts


LIES: dict[str, Lie] = {
    "history of slot 4,000,000,000": Lie(_history(lambda body, _: struct.pack("<I", 4_000_000_000) + body[4:]), True),
    "history of 3 bytes": Lie(_history(lambda body, _: body[:3]), True),
    "history of 11 bytes": Lie(_history(_eleven_bytes), True),
    "history of noise": Lie(_history(lambda body, rng: body[:7] + rng.randbytes(len(body) - 7)), True),
    "history of NaN": Lie(_history(lambda body, _: body[:7] + b"\xff" * (len(body) - 7)), True),
    "history of ever more rows": Lie(_history(lambda body, _: body[:4] + b"\xff\xff" + body[6:]), True),
    "action out of range": Lie(_reply(lambda reply, _: replace(reply, action=b"\xff" * len(reply.action)))),
    "action of another length": Lie(_reply(lambda reply, rng: replace(reply, action=rng.randbytes(9)))),
    "reply to another slot": Lie(_reply(lambda reply, _: replace(reply, slot=reply.slot + 10**6))),
    "implausible notes": Lie(_reply(_note)),
    "hostile reports": Lie(_reply(_report)),
    "a flood of reports": Lie(_reply(_flood)),
    "states that nobody asked for": Lie(_in_addition(_states)),
    "other names": Lie(_in_addition(_hellos)),
    "mutated frames": Lie(_in_addition(_mutations)),
    "silence": Lie(lambda _turn, _replies, _rng: [[b"\xc0"]]),
}
