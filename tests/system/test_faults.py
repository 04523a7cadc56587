"""Faults in real processes: nothing hangs, nothing is lost, the end reports what happened."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zmq

from channel_server.core import Past
from controller.execution.local_machine import ForkedProcess, LocalMachine
from controller.execution.machine import LineAddress, Process
from controller.execution.processes import NodeProcesses, run_processes
from protocol.accounting.wire_book import totals
from protocol.messages.codec import encode
from protocol.messages.node import PROTOCOL_VERSION, Hello, Reply
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import Event, Listening, Progress, Telemetry
from tests.recording import Recording, assert_same_trace, in_process, plan_for, reasons
from tests.system.counting_relay import CountingRelay
from tests.system.processes import at_slot, children_of, nothing, outlive, play, recorded

SLOTS = {"li2020/sla": 2500, "li2020/greedy_central": 1200, "zhang2025/llq": 2000}  # some seconds of each
FROZEN_S = 3.0  # longer than a busy machine keeps a node waiting
schemes = pytest.mark.parametrize("scheme", SLOTS)


def _kill(name: str) -> Callable[[NodeProcesses], None]:
    def kill(processes: NodeProcesses) -> None:
        pid = processes.nodes[name].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    return kill


def _first(scheme: str) -> str:
    return "ap1" if scheme.startswith("zhang") else "pair-1"


@schemes
def test_a_killed_agent_is_replaced_by_its_fallback_and_the_run_replays(scheme: str) -> None:
    plan = plan_for(scheme, slots=SLOTS[scheme])
    name = _first(scheme)
    recording = play(plan, at_slot(50, _kill(name)))
    assert recording.ended is not None
    assert recording.ended.state == "SUCCEEDED"
    [lost] = [event for event in recording.events if event.event == "lost"]
    assert (lost.node, lost.reason) == (name, "its connection broke")
    assert recording.ended.missed == {name: SLOTS[scheme] - lost.slot}
    replayed = in_process(msgspec.structs.replace(plan, replay=recording.past))
    assert_same_trace(recording, replayed)
    assert recording.air == replayed.air


@schemes
def test_a_new_process_of_a_killed_node_rejoins_and_the_run_replays(scheme: str) -> None:
    plan = plan_for(scheme, slots=SLOTS[scheme])
    name = _first(scheme)
    killed: list[int] = []

    def kill_then_restart(processes: NodeProcesses, telemetry: Telemetry) -> None:
        if not isinstance(telemetry, Progress):
            return
        if not killed and telemetry.slot >= 50:
            killed.append(telemetry.slot)
            _kill(name)(processes)
        elif len(killed) == 1 and telemetry.slot > killed[0]:
            killed.append(telemetry.slot)
            processes.start_node(name)

    recording = play(plan, kill_then_restart)
    assert recording.ended is not None
    assert [(e.event, e.node) for e in recording.events] == [("lost", name), ("rejoined", name)]
    lost, rejoined = recording.past
    assert recording.ended.missed == {name: rejoined.slot - lost.slot}
    assert_same_trace(recording, in_process(msgspec.structs.replace(plan, replay=recording.past)))


def test_a_killed_trainer_leaves_the_agents_with_their_last_decision_and_the_run_replays() -> None:
    plan = plan_for("li2020/greedy_central", slots=1200)
    recording = play(plan, at_slot(50, _kill("trainer")))
    assert recording.ended is not None
    assert (recording.ended.state, list(recording.ended.missed)) == ("SUCCEEDED", ["trainer"])
    replayed = in_process(msgspec.structs.replace(plan, replay=recording.past))
    assert_same_trace(recording, replayed)
    assert recording.air == replayed.air


def test_a_frozen_agent_is_lost_and_its_late_frames_are_dropped() -> None:
    plan = plan_for("li2020/sla", slots=2500, on_node_loss={"lost_after_s": FROZEN_S})
    frozen: list[int] = []

    def freeze_then_thaw(processes: NodeProcesses, telemetry: Telemetry) -> None:
        if isinstance(telemetry, Progress) and telemetry.slot >= 50 and not frozen:
            frozen.append(processes.nodes["pair-1"].pid or 0)
            os.kill(frozen[0], signal.SIGSTOP)
        elif isinstance(telemetry, Event) and telemetry.event == "lost":
            os.kill(frozen[0], signal.SIGCONT)

    recording = play(plan, freeze_then_thaw)
    assert recording.ended is not None
    assert [(e.event, e.node, e.reason) for e in recording.events if e.event != "dropped"] == [
        ("lost", "pair-1", f"silent for {FROZEN_S:g} s")
    ]
    assert_same_trace(recording, in_process(msgspec.structs.replace(plan, replay=recording.past)))


def test_after_a_kill_the_capture_lacks_no_more_than_the_undelivered() -> None:
    plan = plan_for("li2020/sla", slots=2000)
    with CountingRelay() as relay:
        recording = play(plan, at_slot(50, _kill("pair-1")), route=relay.endpoint)
    assert recording.ended is not None
    for account in recording.ended.wire:
        [counted] = relay.of(account.peer)
        assert counted.up == account.up.socket_bytes
        booked = account.down.socket_bytes
        assert booked - account.undelivered_bytes <= counted.down <= booked
    _check_copies(recording)
    assert totals(recording.ended.wire).undelivered_bytes > 0


def _check_copies(recording: Recording) -> None:
    """Down the wires went the air book's copies and what a killed node left unread."""
    assert recording.ended is not None
    down = sum(account.down.notes - account.undelivered_notes for account in recording.ended.wire)
    assert down == sum(row.copies for row in recording.air)


