"""The reader of a growing folder: complete lines only, and windows as they were written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.run_folder.files import csv_rows, ends_line, last_line_end, read_chunk, whole_lines
from protocol.messages.telemetry import Event, Scalars
from tests.airtoll.folders import make, window


def test_a_line_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    windows = [window("train", 0, 1, 2.5, 1.0), window("eval", 2, 3, 1e-20, 3.0)]
    folder = make(tmp_path / "a", [*windows, Scalars(3, "trainer", {"loss": 0.5})])
    for file, half in (("metrics.csv", "eval,4,5,1.0"), ("scalars.csv", "4,trainer,lo"), ("events.jsonl", '{"event"')):
        with (folder.path / file).open("a") as stream:
            stream.write(half)
    assert folder.windows() == windows
    assert [scalar.value for scalar in folder.scalars()] == [0.5]
    assert folder.events() == []


def test_windows_of_a_damaged_file_are_reported(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", [window("eval", 0, 1, 2.5, 1.0)])
    (folder.path / "metrics.csv").write_text("phase,first,last,rate_sum\neval,0,1,2.5\n")
    with pytest.raises(ValueError, match=r"metrics\.csv is damaged"):
        folder.windows()


@given(lines=st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=9), max_size=9))
def test_pieces_of_a_growing_file_make_up_its_complete_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("growing") / "log.txt"
    assert (whole_lines(path), read_chunk(path, 0), last_line_end(path)) == ([], b"", 0)
    data, read = "".join(f"{line}\n" for line in lines).encode() + b"half", b""
    for end in range(len(data) + 1):
        path.write_bytes(data[:end])
        read += read_chunk(path, len(read))
        assert len(read) == last_line_end(path)
        assert not read or ends_line(path, len(read))
    assert read.decode().splitlines() == whole_lines(path) == lines


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x1c", "\x0b", "\x0c"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, mark: str) -> None:
    name = f"a{mark}b"
    event = Event("refused", 3, 0, name, "no such seat")
    folder = make(tmp_path / "a", [event, Scalars(3, name, {name: 0.5})])
    assert folder.events() == [event]
    assert [(scalar.node, scalar.name) for scalar in folder.scalars()] == [(name, name)]


def test_rows_of_a_piece_have_the_files_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("slot,name\n1,x\n2,y\n")
    assert csv_rows(tmp_path / "a.csv", ["2,y"]) == csv_rows(tmp_path / "a.csv")[1:] == [{"slot": "2", "name": "y"}]
