"""The scheme keeps every rule of airtoll, and its toll is what its card says."""

from pathlib import Path

import airtoll
from airtoll.testing import check_scheme

NAME, WORLD = "mine/my_scheme", "d2d_underlay"


def test_the_scheme_passes_every_kit() -> None:
    check_scheme(NAME, world=WORLD)


def test_every_node_sends_one_byte_per_slot(tmp_path: Path) -> None:
    summary = airtoll.run(
        {"world": WORLD, "scheme": NAME, "slots": 20, "placement": "in-process"}, folder=tmp_path / "run"
    )
    toll = summary["toll"]["neighbour"]
    assert toll["notes"] > 0
    assert toll["notes"] % 20 == 0  # the same number in each of 20 slots
    assert toll["payload_bits"] == 8 * toll["note_bytes"]
