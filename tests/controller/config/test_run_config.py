"""Configurations: precedence, one readable message for each fault, and what is resolved is read back the same."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.config.errors import ConfigError
from controller.config.layers import from_assignment
from controller.config.resolved import load
from controller.config.run_config import dump_yaml
from protocol.messages.plan import ClockPlan, LossPlan, PastEvent, PhasePlan

CELL: dict[str, Any] = {"world": "d2d_underlay", "scheme": "li2020/random"}
EXAMPLES = Path(__file__).parents[2] / "examples"


def _file(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def _faults(source: Any, *sets: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as rejected:
        load(source, environment=environment, overrides=map(from_assignment, sets))
    return str(rejected.value).splitlines()


def test_command_line_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    text = "world: {name: d2d_underlay, pairs: 11, rbs: 12, power_levels: 3}\nscheme: li2020/random\nseed: 5\n"
    variables = {"AIRTOLL_WORLD__PAIRS": "21", "AIRTOLL_WORLD__RBS": "22", "AIRTOLL_URL": "x", "HOME": "/"}
    sets = [from_assignment("world.pairs=31"), from_assignment("world.radius_m=1e3")]
    config = load(_file(tmp_path, text), environment=variables, overrides=sets)
    world = config.plan_for("r").world_params
    assert (world["pairs"], world["rbs"], world["power_levels"], world["neighbours"]) == (31, 22, 3, 3)
    assert (world["radius_m"], config.config.seed) == (1000.0, 5)


def test_a_bare_name_replaces_a_choice_with_its_parameters() -> None:
    choice = CELL | {"scheme": {"name": "li2020/sla", "step": 0.5}}
    config = load(choice, overrides=[from_assignment("scheme=li2020/random")])
    assert config.plan_for("r").scheme_params == {}


def test_parameters_may_be_set_for_a_bare_name() -> None:
    config = load(CELL, overrides=[from_assignment("world.pairs=7")])
    assert (config.config.world.name, config.agents) == ("d2d_underlay", 7)


def test_node_names_are_agents_trainer_infrastructure() -> None:
    config = load(CELL | {"world": {"name": "d2d_underlay", "pairs": 2, "rbs": 1}})
    assert config.node_names == ("pair-0", "pair-1", "trainer", "bs", "cue-0")


def test_slots_are_short_for_the_eval_phase() -> None:
    assert load(CELL | {"slots": 7}).plan.phases == (PhasePlan("eval", 7),)
    assert load(CELL).plan.phases == (PhasePlan("eval", 1000),)
    phases = {"warmup": 2, "eval": 3}
    assert load(CELL | {"phases": phases}).plan.phases == (PhasePlan("warmup", 2), PhasePlan("eval", 3))


def test_the_card_gives_the_fallback_unless_the_configuration_does() -> None:
    silent = {"on_node_loss": {"fallback": "silent", "action": "fail", "lost_after_s": 1}}
    assert load(CELL).plan_for("r").loss == LossPlan("fallback", "random", 10.0, 600.0)
    assert load(CELL | silent).plan_for("r").loss == LossPlan("fail", "silent", 1.0, 600.0)


def test_the_clock_is_lockstep_unless_a_slots_length_is_given() -> None:
    assert load(CELL).plan_for("r").clock == ClockPlan(None)
    paced = load(CELL | {"clock": {"slot_ms": 10}, "baselines": ["li2020/sla"]})
    assert paced.plan_for("r").clock == ClockPlan(10.0)
    assert [other.plan_for("r").clock for other in paced.baselines.values()] == [ClockPlan(None)]


def test_a_replays_events_are_in_its_plan() -> None:
    events = (PastEvent("lost", "pair-0", 3, 1),)
    assert load(CELL).plan_for("r", replay=events).replay == events
    assert load(CELL).plan_for("r").replay is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"world": {"name": "d2d_underlay", "rbs": 0}}, "world.rbs: 0 is not allowed: must be at least 1"),
        ({"seed": -1}, "seed: -1 is not allowed: must be at least 0"),
        ({"seed": 2**63}, f"seed: {2**63} is not allowed: must be at most {2**63 - 1}"),
        ({"seed": True}, "seed: true is not allowed: must be a whole number"),
        ({"replicas": 0}, "replicas: 0 is not allowed: must be at least 1"),
        ({"slots": 0}, "slots: 0 is not allowed: must be at least 1"),
        ({"slots": "many"}, "slots: 'many' is not allowed: must be a whole number"),
        ({"placement": "cloud"}, "placement: 'cloud' is not allowed: must be 'processes', 'in-process' or 'pool'"),
        (
            {"signalling": "radio"},
            "signalling: 'radio' is not allowed: must be 'ideal', or keys such as uplink: {loss: 0.1}",
        ),
        ({"record": {"values": 1}}, "record.values: 1 is not allowed: must be true or false"),
        ({"record": []}, "record: [] is not allowed: must be keys with values"),
        ({"on_node_loss": {"lost_after_s": 0}}, "on_node_loss.lost_after_s: 0 is not allowed: must be more than 0"),
        ({"clock": {"slot_ms": 0}}, "clock.slot_ms: 0 is not allowed: must be more than 0"),
        (
            {"clock": {"slot_ms": 10}, "placement": "in-process"},
            "placement: 'in-process' is not allowed: nodes of one process are never late; give placement: processes, "
            "or leave out clock.slot_ms",
        ),
        ({"out": 3}, "out: 3 is not allowed: must be text; put quotes around it"),
        (
            {"on_node_loss": {"fallback": "sleep"}},
            "on_node_loss.fallback: 'sleep' is not allowed: must be 'hold', 'silent' or 'random'",
        ),
        (
            {"phases": {"evl": 3}},
            "phases.evl: 3 is not allowed: no such key; known: eval, rounds, train, warmup; did you mean 'eval'?",
        ),
        ({"phases": {"eval": 0}}, "phases: no slots at all; give at least one phase some, such as eval: 1000"),
        (
            {"slots": 3, "phases": {"eval": 3}},
            "slots and phases are both given: keep one of them; slots: 100 is short for phases: {eval: 100}",
        ),
        (
            {"world": {"name": "d2d_underlay", "radius_m": 0.5}},
            "world: min_bs_distance_m 1.0 must lie below radius_m 0.5: lower the first or raise the second",
        ),
    ],
)
def test_an_invalid_value_is_rejected_in_one_line(changes: dict[str, Any], message: str) -> None:
    assert _faults(CELL | changes) == [message]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"sede": 3}, ["sede: 3 is not allowed: no such key; known:", "did you mean 'seed'?"]),
        ({"world": "d2d_underley"}, ["world.name: no world named 'd2d_underley'", "did you mean 'd2d_underlay'?"]),
        ({"scheme": "mine/sleepy"}, ["once that is installed where the run starts: pip install --editable DIR"]),
        ({"world": "pond"}, ["once that is installed where the run starts: pip install --editable DIR"]),
        ({"scheme": "li2020/slaa"}, ["scheme.name: no scheme named 'li2020/slaa'", "did you mean 'li2020/sla'?"]),
        ({"scheme": 5}, ["scheme: 5 is not allowed: must be one of khan2020/"]),
        ({"scheme": {"step": 1}}, ["scheme.name: is missing; known: khan2020/"]),
        ({"world": "conflict_graph"}, ["'li2020/random' is not allowed", "runs in d2d_underlay", "zhang2025/gms"]),
        ({"world": {"name": "d2d_underlay", "rbx": 2}}, ["world.rbx: 2 is not allowed", "did you mean 'rbs'?"]),
        ({"scheme": {"name": "li2020/sla", "step": 2}}, ["scheme.step: 2 is not allowed: must be at most 1"]),
    ],
)
def test_an_unknown_name_is_rejected_with_the_known_ones(changes: dict[str, Any], parts: list[str]) -> None:
    (message,) = _faults(CELL | changes)
    assert [part for part in parts if part not in message] == []


def test_several_faults_are_reported_one_per_line() -> None:
    lines = _faults({"world": {"name": "d2d_underlay", "rbs": 0, "pairs": 0}, "scheme": "nix", "seed": -1})
    assert [line.partition(":")[0] for line in lines] == ["scheme.name", "world.pairs", "world.rbs", "seed"]


def test_the_source_of_an_invalid_setting_is_reported() -> None:
    (message,) = _faults(CELL, AIRTOLL_WRLD__RBS="3")
    assert "no such key" in message
    assert message.endswith("did you mean 'world'? (given by AIRTOLL_WRLD__RBS)")
    assert _faults(CELL, "world.rbs=0") == ["world.rbs: 0 is not allowed: must be at least 1 (given by --set)"]


@pytest.mark.parametrize("text", ["seed", "=3", ""])
def test_a_set_without_key_or_value_is_rejected_with_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--set {text!r} is not allowed: write key=value"):
        from_assignment(text)


def test_a_set_that_is_not_yaml_is_rejected() -> None:
    with pytest.raises(ConfigError, match=r"--set: seed: '\[1' is not allowed: not YAML"):
        from_assignment("seed=[1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("world: d2d_underlay\nscheme: [li2020\nseed: 1\n", r"run\.yaml, line 3: .*; correct the YAML there"),
        ("seed: 1\nseed: 2\n", r"run\.yaml, line 2: key 'seed' is written twice; correct"),
        ("- a\n", r"run\.yaml: \[\"a\"\] is not allowed: write keys with values"),
        ("seed: !!python/object:os.system {}\n", r"run\.yaml, line 1: could not determine a constructor"),
        ("seed: \x00\n", r"run\.yaml.*correct the YAML"),
        ("seed: " + "[" * 5000, r"run\.yaml, line 1: nested deeper than 32 levels"),
        ("seed: &a [*a]\n", r"run\.yaml: nested deeper than 32 levels"),
    ],
    ids=["syntax", "twice", "list", "object", "control", "deep", "loop"],
)
def test_an_invalid_file_is_reported_with_its_name_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(_file(tmp_path, text))


def test_a_missing_or_binary_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nix\.yaml: No such file"):
        load(tmp_path / "nix.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match=r"binary\.yaml: not a text file"):
        load(tmp_path / "binary.yaml")


def test_a_graphs_file_is_found_from_the_configurations_folder(tmp_path: Path) -> None:
    (tmp_path / "line.yaml").write_text("agents: {a: [1], b: [2]}\nconflicts: {1: [2]}\n")
    text = "world: {name: conflict_graph, graph: line.yaml}\nscheme: zhang2025/gms\n"
    config = load(_file(tmp_path, text))
    assert config.plan_for("r").world_params["graph"] == str(tmp_path / "line.yaml")
    assert config.agents == 2


def test_a_missing_graph_file_is_reported(tmp_path: Path) -> None:
    text = "world: {name: conflict_graph, graph: nix.yaml}\nscheme: zhang2025/gms\n"
    (first, *_) = _faults(_file(tmp_path, text))
    assert first.startswith(f"world: graph '{tmp_path / 'nix.yaml'}' cannot be read")


def test_too_many_agents_are_rejected(tmp_path: Path) -> None:
    lines = "".join(f"  a{i}: [{i}]\n" for i in range(1, 1002))
    (tmp_path / "big.yaml").write_text(f"agents:\n{lines}conflicts: {{}}\n")
    text = "world: {name: conflict_graph, graph: big.yaml}\nscheme: zhang2025/gms\n"
    assert _faults(_file(tmp_path, text)) == ["world: 1001 agents are not allowed: must be at most 1000"]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    radius_m=st.floats(2, 1e6),
    length=st.one_of(
        st.fixed_dictionaries({"slots": st.integers(1, 10**9)}),
        st.fixed_dictionaries(
            {"phases": st.fixed_dictionaries({"eval": st.integers(1, 9), "train": st.integers(0, 10**9 - 9)})}
        ),
    ),
    episode_slots=st.none() | st.integers(1),
    lost_after_s=st.floats(1e-9, 1e9),
    out=st.text(),
)
def test_a_dumped_configuration_is_read_back_the_same(
    seed: int, radius_m: float, length: dict[str, Any], episode_slots: int | None, lost_after_s: float, out: str
) -> None:
    world = {"name": "d2d_underlay", "pairs": 2, "rbs": 1, "radius_m": radius_m}
    given = CELL | length | {"world": world, "seed": seed, "episode_slots": episode_slots, "out": out}
    config = load(given | {"on_node_loss": {"lost_after_s": lost_after_s}})
    again = load(yaml.safe_load(dump_yaml(config.config)))
    assert again == config
    assert again.plan_for("r") == config.plan_for("r")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_a_run(path: Path) -> None:
    assert load(path).plan_for("r").slots > 0
