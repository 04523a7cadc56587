"""docs/books-of-learning.md: its run, run again; its notes against those that were sent; its sizes, computed again."""

from pathlib import Path
from struct import Struct
from typing import Any

import msgspec
import numpy as np
import pytest

from airtoll.analysis.streams import read_arrays
from controller.config.formats import parse_yaml
from controller.config.resolved import load
from protocol.accounting.air_book import AirRow
from protocol.messages.codec import decode_for_node, decode_for_server
from protocol.messages.kinds import Kind
from protocol.messages.node import SEQUENCE_BYTES, Note, Reply, Welcome
from schemes.li2020.cell_info import Standardiser, cell_info
from schemes.li2020.maac import Maac
from schemes.li2020.pair import VIEW, layout_of
from schemes.parts.history import HistoryChunk, Layout, read_chunk
from schemes.parts.numpy_nets import draw_mlp
from schemes.parts.weights import Precision, read_weights, write_weights
from tests.docs.pages import block, quoted_table, states, table
from tests.recording import Recording, in_process, plan_for

PAGE = "books-of-learning.md"
VERSION = Struct("<I")  # of the policy, before the safetensors of weights
SEQUENCE = 3  # of the first history and the first weights
TRAINING_SLOTS = 4
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")


def _run(**scheme: Any) -> Recording:
    settings: dict[str, Any] = parse_yaml(block(PAGE, "# learning.yaml"))
    return in_process(load(settings | {"scheme": settings["scheme"] | scheme}).plan_for("page"))


@pytest.fixture(scope="module")
def recording() -> Recording:
    """The page's run."""
    return _run()


def _frames(recording: Recording, folder: Path, way: str, peer: str) -> list[bytes]:
    (folder / "frames.msgpack").write_bytes(recording.files["frames.msgpack"])
    return [frame for w, p, frame in read_arrays(folder / "frames.msgpack", 3) if (w, p) == (way, peer)]


def _sent(recording: Recording, folder: Path, peer: str, kind: Kind) -> list[Note]:
    messages = map(decode_for_server, _frames(recording, folder, "up", peer))
    return [note for m in messages if isinstance(m, Reply) for note in m.outbox if note.kind == kind]


def _layout(recording: Recording, folder: Path) -> Layout:
    [welcome] = [
        m for m in map(decode_for_node, _frames(recording, folder, "down", "pair-0")) if isinstance(m, Welcome)
    ]
    return layout_of(welcome, Maac())


def _body(rows: list[list[str]]) -> bytes:
    """The bytes printed in a table's second column; each row as many as its first says."""
    parts = [_bytes(row[1]) for row in rows]
    assert [len(part) for part in parts] == [int(row[0]) for row in rows]
    return b"".join(parts)


def _bytes(cell: str) -> bytes:
    text, _, spaces = cell.removeprefix("`").partition("` and ")
    if spaces:
        return text.encode() + b" " * int(spaces.split()[0])
    return bytes.fromhex(text.removesuffix("`"))


