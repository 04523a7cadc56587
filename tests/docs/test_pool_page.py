"""docs/pool.md: what it says of missing workers is said, its messages and its run are there."""

import re

import protocol.messages.pool
from airtoll.cli import workers
from controller.config.layers import parse_yaml
from controller.config.run_config import load
from controller.pool.registry import Demand, WorkerRegistry
from controller.pool.timeouts import WORKER_HEARTBEAT_TIMEOUT_S
from protocol.messages import node as messages
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Assignment, Heartbeat
from tests.docs.pages import block, page

PAGE = "pool.md"


def _pool(*places: int, held: int = 0) -> WorkerRegistry:
    """With a channel worker and agents' workers."""
    pool, offers = WorkerRegistry(0.0), [("channel", 1), *(("agent", count) for count in places)]
    for name, (role, count) in enumerate(offers):
        leases = {str(n): Assignment("run") for n in range(held if role == "agent" else bool(held))}
        told = Heartbeat(PROTOCOL_VERSION, str(name), role, "w", "h", 1, count, {}, leases)  # type: ignore[arg-type]
        assert pool.receive(b"%d" % name, told, 0.0) == ""
    return pool


def test_what_is_missing_is_said_as_shown() -> None:
    config = load(parse_yaml(block(PAGE, "# pooled.yaml")))
    wanting = Demand("run", config.capacity, torch=config.agents_learn)
    assert config.placement == "pool"
    assert f"```text\nwaits for {_pool(2).shortage(wanting)}\n```" in page(PAGE)
    assert _pool(2, 1).shortage(wanting) == ""
    assert f"`lacks {_pool(2, held=2).shortage(wanting)}`" in page(PAGE)
    assert f"silent for {WORKER_HEARTBEAT_TIMEOUT_S:g} seconds" in page(PAGE)


def test_agents_that_learn_need_torch_as_it_says() -> None:
    world = {"name": "d2d_underlay"}
    learning = {
        name: load({"world": world, "scheme": f"li2020/{name}"}).agents_learn for name in ("dqn", "maac", "sla")
    }
    assert learning == {"dqn": True, "maac": False, "sla": False}


def test_the_messages_are_there() -> None:
    told = re.findall(r"^    (?:agent|service|run process) +(?:<- )?(\w+)", page(PAGE), re.MULTILINE)
    assert told == ["Heartbeat", "Lease", "Attach", "StartNode", "Hello", "Release"]
    for name in told:
        assert hasattr(protocol.messages.pool, name) or hasattr(messages, name)


def test_the_commands_are_there() -> None:
    for line in re.findall(r"^    airtoll (agent|channel) (.+)$", page(PAGE), re.MULTILINE):
        assert workers.parser().parse_args([line[0], *line[1].split()]).role == line[0]
