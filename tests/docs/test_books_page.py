"""docs/books.md: its run, run again and added up again; its handshake against one on a socket."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

import airtoll
from airtoll.analysis.streams import read_arrays
from controller.config.formats import parse_yaml
from controller.config.resolved import load
from protocol.accounting.air_book import AirRow
from protocol.accounting.wire_book import CURVE, NULL, Framing
from protocol.determinism.fingerprint import fingerprint
from tests.docs.pages import block, quoted_table, states, table
from tests.recording import Recording
from tests.system.counting_relay import CountingRelay
from tests.system.processes import nothing, play

PAGE = "books.md"
HELLO, FINGERPRINT = 243, 201  # bytes, as printed
LEGS = pytest.mark.parametrize("direction", ["up", "down"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's run, as a reader would run it."""
    out = tmp_path_factory.mktemp("books")
    airtoll.run(_tiny(), out=str(out))
    [made] = out.iterdir()
    return made


@pytest.fixture(scope="module")
def captured() -> tuple[Recording, CountingRelay]:
    """The page's run once more, through a relay that counts and keeps the first bytes."""
    with CountingRelay() as relay:
        recording = play(load(_tiny()).plan_for("captured"), nothing, route=relay.endpoint)
    return recording, relay


def _tiny() -> dict[str, Any]:
    settings: dict[str, Any] = parse_yaml(block(PAGE, "# tiny.yaml"))
    return settings


class _Row(NamedTuple):
    """A line of one of the page's two tables."""

    name: str
    made_of: str
    frame: int
    note: int
    emulation: int
    framing: int

    def with_more(self, more: int) -> "_Row":
        """With a fingerprint that is so much longer."""
        framing = self.framing + _framing(HELLO + more) - _framing(HELLO)
        return self._replace(frame=self.frame + more, emulation=self.emulation + more, framing=framing)


def _framing(frame_bytes: int) -> int:
    """ZMTP's bytes before one frame."""
    return NULL.of(frame_bytes)


def _printed(direction: str) -> list[_Row]:
    rows = table(PAGE, f"{direction}: frame")
    return [_Row(name, made_of, *map(int, (frame, *booked))) for name, frame, made_of, *booked in rows]


def _rows(direction: str) -> list[_Row]:
    """As printed, with this machine's fingerprint in place of the page's."""
    more = len(msgspec.msgpack.encode(fingerprint())) - FINGERPRINT
    concerned = ("Hello", "sum") if direction == "up" else ()
    return [row.with_more(more) if row.name in concerned else row for row in _printed(direction)]


@LEGS
def test_each_frame_is_as_long_as_the_page_says(direction: str, folder: Path) -> None:
    kept = read_arrays(folder / "frames.msgpack", 3)
    frames = [frame for way, peer, frame in kept if way == direction and peer == "pair-0"]
    sizes = [row.frame for row in _rows(direction)[1:-1]]
    assert [len(frame) for frame in frames][: len(sizes)] == sizes


@LEGS
def test_the_columns_add_up_to_the_book(direction: str, folder: Path) -> None:
    *rows, total = _rows(direction)
    assert total[2:] == tuple(sum(column) for column in list(zip(*rows, strict=True))[2:])
    assert all(row.frame == row.note + row.emulation for row in rows)
    for account in json.loads((folder / "wire_book.json").read_text()):
        leg = account[direction]
        assert total[3:] == (leg["note_bytes"], leg["emulation_bytes"], leg["framing_bytes"])


@LEGS
def test_what_a_frame_is_made_of_adds_up(direction: str) -> None:
    spelled_out = [row for row in _printed(direction) if row.made_of.startswith("array")]
    assert spelled_out
    for row in spelled_out:
        parts = re.sub(r'"[^"]*"', "", row.made_of)
        assert sum(map(int, re.findall(r"\b\d+", parts))) == row.frame, row.name


def test_the_sums_in_the_text(folder: Path) -> None:
    up, down = (_printed(way)[-1] for way in ("up", "down"))
    sums = [up.frame + up.framing, down.frame + down.framing]
    assert states(PAGE, up.frame, up.framing, down.frame, down.framing, *sums, 2 * sum(sums), 6)
    up, down = _rows("up")[-1], _rows("down")[-1]
    on_the_wires = 2 * (up.frame + up.framing + down.frame + down.framing)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["wire"]["socket_bytes"] == on_the_wires
    assert (summary["wire"]["note_bytes"], summary["toll"]["feedback"]["payload_bits"]) == (6, 6)


def test_the_air_books_rows(captured: tuple[Recording, CountingRelay]) -> None:
    assert states(PAGE, "[slot, 1, 3, [pair], 2, 3, 1, 0, 1, 1, 1, slot, false, false]")
    rows = json.loads(msgspec.json.encode(captured[0].air))
    assert rows == [
        [slot, 1, 3, [pair], 2, 3, 1, 0, 1, 1, 1, slot, False, False] for slot in range(3) for pair in range(2)
    ]
    named = re.findall(r"`(\w+)`", " ".join(row[0] for row in quoted_table(PAGE, "field")))
    assert named == list(AirRow.__struct_fields__)


def test_the_handshake_byte_by_byte(captured: tuple[Recording, CountingRelay]) -> None:
    rows = table(PAGE, "bytes")
    shown = [_bytes(hexes) for _, hexes, _ in rows]
    assert [len(part) for part in shown] == [int(count) for count, *_ in rows]
    [counted] = captured[1].of("pair-0")
    assert counted.head[: NULL.up_handshake] == b"".join(shown)
    assert captured[0].ended is not None
    [account] = [account for account in captured[0].ended.wire if account.peer == "pair-0"]
    assert (counted.up, counted.down) == (account.up.socket_bytes, account.down.socket_bytes)


def test_the_handshake_under_curve_adds_up() -> None:
    sums = dict.fromkeys(("up", "down"), 0)
    for ways, count, _ in table(PAGE, "up and down"):
        for way in ways.split(", "):
            sums[way] += sum(map(int, count.split(" + ")))
    assert Framing(sums["up"], sums["down"], 8 + 8 + 16 + 1) == CURVE
    assert states(PAGE, "CURVE", sums["up"], sums["down"])
    assert states(PAGE, 222, CURVE.of(222), CURVE.of(223))
    assert [CURVE.of(frame_bytes) for frame_bytes in (222, 223)] == [35, 42]


def _bytes(cell: str) -> bytes:
    """`4e 55` and 16 of `00`."""
    first, _, zeros = cell.rpartition(" and ")
    count = re.fullmatch(r"(\d+) of 00", zeros)
    return bytes.fromhex(first) + bytes(int(count[1])) if count else bytes.fromhex(cell)


def test_the_laws_can_be_checked_on_a_folder(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "check_books.py"
    script.write_text(block(PAGE, "# check_books.py"), "utf-8")
    printed = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, check=True).stdout
    assert sorted(line.strip() for line in printed.splitlines()) == ["pair-0: up 0, down 3", "pair-1: up 0, down 3"]