def test_the_air_book_line_by_line(recording: Recording) -> None:
    *printed, total = [[cell.replace(",", " ") for cell in row] for row in quoted_table(PAGE, "slots")]
    shown = sorted(
        (int(slot), int(turn), Kind[kind.upper()], int(size))
        for slots, turn, kind, notes, size, _ in printed
        for slot in slots.split()
        for _ in range(int(notes) // len(slots.split()))
    )
    assert shown == sorted((row.slot, row.turn, row.kind, row.note_bytes) for row in recording.air)
    assert all(int(notes) * int(size) == int(summed) for _, _, _, notes, size, summed in printed)
    assert [total[3], total[5]] == [str(len(recording.air)), str(sum(row.note_bytes for row in recording.air))]
    bits = sum(row.payload_bits for row in recording.air)
    assert states(PAGE, (bits - 8) // 8, bits)


def test_a_history_byte_by_byte(recording: Recording, tmp_path: Path) -> None:
    first, second = _sent(recording, tmp_path, "pair-0", Kind.HISTORY)
    layout = _layout(recording, tmp_path)
    rows = quoted_table(PAGE, "bytes", 0)
    body = _body(rows)
    assert [first.size_bytes, second.size_bytes] == [99, 77] == [4 + len(body), 4 + 7 + 2 * layout.row.itemsize]
    assert states(PAGE, "sequence number", SEQUENCE, first.size_bytes, len(first.body))
    assert (first.sequence, SEQUENCE_BYTES) == (SEQUENCE, 4)
    shown, sent = (read_chunk(each, layout) for each in (body, first.body))
    assert (shown.first_slot, len(shown.rows)) == (sent.first_slot, len(sent.rows)) == (0, 2)
    np.testing.assert_allclose(_numbers(shown), _numbers(sent), rtol=1e-4)
    values = [float(value) for row in rows for value in row[3].split(", ") if value]
    assert values[:3] == [0, 2, 1]
    np.testing.assert_allclose(values[3:], _numbers(sent)[: len(values) - 3], atol=0.006)


def _numbers(chunk: HistoryChunk) -> list[float]:
    """Every number of a history of one replica, in the order in which they lie in it."""
    assert chunk.first_state is not None
    return [number for record in (chunk.first_state[0], *chunk.rows) for number in _flat(record)]


def _flat(record: Any) -> list[float]:
    if record.dtype.names:
        return [number for name in record.dtype.names for number in _flat(record[name])]
    return [number for part in record for number in _flat(part)] if record.ndim else [float(record)]


def test_an_acknowledgement_is_the_number(recording: Recording, tmp_path: Path) -> None:
    [ack] = _sent(recording, tmp_path, "pair-0", Kind.ACK)
    [weights, *_] = _sent(recording, tmp_path, "trainer", Kind.WEIGHTS)
    assert (ack.body, ack.sequence, ack.size_bytes) == (b"", weights.sequence, SEQUENCE_BYTES)
    assert states(PAGE, "acknowledgement", f"sequence {weights.sequence}", f"{SEQUENCE_BYTES} bytes on the air")


@pytest.mark.parametrize(("precision", "size"), [("float32", 336), ("float16", 300), ("int8", 562)])
def test_weights_byte_by_byte(precision: Precision, size: int, tmp_path: Path) -> None:
    note = _sent(_run(weights=precision), tmp_path, "trainer", Kind.WEIGHTS)[0]
    header = Struct("<Q").unpack_from(note.body, VERSION.size)[0]
    tensors = VERSION.size + 8 + header  # where they begin
    assert (note.sequence, note.size_bytes, len(note.body)) == (SEQUENCE, size, size - SEQUENCE_BYTES)
    assert states(PAGE, size, "bytes")
    assert header == {"float32": 248, "float16": 248, "int8": 512}[precision]
    shown = {"float32": _body(quoted_table(PAGE, "bytes", 1)), "float16": note.body, "int8": note.body[:tensors]}[
        precision
    ]
    if precision == "int8":
        shown += _body(quoted_table(PAGE, "bytes", 2))
    assert shown[:tensors] == note.body[:tensors]
    (version, weights), (sent_version, sent) = (read_weights(body) for body in (shown, note.body))
    assert (version, weights.keys()) == (sent_version, sent.keys())
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, sent[name], atol=0.006 if precision == "int8" else 1e-4)


@pytest.mark.parametrize("delay", [0, 3])
def test_no_note_is_sent_in_execution(delay: int) -> None:
    settings: dict[str, Any] = parse_yaml(block(PAGE, "# learning.yaml"))
    phases = settings["phases"] | {"eval": 40}
    plan = load(settings | {"phases": phases, "train_delay_slots": delay}).plan_for("page")
    assert max(row.slot for row in in_process(plan).air) <= TRAINING_SLOTS + 2 + delay - 1
    assert states(PAGE, "2 + train_delay_slots", "eval")


@pytest.mark.parametrize("layout", ["per_rb", "compact"])
def test_the_papers_sizes(layout: str, tmp_path: Path) -> None:
    [printed] = [row[1:] for row in table(PAGE, "layout") if row[0] == layout]
    world = {"name": "d2d_underlay", "observation": layout}
    phases = {"warmup": 25, "train": 0, "eval": 1}
    plan = plan_for("li2020/maac", world, slots=None, phases=phases, params={"critic_hidden": [4, 4]})
    recording = in_process(msgspec.structs.replace(plan, record=msgspec.structs.replace(plan.record, frames_slots=1)))
    [welcome] = [m for m in map(decode_for_node, _frames(recording, tmp_path, "down", "pair-0")) if type(m) is Welcome]
    rows, inputs = layout_of(welcome, Maac()), Standardiser(cell_info(welcome), welcome.views[VIEW]).inputs
    note = _history_at(20, recording.air)
    assert note == 10 * rows.row.itemsize + SEQUENCE_BYTES + 7
    actor = draw_mlp(np.random.default_rng(0), (inputs, 512, 128, cell_info(welcome).n_actions))
    weights = [SEQUENCE_BYTES + len(write_weights(actor, 1, precision)) for precision in PRECISIONS]
    sizes = [inputs, rows.state.itemsize, rows.row.itemsize, note, note / 10, *weights, 0]
    assert [float(cell.replace(",", "")) for cell in printed] == sizes


def _history_at(slot: int, air: list[AirRow]) -> int:
    [size] = {row.note_bytes for row in air if row.slot == slot and row.kind == Kind.HISTORY}
    return size


def test_what_follows_from_the_sizes() -> None:
    per_slot, weights = (float(table(PAGE, "layout")[0][column].replace(",", "")) for column in (5, 6))
    assert states(PAGE, f"{weights / 100:.0f}", f"{weights / 100 / per_slot:.0f}", "100", "float32", "per_rb")
