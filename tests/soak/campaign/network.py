"""Faults of networks: proxies between workers and the controller, and between nodes and their channel server."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from controller.config.resolved import load
from controller.execution.processes import NodeProcesses
from protocol.accounting.trace import first_divergence, read_rows
from protocol.messages.telemetry import Progress, Telemetry
from tests.recording import Recording, in_process
from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import LeftOutError, Scene
from tests.soak.campaign.sockets import Proxy
from tests.soak.campaign.works import RUNS, Work
from tests.system.processes import play

_MODES = ("fragment", "delay", "stall", "half-close", "cut", "black hole")
_HARMLESS = ("fragment", "delay", "stall")  # the bytes come, late
_SURVIVED = (*_HARMLESS, "cut", "black hole")  # by workers, who connect again and keep their nodes
_STALL_S = 3.0  # shorter than what workers and run processes wait for each other
_WORKERS_HOST = "127.0.0.2"  # proxies listen here, at the ports at which the controller listens on 127.0.0.1
_NODE_ENDS_WITHIN_S = 90.0


def proxied_workers(scene: Scene, rng: Draw) -> str:
    """Agents' workers reach the pool and the run processes through proxies that misbehave."""
    mode = rng.variant(_MODES)
    with ExitStack() as stack:
        ports = range(scene.port, scene.port + 20)
        proxies = [
            stack.enter_context(closing(Proxy((_WORKERS_HOST, port), ("127.0.0.1", port), rng))) for port in ports
        ]
        direct = [worker for worker in scene.workers if worker.role == "agent"]
        for worker in direct:
            worker.kill()
            scene.workers.remove(worker)
        proxied = [scene.start_worker("agent", 4, pool=f"tcp://{_WORKERS_HOST}:{scene.port}") for _ in range(2)]
        # a worker whose handshake is cut in half ends, and with both all agents are lost: this action waits for them
        waits = {"action": "restart", "max_restarts": 100, "lost_after_s": 30}
        works = scene.begin("pooled", slots=8000, on_node_loss=waits)
        _misbehave(proxies, mode, _STALL_S if mode in _HARMLESS else 6.0)
        for work in works:
            work.same_trace = mode in _SURVIVED
            if not scene.until(lambda: _is_complete(scene, works), 30):
                scene.broke(f"after {mode} the run is {scene.show(work).get('reason')!r} for 30 s with idle workers")
        scene.until(lambda: all(scene.ended(work) for work in works), 60)
        for worker in proxied:
            if worker.process.poll() is None:
                worker.kill()
            elif mode != "half-close" or worker.process.returncode != 1:
                scene.broke(f"the proxied worker ended with {worker.process.returncode}: {worker.log[-200:]}")
            scene.workers.remove(worker)
        for _ in direct:
            scene.start_worker("agent", 4)
    return f"{mode} between workers and the controller"


def _is_complete(scene: Scene, works: list[Work]) -> bool:
    return all("lacks" not in scene.show(work).get("reason", "") for work in works)


def _misbehave(proxies: list[Proxy], mode: str, seconds: float) -> None:
    for proxy in proxies:
        if mode in ("half-close", "cut"):
            proxy.break_all(mode)
        else:
            proxy.mode = mode
    time.sleep(seconds if mode not in ("half-close", "cut") else 0.0)
    for proxy in proxies:
        proxy.mode = ""
        if mode == "black hole":
            proxy.break_all("cut")


def proxied_nodes(scene: Scene, rng: Draw) -> str:
    """A run of its own whose nodes reach their channel server through a proxy that misbehaves."""
    mode, name = rng.variant(_MODES), rng.choice(("processes", "impaired", "scheduling"))
    settings = {"slots": 1500, "checkpoint_every": 0, "on_node_loss": {"lost_after_s": 5}}
    plan = load(RUNS[name] | settings).plan_for("campaign")
    proxies: list[Proxy] = []

    def route(endpoint: str) -> str:
        proxies.append(Proxy(("127.0.0.1", 0), ("127.0.0.1", int(endpoint.rpartition(":")[2])), rng))
        return f"tcp://127.0.0.1:{proxies[0].port}"

    try:
        recording = play(plan, _once(lambda: _misbehave(proxies, mode, 2.0)), route=route)
    finally:
        for proxy in proxies:
            proxy.close()
    _judge(scene, mode, recording, in_process(plan) if mode in _HARMLESS else None)
    return f"{mode} between the nodes of {name!r} and their channel server"


