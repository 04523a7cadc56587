"""docs/protocol.md and docs/a-node-of-your-own.md against the code: fields, reasons, random numbers, live runs."""

import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
import pytest

import channel_server.checkpointing
import channel_server.core
import channel_server.edge
import channel_server.gate
import channel_server.reply_checks
import protocol.messages.codec
from controller.config.formats import parse_yaml
from controller.execution.machine import Process
from controller.execution.processes import NodeProcesses
from protocol.accounting.trace import TraceField
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import CLOSING, Choreography, TurnSpec
from protocol.messages.kinds import NEIGHBOURS, TRAINER, Kind, LinkClass
from protocol.messages.node import (
    PROTOCOL_VERSION,
    Bye,
    Hello,
    NodeSpaces,
    Note,
    ReceivedNote,
    Refused,
    Reply,
    Report,
    Restore,
    Save,
    Saved,
    Turn,
    Unread,
    Welcome,
)
from protocol.messages.plan import RunPlan
from protocol.messages.spaces import Field, Space
from tests.docs.pages import block, page, states, table
from tests.recording import Recording, plan_for

PAGE, NODE_PAGE = "protocol.md", "a-node-of-your-own.md"
BS = 3  # beside two pairs and the trainer


def test_every_message_has_the_listed_fields_in_order() -> None:
    tags = {row[0]: int(row[1]) for row in table(PAGE, "message")}
    for message in (Hello, Welcome, Refused, Turn, Reply, Bye, Save, Saved, Restore):
        assert tags[message.__name__] == message.__struct_config__.tag
        assert _listed_fields(message.__name__) == list(message.__struct_fields__)
    for part in (ReceivedNote, Note, Report, Unread, Choreography, TurnSpec, NodeSpaces, Space, Field):
        assert _listed_fields(part.__name__) == list(part.__struct_fields__)


def _listed_fields(name: str) -> list[str]:
    [line] = [line for line in page(PAGE).splitlines() if line.startswith(f"| {name} |")]
    return re.findall(r"`(\w+)`", line.rsplit(" | ", 1)[-1])


def test_the_numbers_of_the_protocol_are_listed() -> None:
    meaning = {row[0]: row[1] for row in table(PAGE, "number")}
    assert meaning["kind"] == ", ".join(f"{kind.value} {kind.name.lower()}" for kind in Kind)
    assert meaning["link"].startswith(", ".join(f"{link.value} {link.name.lower()}" for link in LinkClass))
    assert (CLOSING, NEIGHBOURS, TRAINER) == (255, -1, -2)
    assert states(PAGE, f"protocol version {PROTOCOL_VERSION}")


@pytest.mark.parametrize(
    "module",
    [
        protocol.messages.codec,
        channel_server.checkpointing,
        channel_server.core,
        channel_server.edge,
        channel_server.gate,
        channel_server.reply_checks,
    ],
)
def test_every_reason_to_drop_a_frame_is_listed(module: object) -> None:
    source = Path(str(module.__file__)).read_text("utf-8")  # type: ignore[attr-defined]
    reasons = set(re.findall(r'"((?:[a-z-]+ )*(?:reply|frame|Hello|state)(?: [a-z ]+)?)"', source))
    assert reasons
    assert reasons <= {row[0] for row in table(PAGE, "dropped as")}


@pytest.mark.parametrize("place", [(1, "node", 0, 0, 0), (7, "fading", 3, 5, 1), (2**63 - 1, "drop", 9, 8, 2)])
def test_the_numbers_drawn_at_a_position(place: tuple[int, str, int, int, int]) -> None:
    philox: dict[str, object] = {}
    exec(block(PAGE, "# philox.py"), philox)
    words, uniform = philox["block"], philox["uniform"]
    assert callable(words)
    assert callable(uniform)
    drawn = [uniform(word) for number in range(2) for word in words(*place, number)]
    seed, purpose, node, slot, turn = place
    assert drawn == CounterRng(seed, purpose, node).at(slot, turn).random(8).tolist()


