"""The scheme keeps every rule of airtoll, and its toll is what its card says."""

from pathlib import Path

import airtoll
from airtoll.testing import check_scheme

NAME, WORLD = "mine/my_central_scheme", "d2d_underlay"


def test_the_scheme_passes_every_kit() -> None:
    check_scheme(NAME, world=WORLD)


def test_every_node_reports_and_gets_a_decision_in_every_slot(tmp_path: Path) -> None:
    summary = airtoll.run(
        {"world": WORLD, "scheme": NAME, "slots": 20, "placement": "in-process"}, folder=tmp_path / "run"
    )
    reports, decisions = summary["toll"]["csi"], summary["toll"]["decision"]
    assert reports["notes"] == decisions["notes"] > 0
    assert reports["notes"] % 20 == 0  # the same number in each of 20 slots
    assert decisions["payload_bits"] == decisions["notes"]
