"""Who can read what: nothing runs as root, and no secret is where it need not be."""

import json
import re

from tests.containers.engine import Stack, docker, inspect


def _processes(container: str) -> list[tuple[int, str]]:
    """User and command of every process of a container, as the machine sees it."""
    lines = docker("top", container, "-eo", "pid,uid,args").splitlines()[1:]
    return [(int(uid), command) for _, uid, command in (line.split(None, 2) for line in lines)]


def test_nothing_runs_as_root(town: Stack) -> None:
    for container in town.containers():
        processes = _processes(container)
        assert processes
        assert {uid for uid, _ in processes} == {10001}, processes


def test_nothing_can_become_more_or_write_where_it_need_not(town: Stack) -> None:
    for container in town.containers():
        host = inspect(container)["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
        assert "no-new-privileges:true" in host["SecurityOpt"]
        status = docker("exec", container, "cat", "/proc/self/status")
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
        assert set(re.findall(r"^Cap\w+:\s+(\w+)$", status, re.MULTILINE)) == {"0" * 16}
        assert "Read-only file system" in docker("exec", container, "touch", "/opt/airtoll/x", check=False)


def _secrets(town: Stack) -> dict[str, str]:
    """The token, and the secret halves of the keys."""
    read = "grep -h '^ *secret-key' /keys/*.key_secret"
    secrets = {"token": town.token()}
    for service in ("controller", "agent"):
        for line in town.compose("exec", "-T", service, "sh", "-c", read).splitlines():
            secrets[f"{service} {line}"] = line.partition('"')[2].rstrip('"')
    assert all(len(secret) >= 40 for secret in secrets.values())
    return secrets


def test_no_secret_is_told_but_the_token_once(town: Stack) -> None:
    secrets = _secrets(town)
    assert len(secrets) >= 4
    logs = town.compose("logs", "--no-color")
    known = json.dumps([inspect(container) for container in town.containers(all_states=True)])
    for name, secret in secrets.items():
        assert logs.count(secret) == (name == "token"), name
        assert secret not in known, name


def test_a_node_has_no_secret_of_the_controllers(town: Stack) -> None:
    for service in ("agent", "channel"):
        there = town.compose("exec", "-T", service, "ls", "/keys").split()
        assert there == ["node.key", "node.key_secret", "server.key"]
        refused = town.compose("exec", "-T", service, "touch", "/keys/x", check=False)
        assert "Read-only file system" in refused


def test_the_token_is_the_controllers_own(town: Stack) -> None:
    assert town.compose("exec", "-T", "controller", "stat", "-c", "%a %u", "/data/token").split() == ["600", "10001"]


def test_who_starts_again_keeps_token_and_keys(town: Stack) -> None:
    before = _secrets(town)
    town.compose("up", "--detach", "--no-build", "--no-recreate", "--scale", "agent=10", "--scale", "channel=2", "keys")
    town.compose("restart", "--timeout", "5", "controller")
    town.healthy()
    assert _secrets(town) == before
    assert town.compose("logs", "--no-color", "controller").count(before["token"]) == 1


def test_a_published_port_is_this_machines_alone(town: Stack) -> None:
    [controller] = town.containers("controller")
    ports = inspect(controller)["NetworkSettings"]["Ports"]
    published = {port: {end["HostIp"] for end in ends} for port, ends in ports.items() if ends}
    assert published == {"8770/tcp": {"127.0.0.1"}}
    for container in [*town.containers("agent"), *town.containers("channel")]:
        assert not any(inspect(container)["NetworkSettings"]["Ports"].values())


def test_nodes_reach_nothing_outside(town: Stack) -> None:
    [network] = json.loads(docker("network", "inspect", f"{town.project}_nodes"))
    assert network["Internal"]
    for container in [*town.containers("agent"), *town.containers("channel")]:
        assert list(inspect(container)["NetworkSettings"]["Networks"]) == [network["Name"]]