class _Guested(NodeProcesses):
    """A live run in which the page's node takes the seat of pair-1."""

    guest: subprocess.Popen[bytes] | None = None

    def __init__(self, plan: RunPlan, script: Path) -> None:
        super().__init__(plan)
        self._script = script

    def start_node(self, name: str) -> Process:
        if name != "pair-1":
            return super().start_node(name)
        command = [sys.executable, str(self._script), self.endpoint, self.plan.run_id, name]
        self.guest = subprocess.Popen(command)
        return self.channel


def test_the_plain_node_follows_its_rule_in_a_live_run(tmp_path: Path) -> None:
    guests = parse_yaml(block(NODE_PAGE, "# guests.yaml"))
    plan = plan_for("li2020/sla", guests["world"], slots=200, record={"values": True})
    recording = Recording()
    processes = _Guested(plan, _script(tmp_path, "node.py"))
    with processes:
        while recording.ended is None:
            telemetry = processes.receive()
            if telemetry is not None:
                recording(telemetry)
    assert processes.guest is not None
    assert processes.guest.wait(10) == 0
    assert (recording.ended.state, recording.ended.dropped) == ("SUCCEEDED", {})
    outages = _outages_of(1, recording)
    rb = np.cumsum([0, *outages[:-1]]) % guests["world"]["rbs"]
    assert any(outages), "without an outage the rule is not tested"
    assert _actions_of(1, recording) == rb.tolist()


def _actions_of(node: int, recording: Recording) -> list[int]:
    values = [v for _, _, who, field, v in recording.values if who == node and field == TraceField.ACTION]
    rb: list[int] = np.frombuffer(b"".join(values), "<i2").tolist()
    return rb


def _outages_of(node: int, recording: Recording) -> list[int]:
    """The BS's bit for a pair, slot by slot."""
    sent = [v for _, _, who, field, v in recording.values if who == BS and field == TraceField.NOTES]
    slots = msgspec.msgpack.Decoder(list[Note])
    return [note.body[0] for notes in sent for note in slots.decode(notes) if note.to == (node,)]


def test_the_host_accepts_guests(tmp_path: Path) -> None:
    (tmp_path / "guests.yaml").write_text(block(NODE_PAGE, "# guests.yaml"), "utf-8")
    host = [sys.executable, str(_script(tmp_path, "host.py")), str(tmp_path / "guests.yaml"), "tcp://127.0.0.1:*"]
    with ExitStack() as processes:
        server = processes.enter_context(subprocess.Popen(host, stdout=subprocess.PIPE, text=True))
        processes.callback(server.kill)  # a host whose guests fail would wait for others
        assert server.stdout is not None
        endpoint = server.stdout.readline().split()[-1]
        node = [sys.executable, str(_script(tmp_path, "node.py")), endpoint, "guests"]
        guests = [subprocess.Popen([*node, name]) for name in ("pair-0", "pair-1")]
        assert [guest.wait(30) for guest in guests] == [0, 0]
        printed = server.stdout.read()
    shown = block(NODE_PAGE, "$ python host.py guests.yaml tcp://127.0.0.1:5555 &").splitlines()[-1]
    assert sorted(_peers(printed)) == sorted(_peers(shown))
    assert printed.partition("nodes")[0] == shown.partition("nodes")[0]


def _peers(line: str) -> list[str]:
    return line.partition("nodes")[2].split()


def test_the_plain_node_imports_nothing_of_airtoll() -> None:
    imported = re.findall(r"^(?:import|from) (\w+)", block(NODE_PAGE, "# node.py"), re.MULTILINE)
    assert set(imported) == {"struct", "sys", "msgpack", "zmq"}


def _script(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text(block(NODE_PAGE, f"# {name}"), "utf-8")
    return path
