"""Containers that die while a run goes on."""

from tests.containers.engine import Stack, docker, inspect
from tests.containers.runs import PLAIN, at_slot, in_one_process


def test_an_agent_that_is_killed_is_missed_and_comes_back(town: Stack) -> None:
    client, victim = town.client(), town.containers("agent")[4]
    run_id = client.submit(PLAIN | {"on_node_loss": {"action": "fallback"}})["id"]
    at_slot(client, run_id, 1000)
    docker("kill", victim)
    at_slot(client, run_id, client.show(run_id)["slot"] + 500)
    docker("start", victim)
    run = client.wait(run_id)
    assert (run["state"], run["slot"]) == ("SUCCEEDED", 6000), run["reason"]
    log = client.file(run_id, "log.txt").decode()
    assert "lost" in log
    assert "rejoined" in log
    town.healthy()


def test_a_run_whose_channel_server_is_killed_goes_on_from_its_checkpoint_at_another(town: Stack) -> None:
    client = town.client()
    config = PLAIN | {"checkpoint_every": 500, "on_channel_server_loss": "rollback"}
    run_id = client.submit(config)["id"]
    at_slot(client, run_id, 1500)
    [victim] = [channel for channel in town.containers("channel") if _plays(channel)]
    docker("kill", victim)
    run = client.wait(run_id)
    docker("start", victim)
    assert (run["state"], run["slot"]) == ("SUCCEEDED", 6000), run["reason"]
    assert "rolled back" in client.file(run_id, "log.txt").decode()
    assert run["trace_digest"] == in_one_process(client, PLAIN)["trace_digest"]
    town.healthy()


def _plays(container: str) -> bool:
    """Whether a channel server is at work in it."""
    assert inspect(container)["State"]["Running"]
    return "channel server" in docker("top", container, "-eo", "pid,comm")