def _once(act: Callable[[], None]) -> Callable[[NodeProcesses, Telemetry], None]:
    """Act at the first progress of a run."""
    acts = [act]

    def meanwhile(_processes: NodeProcesses, telemetry: Telemetry) -> None:
        if isinstance(telemetry, Progress) and telemetry.slot > 0 and acts:
            acts.pop()()

    return meanwhile


def _judge(scene: Scene, mode: str, recording: Recording, alone: Recording | None) -> None:
    ended = recording.ended
    if ended is None or (ended.state != "SUCCEEDED" and not (ended.state == "FAILED" and mode not in _HARMLESS)):
        scene.broke(f"after {mode} the run is {ended and (ended.state, ended.reason)}")
    elif alone is not None and first_divergence(read_rows(recording.trace), read_rows(alone.trace)) is not None:
        scene.broke(f"after {mode} the run has another trace than alone; events {recording.events[:3]}")


def black_hole(scene: Scene, rng: Draw) -> str:
    """`airtoll node` loses its channel server without a sign: it ends soon after the run."""
    [work] = scene.begin("processes", slots=6000, on_node_loss={"lost_after_s": 2})
    work.same_trace = False
    folder, copy = scene.run_folder(work), scene.folder / f"copy-{work.id}"
    host, _, port = json.loads((folder / "meta.json").read_text())["endpoint"].removeprefix("tcp://").partition(":")
    with closing(Proxy(("127.0.0.1", 0), (host, int(port)), rng)) as proxy:
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("checkpoints", "*.lock"))
        meta = json.loads((copy / "meta.json").read_text())
        (copy / "meta.json").write_text(json.dumps(meta | {"endpoint": f"tcp://127.0.0.1:{proxy.port}"}))
        [victim] = [process for process in scene.processes_of(work) if process.name() == "pair-1"]
        victim.kill()
        command = [sys.executable, "-m", "airtoll", "node", str(copy), "pair-1"]
        node = subprocess.Popen(command, env=os.environ | scene.environment, stderr=subprocess.PIPE, text=True)
        joined = scene.until(lambda: "rejoined" in _events(folder), 30)
        with _packets_dropped(proxy.port):
            scene.until(lambda: scene.ended(work), 60)
            if not scene.until(lambda: node.poll() is not None, _NODE_ENDS_WITHIN_S):
                scene.broke(
                    f"airtoll node is there {_NODE_ENDS_WITHIN_S:.0f} s after its run ended behind a black hole"
                )
                node.kill()
        _, errors = node.communicate()
        if "Traceback" in errors:
            scene.broke(f"airtoll node prints a traceback: {errors[-300:]}")
    return f"airtoll node behind a black hole ({'joined' if joined else 'never joined'})"


@contextmanager
def _packets_dropped(port: int) -> Iterator[None]:
    """The kernel drops all packets from and to a port: unlike a silent proxy, nobody acknowledges what is sent."""
    rules = [["-p", "tcp", direction, str(port), "-j", "DROP"] for direction in ("--dport", "--sport")]
    try:
        for rule in rules:
            if subprocess.run(["iptables", "-w", "-A", "INPUT", *rule], capture_output=True).returncode:
                raise LeftOutError("it needs root and iptables")
        yield
    except FileNotFoundError:
        raise LeftOutError("it needs root and iptables") from None
    finally:
        for rule in rules:
            with suppress(FileNotFoundError):
                subprocess.run(["iptables", "-w", "-D", "INPUT", *rule], capture_output=True)


def _events(folder: Path) -> str:
    file = folder / "events.jsonl"
    return file.read_text("utf-8") if file.exists() else ""