def _throw(endpoint: str, run_id: str) -> None:
    """Everything an unknown peer can throw at a channel server."""
    frames = [
        b"",
        b"\xc1garbage",
        b"\x95\x05",
        encode(Reply(0, 0, b"\0\0", [])),
        encode(Hello(PROTOCOL_VERSION, run_id, "pair-0", {})),
        encode(Hello(PROTOCOL_VERSION, run_id, "pair-99", {})),
        encode(Hello(PROTOCOL_VERSION, "another", "pair-0", {})),
        encode(Hello(PROTOCOL_VERSION + 1, run_id, "pair-0", {})),
        bytes(2**20),
    ]
    with zmq.Context() as context, context.socket(zmq.DEALER) as unknown:
        unknown.setsockopt(zmq.LINGER, 1000)
        unknown.connect(endpoint)
        for frame in frames:
            unknown.send(frame)
        unknown.send_multipart([b"two", b"parts"])
        for _ in range(4):
            assert unknown.poll(60_000), "a Hello that cannot be taken is answered"
            assert msgspec.msgpack.decode(unknown.recv())[0] == 3
    _throw_at_tcp(endpoint)


def _throw_at_tcp(endpoint: str) -> None:
    """Not even ZeroMQ, and a frame that claims to be larger than any may be."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
    with zmq.Context() as context, context.socket(zmq.DEALER) as unknown:
        unknown.setsockopt(zmq.LINGER, 0)
        monitor = unknown.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        unknown.connect(endpoint)
        unknown.send(bytes(65 * 2**20))
        assert monitor.poll(5000), "a frame that is too large costs its sender the connection"
        unknown.disable_monitor()
        monitor.close()


def test_unknown_peers_are_rejected_and_leave_the_trace_as_it_was() -> None:
    plan = plan_for("li2020/sla", slots=3000)
    recording = play(plan, at_slot(200, lambda processes: _throw(processes.endpoint, plan.run_id)))
    assert recording.ended is not None
    dropped = recording.ended.dropped
    assert dropped["refused Hello"] == 4
    assert {"empty frame", "garbage frame", "truncated frame", "reply from an unknown peer"} <= dropped.keys()
    assert dropped["frame in several parts"] == 1
    assert dropped["connection without a frame that can be read"] >= 2  # plain TCP, and the frame too large to be taken
    assert len(reasons(recording.events, "refused")) == 4
    assert_same_trace(recording, in_process(plan))
    accounts = {account.peer: account for account in recording.ended.wire}
    assert accounts["unknown peer"].up.frames >= 9


def test_when_the_channel_server_is_killed_the_others_stop_and_the_run_reports_it(tmp_path: Path) -> None:
    command, folder = _airtoll(tmp_path, slots=10**6)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        channel = _wait_for_channel(process.pid, folder)
        family = children_of(process.pid)
        os.kill(channel, signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the channel server died (signal 9)" in output
    assert not outlive(family)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_the_results_and_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    command, folder = _airtoll(tmp_path, slots=10**6)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as process:
        _wait_for_channel(process.pid, folder)
        family = children_of(process.pid)
        os.killpg(process.pid, number) if number == signal.SIGINT else os.kill(process.pid, number)
        process.communicate(timeout=60)
    assert process.returncode == 130
    summary = msgspec.json.decode((folder / "summary.json").read_bytes())
    assert summary["state"] == "STOPPED"
    assert summary["slots"] > 0
    assert not outlive(family)


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.4, 0.6, 0.8])
def test_an_interrupt_at_any_moment_of_the_start_leaves_no_process(tmp_path: Path, after_s: float) -> None:
    command, _ = _airtoll(tmp_path, slots=10**6)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as process:
        deadline = time.monotonic() + after_s
        family: set[int] = set()
        while time.monotonic() < deadline:
            family |= children_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    before_us = b"Failed to import the site module" in output  # Python itself was still starting
    assert process.returncode in (130, -signal.SIGINT) or before_us, output
    assert not outlive(family)


def test_anybody_can_take_the_seat_of_a_lost_node(tmp_path: Path) -> None:
    """By the command `airtoll node`; the run with its loss and rejoin replays to the same trace."""
    command, folder = _airtoll(tmp_path, slots=10**6)
    airtoll = command[:3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as process:
        channel = _wait_for_channel(process.pid, folder)
        os.kill(_connected_to(channel, process.pid), signal.SIGKILL)
        [lost] = _wait_for_event(folder, "lost")
        with subprocess.Popen([*airtoll, "node", str(folder), lost["node"]]) as node:
            _wait_for_event(folder, "rejoined")
            process.terminate()
            process.communicate(timeout=60)
        assert node.returncode == 0
    replayed = subprocess.run([*airtoll, "replay", str(folder)], capture_output=True, text=True, timeout=60)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    over = subprocess.run([*airtoll, "node", str(folder), lost["node"]], capture_output=True, text=True, timeout=60)
    assert over.returncode == 2
    assert "no node can join a run that is STOPPED" in over.stderr


def _connected_to(channel: int, launcher: int) -> int:
    """Some node: a child of the forkserver that is not the channel server."""
    siblings = children_of(int(Path(f"/proc/{channel}/stat").read_text().rsplit(")", 1)[1].split()[1])) - {channel}
    return max(siblings - {launcher})


def _wait_for_event(folder: Path, kind: str) -> list[dict[str, str]]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = (folder / "events.jsonl").read_text().splitlines() if (folder / "events.jsonl").exists() else []
        if found := [event for event in map(msgspec.json.decode, lines) if event["event"] == kind]:
            return found
        os.sched_yield()
    raise AssertionError(f"nothing was {kind} within 60 s")


def test_when_the_launcher_is_killed_no_process_remains(tmp_path: Path) -> None:
    command, folder = _airtoll(tmp_path, slots=10**6)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _wait_for_channel(process.pid, folder)
        family = children_of(process.pid)
        process.kill()
        process.wait()
    assert not outlive(family)


def test_the_run_is_timed_from_its_first_slot_to_its_last() -> None:
    """A short run, over before the channel server polls its clock for the first time."""
    recording = play(plan_for("li2020/random", slots=3), nothing)
    assert recording.ended is not None
    assert 0.0005 < recording.ended.wall_s < 5


@pytest.mark.parametrize(
    "words",
    [[], ["frobnicate"], ["run"], ["run", "--nope"], ["toll", ".", "--by", "bogus"], ["frames", "--limit", "0"]],
)
def test_bad_usage_exits_2_with_one_message(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "airtoll", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def _airtoll(tmp_path: Path, *, slots: int) -> tuple[list[str], Path]:
    config = tmp_path / "run.yaml"
    config.write_text(f"world: {{name: d2d_underlay, pairs: 4}}\nscheme: li2020/sla\nslots: {slots}\n")
    folder = tmp_path / "folder"
    return [sys.executable, "-m", "airtoll", "run", str(config), "--out", str(folder)], folder


def _wait_for_channel(parent: int, folder: Path) -> int:
    """The channel server's process, once slots are being played."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        trace = folder / "trace.bin"
        if trace.exists() and trace.stat().st_size:
            return _listener(parent)
        os.sched_yield()
    raise AssertionError("the run did not start within 60 s")


