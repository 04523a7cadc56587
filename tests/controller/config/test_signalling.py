"""The key `signalling`: precedence, the plan it resolves to, and how invalid settings are rejected."""

from typing import Any

import pytest

from channel_server.worlds.conflict_graph import ConflictGraph
from controller.config.errors import ConfigError
from controller.config.formats import parse_yaml
from controller.config.layers import from_assignment
from controller.config.resolved import load
from controller.config.run_config import as_mapping, dump_yaml
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.signalling import KindRule, LinkBudget, SignallingPlan

CELL: dict[str, Any] = {"world": "d2d_underlay", "scheme": "li2020/random"}
UP, DOWN = LinkClass.UPLINK, LinkClass.DOWNLINK


def _plan(signalling: Any, *sets: str, **settings: Any) -> SignallingPlan:
    config = load(CELL | {"signalling": signalling} | settings, overrides=map(from_assignment, sets))
    return config.plan_for("test").signalling


def _rules(plan: SignallingPlan) -> dict[tuple[LinkClass, Kind], KindRule]:
    return {(rule.link, rule.kind): rule for rule in plan.rules}


@pytest.mark.parametrize("signalling", ["ideal", {}, {"uplink": {"loss": 0}}, {"all": {"history": {}}}])
def test_settings_without_effect_are_ideal(signalling: Any) -> None:
    assert _plan(signalling) == SignallingPlan()


def test_a_kind_wins_over_a_class_and_that_over_all() -> None:
    settings = {
        "all": {"loss": 0.1, "delay_slots": 1, "csi": {"loss": 0.3}},
        "uplink": {"loss": 0.2, "history": {"loss": 0.0, "bits_per_slot": 9}},
    }
    rules = _rules(_plan(settings))
    assert len(rules) == len(LinkClass) * len(Kind)
    assert rules[DOWN, Kind.HISTORY] == KindRule(DOWN, Kind.HISTORY, 1, 0.1)
    assert rules[UP, Kind.ACK] == KindRule(UP, Kind.ACK, 1, 0.2)
    assert rules[UP, Kind.CSI] == KindRule(UP, Kind.CSI, 1, 0.3)
    assert rules[UP, Kind.HISTORY] == KindRule(UP, Kind.HISTORY, 1, 0.0, 9)


def test_budgets_are_of_a_class_of_links() -> None:
    settings = {
        "all": {"bits_per_slot": "radio", "share": 0.5},
        "uplink": {"bits_per_slot": 70},
        "downlink": {"share": 0.1},
    }
    assert _plan(settings).budgets == (
        LinkBudget(LinkClass.SIDELINK, None, 0.5),
        LinkBudget(UP, 70),
        LinkBudget(DOWN, None, 0.1),
    )


def test_named_kinds_are_served_first() -> None:
    priorities = _plan({"priorities": ["history", "csi"]}).priorities
    assert [kind.name for kind in priorities[:4]] == ["HISTORY", "CSI", "ACK", "CONTROL"]
    assert sorted(priorities) == sorted(Kind)


@pytest.mark.parametrize(
    ("signalling", "slots"),
    [
        ({"uplink": {"delay_slots": 2}, "downlink": {"delay_slots": 3}}, 4 + 5 + 10),
        ({"downlink": {"ack": {"loss": 0.1}}}, 4 + 10),
        ({"uplink": {"history": {"bits_per_slot": 5}}}, 4 + 10),
        ({"downlink": {"bits_per_slot": 5}}, 4 + 10),
        ({"sidelink": {"loss": 0.5}, "uplink": {"csi": {"loss": 0.5}}}, 0),
        ({"uplink": {"loss": 0.5}, "resend_after_slots": 0}, 0),
        ({"resend_after_slots": 7}, 7),
    ],
)
def test_resends_wait_for_the_slowest_acknowledgement(signalling: Any, slots: int) -> None:
    assert _plan(signalling, train_delay_slots=4).resend_after_slots == slots


@pytest.mark.parametrize(
    ("signalling", "slots"),
    [
        ({"backhaul": {"weights": {"loss": 0.5}}}, 4 + 10),
        ({"backhaul": {"history": {"delay_slots": 2}, "ack": {"delay_slots": 1}}}, 4 + 3 + 10),
        ({"uplink": {"loss": 0.5}, "downlink": {"loss": 0.5}}, 0),
    ],
)
def test_where_the_cloud_is_behind_wires_acknowledgements_cross_the_backhaul(signalling: Any, slots: int) -> None:
    graph = {"world": "conflict_graph", "scheme": "zhang2025/gms"}
    assert _plan(signalling, train_delay_slots=4, **graph).resend_after_slots == slots


def test_a_world_that_does_not_say_where_the_cloud_is_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ConflictGraph, "cloud_link")
    with pytest.raises(ConfigError, match="set cloud_link = 'backhaul' where agents are base stations, 'radio' where"):
        _plan("ideal", world="conflict_graph", scheme="zhang2025/gms")


def test_it_can_be_set_on_the_command_line_and_is_read_back_the_same() -> None:
    settings = {"uplink": {"bits_per_slot": "radio"}, "priorities": ["weights"]}
    config = load(CELL | {"signalling": settings}, overrides=[from_assignment("signalling.uplink.history.loss=0.2")])
    whole = {"uplink": {"bits_per_slot": "radio", "history": {"loss": 0.2}}, "priorities": ["weights"]}
    assert as_mapping(config.config)["signalling"] == whole
    assert load(parse_yaml(dump_yaml(config.config))) == config
    assert as_mapping(load(CELL).config)["signalling"] == "ideal"


@pytest.mark.parametrize(
    ("signalling", "message"),
    [
        ({"uplnk": {}}, "did you mean 'uplink'?"),
        ({"uplink": {"histroy": {}}}, "signalling.uplink.histroy: {} is not allowed: no such key;"),
        ({"uplink": {"loss": 2}}, "signalling.uplink.loss: 2 is not allowed: must be at most 1"),
        ({"uplink": {"history": 3}}, "signalling.uplink.history: 3 is not allowed: must be keys with values"),
        ({"uplink": {"bits_per_slot": "x"}}, "uplink.bits_per_slot: 'x' is not allowed: must be a whole number of at"),
        ({"uplink": {"bits_per_slot": True}}, "signalling.uplink.bits_per_slot: true is not allowed: must be a whole"),
        ({"uplink": {"ack": {"bits_per_slot": "radio"}}}, "ack.bits_per_slot: 'radio' is not allowed: must be a whole"),
        ({"uplink": {"share": 0.5}}, "signalling.uplink.share: 0.5 is not allowed: only a radio has a share"),
        ({"priorities": ["ack", "ack"]}, "signalling.priorities: ack is listed twice: name it once"),
        ({"priorities": ["acks"]}, "signalling.priorities.0: 'acks' is not allowed: must be 'neighbour', 'csi'"),
        ({"backhaul": {"bits_per_slot": "radio"}}, "a backhaul has no radio; give bits, such as bits_per_slot: 500"),
    ],
)
def test_an_invalid_setting_is_rejected_with_a_fix(signalling: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(CELL | {"signalling": signalling})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_radio_budgets_are_rejected_in_a_world_without_radio() -> None:
    graph = {
        "world": "conflict_graph",
        "scheme": "ours/random",
        "signalling": {"uplink": {"bits_per_slot": "radio"}},
    }
    message = (
        "signalling.uplink.bits_per_slot: 'radio' is not allowed: the world conflict_graph has no radio; give bits"
    )
    with pytest.raises(ConfigError, match=message):
        load(graph)
