"""The progress that is shown during a run."""

from io import StringIO

from rich.console import Console

from airtoll.cli.progress import run_progress
from protocol.messages.plan import PhasePlan
from protocol.messages.telemetry import Event, Progress, Scalars, Telemetry, Window

LEARNING = (PhasePlan("warmup", 2), PhasePlan("train", 4), PhasePlan("eval", 2))
TRAINED: list[Telemetry] = [
    Window("train", 2, 3, {"outage": 9.0, "reward_total": 25.0}, {"outage": 2.0, "reward_total": 2.0}),
    Scalars(3, "trainer", {"updates": 1200.0, "loss": 0.1}),
    Scalars(3, "pair-0", {"updates": 1.0}),
    Scalars(4, "trainer", {"policy_version": 3.0}),
]


def _shown(schedule: tuple[PhasePlan, ...], *telemetry: Telemetry, terminal: bool = False) -> str:
    out = StringIO()
    with run_progress(Console(file=out, width=200, force_terminal=terminal), schedule) as sink:
        for item in telemetry:
            sink(item)
    return out.getvalue()


def test_a_run_of_one_phase_shows_its_slots_alone() -> None:
    window = Window("eval", 0, 1, {"reward_total": 2.0}, {"reward_total": 1.0})
    assert _shown((PhasePlan("eval", 4),), Progress(0), window, Progress(2), Progress(4)).splitlines() == [
        "slot 2 of 4",
        "slot 4 of 4",
    ]


def test_a_learning_run_shows_phase_reward_updates_and_policy_version() -> None:
    lines = _shown(LEARNING, Progress(2), *TRAINED, Progress(6), Progress(8)).splitlines()
    assert lines == [
        "slot 2 of 8: warmup",
        "slot 6 of 8: train, reward_total 12.5, 1,200 updates, policy version 3",
        "slot 8 of 8: eval, reward_total 12.5, 1,200 updates, policy version 3",
    ]


def test_while_a_node_is_lost_and_rows_are_missing_every_line_says_so() -> None:
    lost, back = Event("lost", 3, 0, "pair-1", "gone"), Event("rejoined", 5, 0, "pair-1", "")
    masked = Scalars(4, "trainer", {"rows_masked": 1200.0, "rows_dropped": 3.0})
    missing = "the trainer learns without rows that did not come in time: 1,200 masked, 3 dropped"
    assert _shown(LEARNING, lost, masked, Progress(4), back, Progress(6)).splitlines() == [
        "slot 3, turn 0: lost pair-1: gone",
        f"slot 4 of 8: train, pair-1 is lost since slot 3: its fallback acts; {missing}",
        "slot 5, turn 0: rejoined pair-1: ",
        f"slot 6 of 8: train, {missing}",
    ]


def test_a_world_without_a_reward_shows_its_first_metric_if_it_was_counted() -> None:
    first = Window("train", 2, 3, {"outage": 1.0, "rate": 3.0}, {"outage": 2.0, "rate": 1.0})
    nothing = Window("train", 4, 5, {"outage": 0.0, "rate": 3.0}, {"outage": 0.0, "rate": 1.0})
    assert _shown(LEARNING, first, Progress(4)) == "slot 4 of 8: train, outage 0.5\n"
    assert _shown(LEARNING, first, nothing, Progress(6)) == "slot 6 of 8: train\n"


def test_the_live_line_has_the_same_values_and_events_stay() -> None:
    shown = _shown(LEARNING, *TRAINED, Event("lost", 4, 0, "pair-1", "gone"), Progress(5), terminal=True)
    assert "train" in shown
    assert "1,200 updates, policy version 3" in shown
    assert "slot 4, turn 0: lost pair-1: gone" in shown


def test_the_live_line_of_80_columns_has_slot_total_and_time_left() -> None:
    """Of a long run, with more to say about learning than there is room for."""
    out = StringIO()
    schedule = (PhasePlan("warmup", 100), *[PhasePlan("train", 1_000_000), PhasePlan("eval", 100_000)] * 5)
    with run_progress(Console(file=out, width=80, force_terminal=True, color_system=None), schedule) as sink:
        for item in (*TRAINED, Progress(1_200_345)):
            sink(item)
    last = [line for line in out.getvalue().split("\r") if "1200345" in line][-1]
    assert "train, round 2 of 5" in last
    assert "1200345/5500100" in last
    assert "-:--:--" in last  # the time left, once a second update shows the pace
    assert "reward_total" in last


def test_brackets_in_texts_are_kept() -> None:
    event = Event("warning", 4, 0, "pair-1", "[red]x[/] pairs[3]")
    window = Window("train", 2, 3, {"rate[a]": 3.0}, {"rate[a]": 1.0})
    shown = _shown(LEARNING, window, event, Progress(5), terminal=True)
    assert "[red]x[/] pairs[3]" in shown
    assert "rate[a] 3" in shown


def test_a_phase_that_comes_again_is_shown_with_its_round() -> None:
    schedule = (PhasePlan("warmup", 1), *[PhasePlan("train", 2), PhasePlan("eval", 1)] * 2)
    lines = _shown(schedule, *(Progress(slot) for slot in (1, 4, 6))).splitlines()
    assert lines == ["slot 1 of 7: warmup", "slot 4 of 7: eval, round 1 of 2", "slot 6 of 7: train, round 2 of 2"]