def _listener(parent: int) -> int:
    """The descendant of `parent` that listens on a TCP port and is not `parent`."""
    inodes = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"}
    for pid in children_of(parent):
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        if any(link == f"socket:[{inode}]" for link in links for inode in inodes):
            return pid
    raise AssertionError("no descendant listens")


class _Relayed(LocalMachine):
    """The channel server sends its telemetry through a relay."""

    def __init__(self, relay: CountingRelay) -> None:
        super().__init__()
        self._relay = relay

    def start_channel(self, plan: RunPlan, line: LineAddress, past: Past | None) -> ForkedProcess:
        endpoint = self._relay.endpoint(f"tcp://127.0.0.1:{line.port}")
        return super().start_channel(plan, line._replace(port=int(endpoint.rpartition(":")[2])), past)


def test_a_run_whose_telemetry_is_cut_off_fails() -> None:
    recording, relay = Recording(), CountingRelay()
    slots: list[int] = []

    def sink(telemetry: Telemetry) -> None:
        recording(telemetry)
        if isinstance(telemetry, Progress) and telemetry.slot > 50:
            slots.append(telemetry.slot)
            if len(slots) == 1:
                relay.__exit__(None, None, None)

    ended = run_processes(plan_for("li2020/sla", slots=10**6), sink, machine=_Relayed(relay))
    assert (ended.state, ended.reason) == ("FAILED", "the line from the channel server broke")


class OneGoesAstray(NodeProcesses):
    """The last node is sent to an endpoint where nobody is."""

    def start_node(self, name: str) -> Process:
        endpoint = self.endpoint
        self.endpoint = "tcp://127.0.0.1:9" if name == "pair-3" else endpoint
        process = super().start_node(name)
        self.endpoint = endpoint
        return process


def test_a_node_that_dies_before_the_first_slot_ends_the_run_at_once() -> None:

    def kill_it(processes: NodeProcesses, telemetry: Telemetry) -> None:
        if isinstance(telemetry, Listening):
            _kill("pair-3")(processes)

    began = time.monotonic()
    with OneGoesAstray(plan_for("li2020/random", slots=10)) as processes:
        recording = recorded(processes, Recording(), kill_it)
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.reason) == ("FAILED", "pair-3 died before the first slot (signal 9)")
    assert time.monotonic() - began < 60
