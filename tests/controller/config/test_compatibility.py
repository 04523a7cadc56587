"""A configuration is checked by building a policy of every role."""

from dataclasses import replace
from pathlib import Path

import pytest

from channel_server.welcome import welcome
from channel_server.worlds.conflict_graph import WORLD
from controller.config.compatibility import check
from controller.config.errors import ConfigError
from controller.execution.building import build_world
from protocol.messages.node import Welcome
from schemes.contract import NodePolicy, NoParams
from schemes.zhang2025 import llq
from tests.recording import CELL, plan_for
from tests.schemes.zhang2025.stages import uneven

HERE = (
    Path(__file__).relative_to(Path.cwd())
    if Path(__file__).is_relative_to(Path.cwd())
    else Path(*Path(__file__).parts[-2:])
)


def test_agents_that_measure_and_do_other_things_are_built_too(tmp_path: Path) -> None:
    """Of three agents one has a single device: what does not suit it alone is found."""
    world = WORLD.build(uneven(tmp_path), seed=1, replicas=1)
    built: list[int] = []

    def node(welcome: Welcome, params: NoParams) -> NodePolicy:
        built.append(welcome.index)
        if welcome.action.fields[0].high == 3:
            raise ValueError("three devices are too many")
        return NodePolicy()

    with pytest.raises(ConfigError, match="three devices"):
        check(world, replace(llq.SCHEME, node=node), plan_for("zhang2025/llq"))
    assert built == [0, 1, 2]
    same = WORLD.build(WORLD.params(), seed=1, replicas=1)
    built.clear()
    check(same, replace(llq.SCHEME, node=node), plan_for("zhang2025/llq"))
    assert built == [0]


def test_a_fault_in_a_policys_code_is_one_line_with_its_place() -> None:
    def node(welcome: Welcome, params: NoParams) -> NodePolicy:
        return _broken(welcome)

    world = WORLD.build(WORLD.params(), seed=1, replicas=1)
    with pytest.raises(ConfigError) as rejected:
        check(world, replace(llq.SCHEME, node=node), plan_for("zhang2025/llq"))
    line = _broken.__code__.co_firstlineno + 1
    assert str(rejected.value) == (
        "scheme: its code fails with KeyError: 'gain' at "
        f"{HERE}:{view.__code__.co_firstlineno + 1} in view: raise KeyError(name); called by "
        f'{HERE}:{line} in _broken: return view(welcome, "gain"); '
        f"called by {HERE}:{node.__code__.co_firstlineno + 1} in node: return _broken(welcome)"
    )


def _broken(welcome: Welcome) -> NodePolicy:
    return view(welcome, "gain")


def view(welcome: Welcome, name: str) -> NodePolicy:
    raise KeyError(name)


def test_a_bound_needs_a_world_that_has_what_it_asks_for() -> None:
    world = WORLD.build(WORLD.params(), seed=1, replicas=1)
    with pytest.raises(ConfigError, match="zhang2025/llq needs privileged information: let conflict_graph offer"):
        check(world, replace(llq.SCHEME, privileged=True), plan_for("zhang2025/llq"))


def test_only_a_bound_is_given_what_no_node_could_know() -> None:
    for scheme, known in (("li2020/local_nash", True), ("li2020/best_own_rb", False)):
        plan = plan_for(scheme, CELL)
        for node in range(2):
            assert ("mean_d2d" in welcome(plan, build_world(plan), node).static_info) == known
