"""The comparison of two runs: every flipped bit is found, and its place named."""

from pathlib import Path

import pytest

from airtoll.analysis.diff import compare
from controller.run_folder.reader import RunFolder
from protocol.accounting.trace import ROW
from tests.airtoll.folders import ended, finished, make, traced


def _flip(folder: RunFolder, file: str, byte: int, bit: int = 0) -> None:
    data = bytearray(folder.read(file))
    data[byte] ^= 1 << bit
    (folder.path / file).write_bytes(data)


def test_equal_runs_are_equal(tmp_path: Path) -> None:
    verdict = compare(finished(tmp_path / "a", values=True), finished(tmp_path / "b", values=True))
    assert verdict.equal
    assert verdict.lines == ("equal: 8 rows of trace",)


@pytest.mark.parametrize("byte", range(ROW.itemsize - 8, ROW.itemsize))
def test_one_flipped_bit_of_a_digest_is_found_and_named(tmp_path: Path, byte: int) -> None:
    a, b = finished(tmp_path / "a"), finished(tmp_path / "b")
    _flip(b, "trace.bin", 4 * ROW.itemsize + byte, bit=byte % 8)
    verdict = compare(a, b)
    assert not verdict.equal
    assert verdict.lines == (
        "traces diverge at row 4: slot 2, turn 0, node pair-1, action: the values differ",
        f"  {b.path / 'trace.bin'} was changed after its run",
    )


@pytest.mark.parametrize("byte", range(ROW.itemsize - 8))
def test_one_flipped_bit_of_a_place_is_found(tmp_path: Path, byte: int) -> None:
    a, b = finished(tmp_path / "a"), finished(tmp_path / "b")
    _flip(b, "trace.bin", byte)
    verdict = compare(a, b)
    assert not verdict.equal
    assert "row 0: slot 0, turn 0, node pair-1, action: the other run has slot" in verdict.lines[0]


def test_every_flipped_bit_of_the_values_alone_is_found(tmp_path: Path) -> None:
    a, b = finished(tmp_path / "a", values=True), finished(tmp_path / "b", values=True)
    whole = b.read("values.msgpack")
    for byte in range(len(whole)):
        for bit in range(8):
            _flip(b, "values.msgpack", byte, bit)
            assert _found(a, b), (byte, bit)
            (b.path / "values.msgpack").write_bytes(whole)
    assert not _found(a, b)


def _found(a: RunFolder, b: RunFolder) -> bool:
    try:
        return not compare(a, b).equal
    except ValueError as error:
        return "values.msgpack is" in str(error)  # damaged, or cut


def test_values_that_differ_are_shown(tmp_path: Path) -> None:
    a, b = finished(tmp_path / "a", values=True), finished(tmp_path / "b", values=True, last=b"lost")
    assert compare(a, b).lines == (
        "traces diverge at row 6: slot 3, turn 0, node pair-1, action: the values differ",
        "values diverge at row 6: slot 3, turn 0, node pair-1, action",
        f"  {a.path}: 4 bytes 6c 61 73 74",
        f"  {b.path}: 4 bytes 6c 6f 73 74",
        "  first at byte 1: 0x61 against 0x6f",
    )


def test_a_trace_that_ends_before_the_other_is_reported(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a", traced(slots=4)), make(tmp_path / "b", traced(slots=3)[:1])
    (b.path / "trace.bin").write_bytes(a.read("trace.bin")[: 6 * ROW.itemsize])
    assert "one trace ends here (8 rows against 6)" in compare(a, b).lines[0]


def test_fingerprints_are_compared_first_but_decide_nothing(tmp_path: Path) -> None:
    a = make(tmp_path / "a", [*traced(), ended(fingerprint={"cpu": "x", "numpy": "2"})])
    b = make(tmp_path / "b", [*traced(), ended(fingerprint={"cpu": "y", "numpy": "2"})])
    verdict = compare(a, b)
    assert verdict.equal
    assert verdict.lines[0] == "fingerprints differ, so traces may: cpu: x against y"


@pytest.mark.parametrize(
    ("file", "keep", "message"),
    [
        ("trace.bin", -1, "multiple"),
        ("trace.bin", 0, "has no trace"),
        ("values.msgpack", -1, "is truncated: its last entry"),
    ],
)
def test_a_truncated_file_is_reported(tmp_path: Path, file: str, keep: int, message: str) -> None:
    a, b = finished(tmp_path / "a", values=True), finished(tmp_path / "b", values=True)
    (b.path / file).write_bytes(b.read(file)[:keep])
    with pytest.raises(ValueError, match=message):
        compare(a, b)


def test_a_field_that_does_not_exist_is_damage(tmp_path: Path) -> None:
    a, b = finished(tmp_path / "a"), finished(tmp_path / "b")
    _flip(b, "trace.bin", ROW.itemsize - 9, bit=6)
    with pytest.raises(ValueError, match=r"trace\.bin is damaged: row 0"):
        compare(a, b)
