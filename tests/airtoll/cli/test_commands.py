"""The command line: what it prints, and its exit codes."""

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

import airtoll
from airtoll.cli import controller_tables, output
from airtoll.cli.commands import COMMANDS, app, load
from controller.config import catalogue
from protocol.accounting.trace import ROW
from protocol.messages.kinds import Kind
from tests.airtoll.folders import CELL, air, ended, finished, learning, make, toll_windows, traced, window, write


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    path = tmp_path / "cell.yaml"
    path.write_text(yaml.safe_dump(CELL | {"out": str(tmp_path / "runs")}))
    return path


def test_a_run_prints_radio_toll_and_folder(cell: Path, tmp_path: Path) -> None:
    result = _call("run", cell, "--out", tmp_path / "a")
    assert result.exit_code == 0, result.output
    assert "d2d_sum_rate_bps_hz" in result.stdout
    assert "payload bits" in result.stdout
    assert result.stdout.splitlines()[-1] == str(tmp_path / "a")
    assert "slot 4 of 4" in result.stderr


UNREADABLE = (
    *("2026-01-01: 3", "? [a]\n: 3", "? {a: 1}\n: 3", "slots: !!bool abc", "slots: !!int ''", "slots: !!binary aGVs"),
    *(f"slots: {'9' * 6000}", f"world: 0x{'f' * 6000}", 'slots: "\\UFFFFFFFF"', "world: 2026-99-99", "a: &a [*a]"),
)


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_file_that_is_no_configuration_is_rejected_with_a_suggested_fix(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    for command in ("run", "study"):
        result = _call(command, tmp_path / "bad.yaml", "--out", tmp_path / "out")
        assert (result.exit_code, result.stdout) == (2, ""), result.output
        fixes = ("correct the YAML there", "known: ", "is missing", "airtoll run ")  # `study`: a run's file
        assert any(fix in result.stderr for fix in fixes)


@pytest.mark.parametrize(
    "value", ["!!bool abc", "{[a]: 1}", f"0x{'f' * 6000}", "9" * 6000, "&a [*a]", "{2026-01-01: 3}"]
)
def test_a_setting_that_is_no_value_is_rejected_with_its_key(cell: Path, value: str) -> None:
    result = _call("run", cell, "--set", f"slots={value}")
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "slots: " in result.stderr


def test_a_key_of_too_many_parts_is_rejected(cell: Path) -> None:
    result = _call("run", cell, "--set", f"{'a.' * 3000}b=1")
    assert result.exit_code == 2
    assert "is not a key: it has more than 32 parts" in result.stderr


def test_a_run_as_json_prints_the_summary_alone(cell: Path, tmp_path: Path) -> None:
    result = _call("run", cell, "--format", "json", "--set", "seed=9")
    summary = json.loads(result.stdout)
    assert (summary["state"], summary["slots"], summary["seed"]) == ("SUCCEEDED", 4, 9)
    assert summary == json.loads((tmp_path / "runs" / summary["run_id"] / "summary.json").read_text())


def test_two_runs_of_a_seed_are_equal_and_of_two_seeds_are_not(cell: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert _call("run", cell, "--set", f"seed={seed}", "--out", tmp_path / name).exit_code == 0
    same, other = _call("diff", tmp_path / "a", tmp_path / "b"), _call("diff", tmp_path / "a", tmp_path / "c")
    assert (same.exit_code, same.stdout[:6]) == (0, "equal:")
    assert (other.exit_code, other.stdout[:22]) == (1, "traces diverge at row ")


def test_a_replay_is_equal(cell: Path, tmp_path: Path) -> None:
    _call("run", cell, "--out", tmp_path / "a")
    result = _call("replay", tmp_path / "a")
    assert result.exit_code == 0, result.output
    assert f"replayed in {tmp_path / 'a' / 'replay'}" in result.stdout
    again = _call("replay", tmp_path / "a")
    assert (again.exit_code, "replay-2" in again.stdout) == (0, True)


def test_a_paced_run_reports_missed_turns_and_cannot_be_replayed(cell: Path, tmp_path: Path) -> None:
    result = _call("run", cell, "--placement", "processes", "--set", "clock.slot_ms=20", "--out", tmp_path / "a")
    assert result.exit_code == 0, result.output
    assert "slots of 20 ms lasted" in result.stdout
    assert "missed turns" in result.stdout
    replay = _call("replay", tmp_path / "a")
    assert (replay.exit_code, "is a paced run" in replay.stderr) == (2, True)
    suggestion = replay.stderr.split("airtoll run ")[1].split()
    assert _call("run", *suggestion, "--placement", "in-process", "--out", tmp_path / "b").exit_code == 0


def test_a_replay_of_a_trace_that_was_changed_differs(cell: Path, tmp_path: Path) -> None:
    _call("run", cell, "--out", tmp_path / "a")
    trace = bytearray((tmp_path / "a" / "trace.bin").read_bytes())
    trace[-1] ^= 1
    (tmp_path / "a" / "trace.bin").write_bytes(trace)
    result = _call("replay", tmp_path / "a", "--out", tmp_path / "again")
    assert result.exit_code == 1
    assert f"{tmp_path / 'a' / 'trace.bin'} was changed after its run" in result.stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--set", "world.rbs=0"], "world.rbs: 0 is not allowed: must be at least 1 (given by --set)\n"),
        (["--set", "world.rbs"], "--set 'world.rbs' is not allowed: write key=value, such as --set world.pairs=20\n"),
        (["--set", "world=d2d_underley"], "did you mean 'd2d_underlay'?"),
        (["--placement", "cloud"], "'processes', 'in-process'"),
        (["--colour", "red"], "No such option"),
    ],
)
def test_invalid_usage_exits_2_with_one_message(cell: Path, words: list[str], reason: str) -> None:
    result = _call("run", cell, *words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


def test_an_invalid_variable_exits_2(cell: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRTOLL_SED", "3")
    result = _call("run", cell)
    assert result.exit_code == 2
    assert "did you mean 'seed'? (given by AIRTOLL_SED)" in result.stderr


@pytest.mark.parametrize("words", [["toll"], ["frames"], ["replay"], ["diff", "."]])
def test_a_folder_that_is_no_run_exits_2(tmp_path: Path, words: list[str]) -> None:
    command, *others = words
    result = _call(command, *(tmp_path for _ in others), tmp_path)
    assert result.exit_code == 2
    assert result.stderr == f"{tmp_path} is not a run's folder: no config.yaml\n"


def test_a_damaged_trace_exits_1_and_names_its_file(tmp_path: Path) -> None:
    a, b = finished(tmp_path / "a"), finished(tmp_path / "b")
    (b.path / "trace.bin").write_bytes(b.read("trace.bin")[: ROW.itemsize + 3])
    result = _call("diff", a.path, b.path)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{b.path / 'trace.bin'}: the trace's length 20 is not a multiple")


@pytest.mark.parametrize("words", [["toll"], ["toll", "--by", "node"], ["diff"], ["resume"], ["replay"], ["plot"]])
def test_a_damaged_meta_exits_1_and_names_its_file(tmp_path: Path, words: list[str]) -> None:
    folder = finished(tmp_path / "a")
    (folder.path / "meta.json").write_text("")
    command, *options = words
    result = _call(command, folder.path, *([folder.path] if command == "diff" else []), *options)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith(f"{folder.path / 'meta.json'} cannot be read: ")


def test_a_data_folder_that_cannot_be_written_exits_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = _call("serve", "--port", 0, "--data", tmp_path / "file" / "data")
    assert result.exit_code == 2
    assert (
        result.stderr
        == f"--data: {tmp_path / 'file' / 'data'} cannot be written: Not a directory; give another folder\n"
    )


def test_an_index_that_is_no_database_exits_2(tmp_path: Path) -> None:
    (tmp_path / "airtoll.db").write_bytes(b"\xff" * 9000)
    result = _call("serve", "--port", 0, "--data", tmp_path)
    assert (result.exit_code, "repair or restore it" in result.stderr) == (2, True)


def test_closed_outputs_are_no_error(cell: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m airtoll run {cell} --out {tmp_path / 'a'} >&- 2>&-"
    assert subprocess.run(command, shell=True).returncode == 0


def test_the_toll_of_a_run_that_was_killed_is_shown(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", traced())
    assert _call("toll", folder.path).exit_code == 0


def test_the_toll_as_json(tmp_path: Path) -> None:
    result = _call("toll", finished(tmp_path / "a").path, "--by", "node", "--format", "json")
    tolls = json.loads(result.stdout)
    assert list(tolls) == ["pair-0", "pair-2"]
    assert tolls["pair-0"] == {"notes": 1, "payload_bits": 36, "note_bytes": 5, "copies": 2, "copy_bytes": 10}


def test_the_toll_of_one_phase_by_node_and_by_link(tmp_path: Path) -> None:
    rows = [air(node, Kind.CSI, slot=slot) for node, slot in ((0, 0), (2, 2), (1, 4))]
    folder = learning(tmp_path / "a", [*toll_windows(rows, ("train", 3), ("eval", 2)), ended(slots=5)])
    by_node = _call("toll", folder.path, "--by", "node", "--phase", "train", "--format", "json")
    assert list(json.loads(by_node.stdout)) == ["pair-0", "pair-2"]
    by_link = _call("toll", folder.path, "--by", "link", "--phase", "eval").stdout.splitlines()
    assert by_link[0].strip() == "toll of eval"
    assert ["sidelink", "1", "5", "36", "0.8333", "100.0%"] in [line.split() for line in by_link]  # 5 / (2 slots * 3)
    assert _call("toll", folder.path, "--phase", "training").exit_code == 2


def test_a_damaged_toll_exits_1(tmp_path: Path) -> None:
    folder = finished(tmp_path / "a")
    (folder.path / "toll.csv").write_bytes(b"phase,first\n")
    result = _call("toll", folder.path)
    assert result.exit_code == 1
    assert "toll.csv is damaged" in result.stderr


def test_frames_are_limited(cell: Path, tmp_path: Path) -> None:
    _call("run", cell, "--out", tmp_path / "a")
    result = _call("frames", tmp_path / "a", "--limit", 2)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("up   pair-0: Hello(protocol=")


def test_no_frames_exits_1(tmp_path: Path) -> None:
    result = _call("frames", finished(tmp_path / "a").path)
    assert (result.exit_code, "no frames were recorded" in result.stderr) == (1, True)


@pytest.mark.parametrize("name", catalogue.worlds())
def test_a_world_shows_all_its_parameters(name: str) -> None:
    shown, data = _call("worlds", name), _call("worlds", name, "--format", "json")
    parameters = json.loads(data.stdout)[name]["parameters"]
    assert parameters
    assert [p for p in parameters if p not in shown.stdout] == []


@pytest.mark.parametrize("name", catalogue.schemes())
def test_a_scheme_shows_its_card(name: str) -> None:
    shown, data = _call("schemes", name), _call("schemes", name, "--format", "json")
    assert shown.exit_code == 0
    assert json.loads(data.stdout)[name]["citation"] == catalogue.scheme_named(name).card.citation


def test_all_worlds_and_schemes_are_listed() -> None:
    assert list(json.loads(_call("worlds", "--format", "json").stdout)) == list(catalogue.worlds())
    assert [n for n in catalogue.schemes() if n not in _call("schemes").stdout] == []


def test_an_unknown_scheme_exits_2() -> None:
    result = _call("schemes", "li2020/slaa")
    assert (result.exit_code, "did you mean 'li2020/sla'?" in result.stderr) == (2, True)


def test_runs_from_python(cell: Path, tmp_path: Path) -> None:
    summary = airtoll.run(cell, seed=3, world={"pairs": 2}, folder=tmp_path / "a")
    assert (summary["state"], summary["seed"]) == ("SUCCEEDED", 3)
    assert json.loads((tmp_path / "a" / "meta.json").read_text())["agents"] == 2
    assert airtoll.run(CELL | {"out": str(tmp_path)}, seed=3)["slots"] == 4


WITHOUT_FORMAT = {
    "agent": "serves until it is stopped; its log is for people",
    "channel": "likewise",
    "init": "writes YAML",
    "keys": "has commands of its own, each with --format",
    "new": "writes a package and prints the commands that come next",
    "node": "is a process of a run and prints nothing",
    "serve": "serves until it is stopped; prints the URL it listens at",
}


def test_every_command_can_print_json() -> None:
    formats = {name: [option for option in load(name).params if "--format" in option.opts] for name in COMMANDS}
    assert {name for name, options in formats.items() if not options} == set(WITHOUT_FORMAT)
    assert len(formats) > 15


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_own_help_begins_with_its_line_in_the_overview(name: str) -> None:
    assert load(name).help.startswith(COMMANDS[name].summary.rstrip("."))
    assert COMMANDS[name].summary in " ".join(_call("--help").stdout.replace("│", " ").split())


def test_verdicts_plots_and_frames_as_json(cell: Path, tmp_path: Path) -> None:
    _call("run", cell, "--out", tmp_path / "a")

    def as_json(*words: object) -> Any:
        result = _call(*words, "--format", "json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    replayed = as_json("replay", tmp_path / "a", "--out", tmp_path / "b")
    assert (replayed["equal"], replayed["replayed_in"]) == (True, str(tmp_path / "b"))
    assert as_json("diff", tmp_path / "a", tmp_path / "b")["lines"][0].startswith("equal: ")
    frames = as_json("frames", tmp_path / "a", "--limit", "3")
    assert [frame["way"] for frame in frames] == ["up", "down", "up"]
    assert frames[0]["message"].startswith("Hello(") and bytes.fromhex(frames[0]["hex"])[1] == 1  # noqa: PT018
    assert as_json("plot", tmp_path / "a", "--curves") == {"files": [str(tmp_path / "a" / "plots" / "curves.png")]}


def test_the_package_imports_little_and_pins_threads() -> None:
    code = "import sys, airtoll.cli; import os; print(os.environ['OMP_NUM_THREADS'], 'numpy' in sys.modules or "
    code += "'pydantic' in sys.modules or 'typer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 False\n"


def test_the_overview_imports_no_commands_and_no_large_library() -> None:
    """`airtoll --help` is to appear at once: each of these takes a tenth of a second or more."""
    large = ("numpy", "pydantic", "yaml", "matplotlib", "torch", "fastapi", "sqlalchemy", "zmq", "airtoll.cli.output")
    code = f"""
import sys
from airtoll.cli import main
sys.argv = ["airtoll", "--help"]
try:
    main()
finally:
    print([name for name in {large} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert [name for name in COMMANDS if name not in done.stdout] == []


@pytest.mark.parametrize("reason", ["[red]x[/] pairs[3]", "[/]", ":warning: \\[b]"])
def test_texts_with_brackets_are_printed_as_they_are(reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    run: dict[str, Any] = dict.fromkeys(("id", "world", "scheme", "seed", "folder", "trace_digest"), "")
    run |= {"state": "FAILED", "reason": reason, "created": "2026-01-01T00:00:00+00:00", "slot": 1, "slots": 2}
    output.print_tables(controller_tables.runs([run]), controller_tables.run(run | {"folder": reason}))
    assert capsys.readouterr().out.count(reason) == 3


def test_an_invalid_url_exits_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRTOLL_URL", "localhost:8770")
    result = _call("list")
    assert (result.exit_code, result.stderr.startswith("AIRTOLL_URL: 'localhost:8770' is not")) == (2, True)


def test_the_version_is_printed() -> None:
    assert _call("--version").stdout == f"airtoll {airtoll.__version__}\n"


def test_a_run_keeps_a_copy_of_its_graph(tmp_path: Path) -> None:
    """The original may change or disappear; the run can be replayed all the same."""
    graph, config = tmp_path / "mine.yaml", tmp_path / "run.yaml"
    graph.write_text("agents: {a: [1], b: [2]}\nconflicts: {1: [2], 2: [1]}\n")
    config.write_text("world: {name: conflict_graph, graph: mine.yaml}\nscheme: zhang2025/llq\nslots: 20\n")
    first = _call("run", config, "--placement", "in-process", "--out", tmp_path / "a")
    assert first.exit_code == 0, first.output
    graph.unlink()
    again = _call("replay", tmp_path / "a")
    assert again.exit_code == 0, again.output


def test_a_folder_is_shown_without_a_controller(cell: Path, tmp_path: Path) -> None:
    extra = ("--set", "baselines=[li2020/random, li2020/greedy_central]", "--set", "scheme=li2020/sla")
    done = _call("run", cell, *extra, "--out", tmp_path / "a")
    assert "baseline 2 of 2: li2020/greedy_central" in done.stderr
    shown = _call("show", tmp_path / "a")
    assert shown.exit_code == 0, shown.output
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["state", "SUCCEEDED"] in rows
    assert ["slot", "4", "of", "4"] in rows
    assert [row[:1] for row in rows if row[:1] in (["li2020/random"], ["li2020/sla"])] == [
        ["li2020/random"],
        ["li2020/sla"],
    ]
    assert any(row == ["kind", "training", "/slot/node", "execution", "/slot/node"] for row in rows)
    assert "baselines:" not in shown.stderr
    data = json.loads(_call("show", tmp_path / "a", "--format", "json").stdout)
    assert data["comparison"] == json.loads((tmp_path / "a" / "summary.json").read_text())["comparison"]


def test_a_run_that_was_cut_off_is_shown_with_what_it_has(tmp_path: Path) -> None:
    writer = write(tmp_path / "a", [window("eval", 0, 1, 6.0, 2.0)], baselines=["li2020/sla"])
    shown = _call("show", writer.path)
    assert (shown.exit_code, shown.stderr) == (
        0,
        "baselines: 0 of 1 have ended; the table that compares comes after the last\n",
    )
    assert ["slot", "2", "of", "4"] in [line.split() for line in shown.stdout.splitlines()]
    assert _call("show", tmp_path / "none").stderr == f"{tmp_path / 'none'} is not a run's folder: no config.yaml\n"


def test_frames_have_values_and_are_chosen_by_node_slot_and_kind(cell: Path, tmp_path: Path) -> None:
    _call("run", cell, "--set", "scheme=li2020/greedy_central", "--placement", "processes", "--out", tmp_path / "a")
    asked = _call("frames", tmp_path / "a", "--node", "pair-1", "--slot", 1, "--kind", "csi").stdout.splitlines()
    assert [line.split(":")[0].split() for line in asked] == [["up", "pair-1"]]
    assert "csi to trainer" in asked[0]
    turns = _call("frames", tmp_path / "a", "--node", "pair-1", "--slot", 1).stdout
    assert "measures d2d_gain_db [" in turns
    assert "acts rb " in turns
    assert "Reply(slot=1" in _call("frames", tmp_path / "a", "--node", "pair-1", "--slot", 1, "--raw").stdout
    for option, fix in (("--node", "did you mean 'pair-1'?"), ("--kind", "known: ack, control, csi")):
        wrong = _call("frames", tmp_path / "a", option, "pair-11")
        assert (wrong.exit_code, fix in wrong.stderr) == (2, True), wrong.output


def test_tables_as_tsv_have_a_line_per_row(tmp_path: Path) -> None:
    lines = _call("toll", finished(tmp_path / "a").path, "--format", "tsv").stdout.splitlines()
    assert lines[0].split("\t") == ["kind", "notes", "bytes", "payload bits", "bytes/slot/node", "share of bits"]
    assert [line.split("\t")[:3] for line in lines[1:3]] == [["neighbour", "1", "5"], ["csi", "1", "8"]]
    schemes = _call("schemes", "--format", "tsv").stdout.splitlines()
    assert sum(line.partition("\t")[0] in catalogue.schemes() for line in schemes) == len(catalogue.schemes())


def test_ids_are_whole_outside_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run = {"id": "d" * 70, "state": "FAILED", "reason": "r " * 40, "created": "2026-01-01T00:00:00+00:00"}
    output.print_tables(controller_tables.runs([run | {"slot": 1, "slots": 2}]))
    [line] = [line for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    assert ("d" * 70 in line, line.count("r ")) == (True, 40)


def test_the_shell_completes_commands() -> None:
    asked = {"_AIRTOLL_COMPLETE": "complete_bash", "COMP_WORDS": "airtoll sche", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from airtoll.cli import main; sys.argv = ['airtoll']; main()"],
        env=os.environ | asked,
        capture_output=True,
        text=True,
    )
    assert set(done.stdout.split()) == {"schema", "schemes"}


@pytest.mark.parametrize(("token", "problem"), [("", "is missing"), ("another-token-of-16", "is another")])
def test_a_missing_token_is_named(monkeypatch: pytest.MonkeyPatch, token: str, problem: str) -> None:
    class Rejecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Rejecting)
    thread = Thread(target=server.handle_request)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AIRTOLL_URL", url)
    monkeypatch.setenv("AIRTOLL_TOKEN", token)
    result = _call("list")
    thread.join()
    server.server_close()
    assert result.exit_code == 2
    assert (
        result.stderr == f"the token of the controller at {url} {problem}: set AIRTOLL_TOKEN, or AIRTOLL_TOKEN_FILE\n"
    )
