"""The warnings and the overhead of a summary."""

from pathlib import Path
from typing import Any

import pytest

from controller.run_folder.overhead import overhead
from controller.run_folder.summary import summarise
from controller.run_folder.warnings import absences
from protocol.messages.plan import PhasePlan
from protocol.messages.telemetry import Event, Scalars
from tests.airtoll.folders import ended, finished, learning, make, window

BACK = Event("rejoined", 7, 0, "pair-1", "")
FALLBACK = "its fallback acted"


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        ([Event("lost", 2, 0, "pair-1", "gone")], [f"pair-1 missed slots 2 to 9, {FALLBACK}: gone"]),
        ([Event("lost", 2, 0, "pair-1", "gone"), BACK], [f"pair-1 missed slots 2 to 6, {FALLBACK}: gone"]),
        ([Event("lost", 7, 0, "pair-1", "gone"), BACK], []),  # it was waited for
        ([Event("lost", 10, 0, "pair-1", "it left in the closing turn")], []),
        (
            [Event("lost", 4, 0, "trainer", "gone"), Event("lost", 5, 0, "trainer", "again")],
            ["trainer missed slots 4 to 9, nothing was learnt or decided there: gone"],
        ),
    ],
)
def test_an_absence_says_what_it_led_to(events: list[Event], lines: list[str]) -> None:
    assert list(absences(events, 10)) == lines


def test_a_summary_has_the_warnings_of_a_run(tmp_path: Path) -> None:
    assert finished(tmp_path / "a").summary["warnings"] == [
        "pair-1 missed slots 2 to 3, its fallback acted: connection gone",
        "pair-2: slow",
    ]
    differs = "its fingerprint differs, so traces may differ: numpy: 1 against 2"
    events = [Event("warning", 0, 0, f"pair-{n}", differs) for n in range(5)]
    about_time = Event("warning", 0, 0, "channel server", "it did not run for 3 s")
    warned = make(tmp_path / "b", [*events, about_time, ended(air_rows_left_out=1234)])
    assert summarise(warned)["warnings"] == [
        f"pair-0, pair-1, pair-2, 2 more: {differs}",
        "the air book lacks its last 1,234 rows (record.air_book_rows); the toll has them",
    ]
    paced = {"turns": {"pair-0": 8, "pair-1": 4}, "missed": {"pair-0": 3}}
    slow = make(tmp_path / "c", [ended(paced=None)])
    slow.meta.changed(paced=paced).write(slow.path)
    assert summarise(slow)["warnings"][0].startswith("3 of 12 turns were missed, fallbacks acted")


def test_a_summary_of_a_run_that_learnt_nothing_warns(tmp_path: Path) -> None:
    folder = learning(tmp_path / "a", [ended(slots=5)], scheme={"name": "li2020/q_learning"})
    assert "nothing was learnt in 3 slots of training" in summarise(folder)["warnings"][0]
    trained = [Scalars(1, "pair-0", {"updates": 3.0}), ended(slots=5)]
    assert summarise(learning(tmp_path / "b", trained, scheme={"name": "li2020/q_learning"}))["warnings"] == []


def test_a_run_that_goes_on_has_results_so_far(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", [window("eval", 0, 1, 6.0, 2.0), Event("lost", 1, 0, "pair-1", "gone")])
    summary = summarise(folder)
    assert (summary["metrics"]["rate"], summary["overhead"]["execution"]["slots"]) == (3.0, 2)
    assert summary["warnings"] == ["pair-1 missed slots 1 to 1, its fallback acted: gone"]


def test_the_last_notes_of_training_are_charged_to_training() -> None:
    def toll(size: int) -> dict[str, int]:
        return {"notes": 1, "note_bytes": size, "payload_bits": 8 * size}

    schedule = (PhasePlan("warmup", 2), PhasePlan("train", 3), PhasePlan("eval", 4))
    by_phase: dict[str, Any] = {
        "warmup": {"csi": toll(1)},
        "train": {"csi": toll(2), "history": toll(10)},
        "eval": {"csi": toll(400), "weights": toll(90)},
    }
    parts = overhead(by_phase, schedule, slots=9, agents=2)
    training, execution = parts["training"], parts["execution"]
    assert (training["note_bytes"], training["notes"], training["late_bytes"]) == (103, 4, 90)
    assert training["kinds"]["csi"] == {"notes": 2, "note_bytes": 3, "payload_bits": 24}
    assert (training["slots"], training["bytes_per_slot_per_node"]) == (5, 103 / (5 * 2))
    assert (execution["note_bytes"], execution["bytes_per_slot_per_node"]) == (400, 400 / (4 * 2))
    assert list(execution["kinds"]) == ["csi"]
