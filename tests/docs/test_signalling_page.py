"""docs/signalling-model.md: its run, run again; its script on that run's air book; its keys and numbers."""

import subprocess
import sys
from pathlib import Path

import pytest

import airtoll
from channel_server.worlds.d2d_underlay import D2DUnderlay
from controller.config.formats import parse_yaml
from controller.config.resolved import load
from controller.config.signalling import LinkSettings, Signalling
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.signalling import PRIORITIES
from tests.docs.pages import DOCS, block, states, table

PAGE = "signalling-model.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's run, in one process."""
    out = tmp_path_factory.mktemp("late")
    airtoll.run(parse_yaml(block(PAGE, "# late.yaml")) | {"placement": "in-process"}, out=str(out))
    [made] = out.iterdir()
    return made


def test_the_script_prints_the_lines_of_the_page(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "timeline.py"
    script.write_text(block(PAGE, "# timeline.py"), "utf-8")
    run = [sys.executable, str(script), str(folder)]
    printed = subprocess.run(run, capture_output=True, text=True, check=True, cwd=DOCS.parent, env={"PYTHONPATH": "."})
    assert printed.stdout == block(PAGE, printed.stdout.partition("\n")[0])


def test_the_toll_command_prints_the_table_of_the_page(folder: Path) -> None:
    command = [sys.executable, "-m", "airtoll", "toll", str(folder)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=DOCS.parent).stdout
    shown = block(PAGE, "$ airtoll toll late").splitlines()[2:]
    lines = [line.rstrip() for line in printed[printed.index("under the") :].splitlines()]
    assert [line for line in lines if line] == [line for line in shown if line]


def test_every_key_is_listed() -> None:
    listed = {key for keys, _ in table(PAGE, "key") for key in keys.split(", ")}
    assert listed == set(Signalling.model_fields) | set(LinkSettings.model_fields)
    assert {link.name.lower() for link in LinkClass} | {kind.name.lower() for kind in Kind} < listed
    [(_, priorities)] = [row for row in table(PAGE, "key") if row[0] == "priorities"]
    assert priorities.endswith(", ".join(kind.name.lower() for kind in PRIORITIES))


def test_the_numbers_of_the_text(folder: Path) -> None:
    cell = D2DUnderlay()
    slot_ms, width_khz = f"{cell.slot_s * 1e3:g} ms", f"{cell.rb_width_hz / 1e3:g} kHz"
    assert (cell.rbs, states(PAGE, width_khz, slot_ms, "5.8 bit/s/Hz", "10 kbit")) == (10, True)
    assert round(cell.rbs * cell.rb_width_hz * cell.slot_s * 5.8, -3) == 10_000
    late = load(
        {"world": "d2d_underlay", "scheme": "li2020/maac", "untrained": True}
        | {"signalling": {"all": {"delay_slots": 2}}}
    )
    assert late.plan_for("x").signalling.resend_after_slots == 2 + 2 + 10
