"""A run's folder: telemetry is written at once, and read back."""

import errno
import json
import os
from pathlib import Path

import pytest
from msgspec import to_builtins

from controller.config.errors import ConfigError
from controller.config.resolved import load
from controller.config.run_config import dump_yaml
from controller.run_folder.files import replace_file
from controller.run_folder.reader import NotARunError, RunFolder
from controller.run_folder.status import State
from controller.run_folder.summary import summarise
from controller.run_folder.writer import RunWriter
from protocol.accounting.wire_book import totals
from protocol.messages.kinds import Kind
from protocol.messages.plan import PastEvent
from protocol.messages.telemetry import Event, Listening, Paced, Progress, Scalars, Spread
from tests.airtoll.folders import (
    air,
    config,
    connection,
    ended,
    finished,
    learning,
    make,
    toll_windows,
    traced,
    window,
    write,
)

SUMMARY_KEYS = [
    *("run_id", "seed", "world", "scheme", "placement", "replicas", "slots", "wall_s", "slots_per_s", "fingerprint"),
    *(
        "trace_digest",
        "metrics",
        "percentiles",
        "toll",
        "toll_by_phase",
        "probes",
        "wire",
        "state",
        "reason",
        "dropped",
        "missed",
        "units",
        "overhead",
        "warnings",
        "comparison",
    ),
    *("paced", "phases", "start", "trace", "air_rows_left_out"),
    "untrained",
    *("restarts", "rollbacks", "resumes"),
]


def test_the_summary_has_exactly_its_keys(tmp_path: Path) -> None:
    summary = finished(tmp_path / "a").summary
    assert sorted(summary) == sorted(SUMMARY_KEYS)
    assert json.loads((tmp_path / "a" / "summary.json").read_text()) == summary
    assert RunFolder.open(tmp_path / "a").summary == summary


def test_metrics_are_means_over_the_eval_phase_alone(tmp_path: Path) -> None:
    windows = [window("train", 0, 1, 100.0, 1.0), window("eval", 2, 2, 1.0, 1.0), window("eval", 3, 3, 5.0, 3.0)]
    summary = write(tmp_path / "a", [*windows, ended()]).summarise()
    assert summary["metrics"] == {"rate": 6 / 4, "idle": None}
    lines = (tmp_path / "a" / "metrics.csv").read_text().splitlines()
    assert lines[0] == "phase,first,last,rate_sum,rate_count,idle_sum,idle_count"
    assert lines[1:] == ["train,0,1,100.0,1.0,0.0,0.0", "eval,2,2,1.0,1.0,0.0,0.0", "eval,3,3,5.0,3.0,0.0,0.0"]


def test_the_toll_counts_notes_once_and_every_attempts_bits(tmp_path: Path) -> None:
    rows = [air(0, Kind.CSI), air(0, Kind.CSI, attempt=2), air(1, Kind.NEIGHBOUR, bits=1, size=1)]
    summary = write(tmp_path / "a", [*toll_windows(rows), ended()]).summarise()
    assert summary["toll"] == {
        "neighbour": {"notes": 1, "payload_bits": 1, "note_bytes": 1},
        "csi": {"notes": 1, "payload_bits": 72, "note_bytes": 10},
    }


def test_the_toll_by_phase_adds_up_and_the_closing_turn_is_of_the_last_phase(tmp_path: Path) -> None:
    rows = [air(0, Kind.HISTORY, bits=8, size=1, slot=slot) for slot in (0, 2, 3, 5)]
    windows = toll_windows([*rows, air(1, Kind.FEEDBACK, bits=1, size=1)], ("train", 3), ("eval", 2))
    summary = summarise(learning(tmp_path / "a", [*windows, ended()]))
    assert summary["toll_by_phase"] == {
        "train": {
            "feedback": {"notes": 1, "payload_bits": 1, "note_bytes": 1},
            "history": {"notes": 2, "payload_bits": 16, "note_bytes": 2},
        },
        "eval": {"history": {"notes": 2, "payload_bits": 16, "note_bytes": 2}},
    }
    assert summary["toll"]["history"]["notes"] == 4


