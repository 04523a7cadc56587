"""What is said while a run goes on."""

from io import StringIO

from rich.console import Console

from airtoll.cli.progress import watching
from protocol.messages.plan import PhasePlan
from protocol.messages.telemetry import Event, Progress, Scalars, Telemetry, Window

LEARNING = (PhasePlan("warmup", 2), PhasePlan("train", 4), PhasePlan("eval", 2))
TRAINED: list[Telemetry] = [
    Window("train", 2, 3, {"outage": 9.0, "reward_total": 25.0}, {"outage": 2.0, "reward_total": 2.0}),
    Scalars(3, "trainer", {"updates": 1200.0, "loss": 0.1}),
    Scalars(3, "pair-0", {"updates": 1.0}),
    Scalars(4, "trainer", {"policy_version": 3.0}),
]


def _said(schedule: tuple[PhasePlan, ...], *telemetry: Telemetry, terminal: bool = False) -> str:
    out = StringIO()
    with watching(Console(file=out, width=200, force_terminal=terminal), schedule) as watch:
        for told in telemetry:
            watch(told)
    return out.getvalue()


def test_a_run_of_one_phase_tells_its_slots_alone() -> None:
    window = Window("eval", 0, 1, {"reward_total": 2.0}, {"reward_total": 1.0})
    assert _said((PhasePlan("eval", 4),), Progress(0), window, Progress(2), Progress(4)).splitlines() == [
        "slot 2 of 4",
        "slot 4 of 4",
    ]


def test_a_learning_run_tells_phase_reward_updates_and_weights() -> None:
    lines = _said(LEARNING, Progress(2), *TRAINED, Progress(6), Progress(8)).splitlines()
    assert lines == [
        "slot 2 of 8: warmup",
        "slot 6 of 8: train, reward_total 12.5, 1,200 updates, policy version 3",
        "slot 8 of 8: eval, reward_total 12.5, 1,200 updates, policy version 3",
    ]


def test_a_world_without_a_reward_tells_its_first_metric_if_it_was_counted() -> None:
    first = Window("train", 2, 3, {"outage": 1.0, "rate": 3.0}, {"outage": 2.0, "rate": 1.0})
    nothing = Window("train", 4, 5, {"outage": 0.0, "rate": 3.0}, {"outage": 0.0, "rate": 1.0})
    assert _said(LEARNING, first, Progress(4)) == "slot 4 of 8: train, outage 0.5\n"
    assert _said(LEARNING, first, nothing, Progress(6)) == "slot 6 of 8: train\n"


def test_the_live_line_has_the_same_figures_and_events_stay() -> None:
    shown = _said(LEARNING, *TRAINED, Event("lost", 4, 0, "pair-1", "gone"), Progress(5), terminal=True)
    assert "train" in shown
    assert "1,200 updates, policy version 3" in shown
    assert "slot 4, turn 0: lost pair-1: gone" in shown
