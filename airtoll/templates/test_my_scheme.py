"""The scheme keeps every rule of airtoll, and its toll is what its card says."""

from pathlib import Path

import airtoll
from airtoll.templates.my_scheme import SCHEME
from airtoll.testing import check_scheme

NAME, WORLD = "mine/my_scheme", "d2d_underlay"


def test_the_scheme_passes_every_kit() -> None:
    check_scheme(NAME, world=WORLD)


def test_the_toll_is_what_the_card_says(tmp_path: Path) -> None:
    """Change it with the scheme: a kind of note that is not sent has no entry, and `{}` is a scheme without notes."""
    summary = airtoll.run(
        {"world": WORLD, "scheme": NAME, "slots": 20, "placement": "in-process"}, folder=tmp_path / "run"
    )
    for kind, toll in summary["toll"].items():
        assert kind == "neighbour"  # the kinds that the card names
        assert toll["notes"] % 20 == 0  # the same number in each of 20 slots
        assert toll["payload_bits"] == 8 * toll["note_bytes"]
    assert (summary["toll"] == {}) == (SCHEME.card.sends == "nothing")