def test_a_phase_without_notes_has_an_empty_toll(tmp_path: Path) -> None:
    assert summarise(learning(tmp_path / "a", [ended()]))["toll_by_phase"] == {"train": {}, "eval": {}}


def test_scalars_are_kept_as_one_line_each(tmp_path: Path) -> None:
    reports = [Scalars(3, "trainer", {"loss": 0.5, 'a "b", c': float("nan")}), Scalars(4, "pair-0", {"loss": 1e-20})]
    folder = make(tmp_path / "a", reports)
    lines = folder.read("scalars.csv").decode().splitlines()
    assert lines[:2] == ["slot,node,name,value", "3,trainer,loss,0.5"]
    assert [scalar[:3] for scalar in folder.scalars()] == [
        (3, "trainer", "loss"),
        (3, "trainer", 'a "b", c'),
        (4, "pair-0", "loss"),
    ]
    assert folder.scalars()[2].value == 1e-20
    assert make(tmp_path / "b", []).scalars() == []


def test_the_end_of_a_run_is_in_summary_and_meta(tmp_path: Path) -> None:
    end = ended(state="FAILED", reason="pair-1 failed", slots=3, probes=9, dropped={"late": 2}, missed={"pair-1": 1})
    writer = write(tmp_path / "a", [*traced(slots=3), end])
    summary, meta = writer.summarise(), to_builtins(writer.folder.meta)
    fields = ("state", "reason", "slots", "probes", "dropped", "missed")
    assert [summary[key] for key in fields] == ["FAILED", "pair-1 failed", 3, 9, {"late": 2}, {"pair-1": 1}]
    assert [meta[key] for key in fields] == [summary[key] for key in fields]
    assert summary["slots_per_s"] == 6.0


def test_the_timing_of_a_paced_run_is_in_summary_and_meta(tmp_path: Path) -> None:
    paced = Paced(10.0, {"pair-1": 4}, {"pair-1": 1}, {}, Spread(10.0, 10.0, 10.1, 12.0), Spread(0.1, 0.1, 0.2, 2.0))
    writer = write(tmp_path / "a", [ended(paced=paced)])
    assert writer.summarise()["paced"] == writer.folder.meta.paced == to_builtins(paced)
    assert write(tmp_path / "b", [ended()]).summarise()["paced"] is None


def test_the_wire_is_totalled_and_null_without_sockets(tmp_path: Path) -> None:
    wired = write(tmp_path / "a", [ended(wire=[connection()])]).summarise()["wire"]
    expected = totals([connection()])
    assert wired["note_bytes"] == expected.note_bytes == 40
    assert wired["undelivered_bytes"] == 7
    assert wired["socket_bytes"] == wired["note_bytes"] + wired["emulation_bytes"] + wired["framing_bytes"]
    assert write(tmp_path / "b", [ended()]).summarise()["wire"] is None


def test_equal_traces_have_equal_digests(tmp_path: Path) -> None:
    a, b, c = (make(tmp_path / n, [*traced(last=last), ended()]) for n, last in [("a", b"x"), ("b", b"x"), ("c", b"y")])
    assert a.meta.trace_digest == b.meta.trace_digest != c.meta.trace_digest


def test_the_files_of_a_cut_off_run_are_readable(tmp_path: Path) -> None:
    make(tmp_path / "a", [*traced(slots=2), window("eval", 0, 1, 1.0, 1.0), Progress(2), Listening("tcp://x:1")])
    folder = RunFolder.open(tmp_path / "a")
    assert len(folder.trace_rows()) == 4
    assert folder.windows() == [window("eval", 0, 1, 1.0, 1.0)]
    assert folder.meta.state is State.PENDING
    assert folder.read("log.txt") == b"listening at tcp://x:1\n"
    with pytest.raises(ValueError, match=r"no summary\.json: the run was cut off"):
        _ = folder.summary


