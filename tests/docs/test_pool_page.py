"""docs/pool.md: its reason for a waiting run, its messages, commands and run are those of the code."""

import re

import protocol.messages.pool
from airtoll.cli import workers
from controller.config.formats import parse_yaml
from controller.config.resolved import load
from controller.pool.registry import Demand, WorkerRegistry
from controller.pool.timeouts import RUN_PROCESS_RECONNECT_TIMEOUT_S, WORKER_HEARTBEAT_TIMEOUT_S
from protocol.messages import node as messages
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Assignment, Heartbeat
from tests.docs.pages import block, page, states

PAGE = "pool.md"


def _pool(*capacities: int, held: int = 0) -> WorkerRegistry:
    """With a channel worker and agents' workers."""
    pool, offers = WorkerRegistry(0.0), [("channel", 1), *(("agent", count) for count in capacities)]
    for name, (role, count) in enumerate(offers):
        leases = {str(n): Assignment("run") for n in range(held if role == "agent" else bool(held))}
        heartbeat = Heartbeat(PROTOCOL_VERSION, str(name), role, "w", "h", 1, count, {}, leases)  # type: ignore[arg-type]
        assert pool.receive(b"%d" % name, heartbeat, 0.0) == ""
    return pool


def test_the_reason_names_what_is_missing() -> None:
    config = load(parse_yaml(block(PAGE, "# pooled.yaml")))
    demand = Demand("run", config.capacity, torch=config.agents_need_torch)
    assert config.config.placement == "pool"
    assert f"```text\nwaits for {_pool(2).shortage(demand, 0.0)}\n```" in page(PAGE)
    assert _pool(2, 1).shortage(demand, 0.0) == ""
    assert f"`lacks {_pool(2, held=2).shortage(demand, 0.0)}`" in page(PAGE)
    assert states(PAGE, "silent", f"{WORKER_HEARTBEAT_TIMEOUT_S:g} seconds")
    assert states(PAGE, "without a connection", f"{RUN_PROCESS_RECONNECT_TIMEOUT_S:g} seconds")


def test_only_agents_that_learn_by_themselves_need_torch() -> None:
    world = {"name": "d2d_underlay"}
    learning = {
        name: load({"world": world, "scheme": f"li2020/{name}", "untrained": True}).agents_need_torch
        for name in ("dqn", "maac", "sla")
    }
    assert learning == {"dqn": True, "maac": False, "sla": False}
    assert states(PAGE, "li2020/dqn", "torch")


def test_the_messages_are_there() -> None:
    shown = re.findall(r"^    (?:agent|service|run process) +(?:<- )?(\w+)", page(PAGE), re.MULTILINE)
    assert shown == ["Heartbeat", "Lease", "Attach", "StartNode", "Hello", "Release"]
    for name in shown:
        assert hasattr(protocol.messages.pool, name) or hasattr(messages, name)


def test_the_commands_are_there() -> None:
    for line in re.findall(r"^    airtoll (agent|channel) (.+)$", page(PAGE), re.MULTILINE):
        assert workers.parser().parse_args([line[0], *line[1].split()]).role == line[0]