def test_events_come_back_and_losses_among_them(tmp_path: Path) -> None:
    events = [Event("warning", 0, 0, "pair-0", "slow"), Event("lost", 1, 2, "pair-1", "gone")]
    folder = make(tmp_path / "a", [*events, Event("rejoined", 3, 0, "pair-1", "back")])
    assert folder.events()[:2] == events
    assert folder.past() == (PastEvent("lost", "pair-1", 1, 2), PastEvent("rejoined", "pair-1", 3, 0))
    assert b"slot 1, turn 2: lost pair-1: gone" in folder.read("log.txt")


def test_meta_has_what_repeats_the_run(tmp_path: Path) -> None:
    meta = make(tmp_path / "a", []).meta
    assert meta.names == ["pair-0", "pair-1", "pair-2", "trainer", "bs", "cue-0", "cue-1"]
    assert meta.agents == 3
    assert meta.command == ["airtoll", "run", "cell.yaml"]
    assert {"airtoll", "numpy", "protocol"} <= meta.versions.keys()
    assert "python" in meta.fingerprint


def test_the_resolved_configuration_is_kept(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", [], seed=77)
    assert load(folder.config_file) == config(seed=77)
    assert folder.read("config.yaml").decode() == dump_yaml(config(seed=77).config)


def test_runs_of_one_configuration_have_separate_folders(tmp_path: Path) -> None:
    resolved = config(out=str(tmp_path / "runs"))
    folders = [RunWriter.create(resolved) for _ in range(3)]
    assert len({folder.path for folder in folders}) == 3
    assert all(f.path == tmp_path / "runs" / f.folder.meta.run_id for f in folders)
    assert folders[0].path.name.startswith("d2d_underlay-li2020_random-s1-")


def test_a_folder_that_is_not_empty_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty; give a new folder, or remove it first"):
        RunWriter.create(config(), at=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for attempt in ({"at": tmp_path / "file" / "a"}, {"at": tmp_path / "file"}, {"at": None}):
        with pytest.raises(ConfigError, match=r"out: .*file.* cannot be created: .*; give another folder"):
            RunWriter.create(config(out=str(tmp_path / "file")), **attempt)


def test_a_folder_without_a_run_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(NotARunError, match=r"is not a run's folder: no config\.yaml"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("name", ["meta.json", "events.jsonl", "scalars.csv", "trace.bin"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    folder = finished(tmp_path / "a")
    (folder.path / name).write_bytes(b'\n{"x": 1')
    with pytest.raises(ValueError, match=name):
        _ = (folder.meta, folder.events(), folder.scalars(), folder.trace_rows())


def test_an_untrained_run_of_a_scheme_that_learns_is_marked(tmp_path: Path) -> None:
    untrained = write(tmp_path / "a", [ended()], scheme="li2020/maac", untrained=True).summarise()
    assert (untrained["untrained"], write(tmp_path / "b", [ended()]).summarise()["untrained"]) == (True, False)


def test_a_run_that_an_error_ends_has_failed(tmp_path: Path) -> None:
    writer = RunWriter.create(config(), at=tmp_path / "a")

    def execute() -> None:
        with writer.locked():
            assert writer.folder.meta.state is State.RUNNING
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        execute()
    meta = writer.folder.meta
    assert (meta.state, meta.reason) == (State.FAILED, "OSError: [Errno 28] No space left on device")
    assert not (tmp_path / "a" / ".reserve").exists()


def test_a_folder_that_cannot_be_filled_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        RunWriter.create(config(out=str(tmp_path / "runs")))
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_file_reaches_the_disk_before_its_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bool]] = []

    def fsync(descriptor: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), (tmp_path / "a").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    replace_file(tmp_path / "a", b"new", durable=False)
    assert synced == []
    (tmp_path / "a").unlink()
    replace_file(tmp_path / "a", b"new")
    assert synced == [(str(tmp_path / ".a.tmp"), False), (str(tmp_path), True)]
