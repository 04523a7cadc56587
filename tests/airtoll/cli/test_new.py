"""`airtoll new`: what it writes runs at once, passes its own tests and both laws, and overwrites nothing."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from airtoll.cli.commands import app


def _new(*words: object) -> Result:
    return CliRunner().invoke(app, ["new", *map(str, words)])


def _install(package: Path) -> None:
    """Let Python find the package as an installed one, with what its pyproject.toml declares."""
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    about = package / "src" / f"{project['name']}-{project['version']}.dist-info"
    about.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (about / "METADATA").write_text(head, "utf-8")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines), "utf-8")


def _run(package: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(package / "src"), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("words", "name", "listing"),
    [
        (("scheme", "doe2027/sleepy_nodes", "--world", "conflict_graph"), "sleepy_nodes", "doe2027/sleepy_nodes"),
        (("scheme", "doe2027/top_down", "--template", "central"), "top_down", "doe2027/top_down"),
        (("scheme", "ruled", "--template", "central", "--world", "conflict_graph"), "ruled", "mine/ruled"),
        (("world", "pond"), "pond", "pond"),
    ],
)
def test_a_new_package_runs_and_passes_its_tests(
    words: tuple[str, ...], name: str, listing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written = _new(*words)
    assert written.exit_code == 0, written.output
    steps = [line.strip() for line in written.stdout.splitlines() if line.startswith("    ")]
    assert steps[:2] == [f"cd {name}", "pip install --editable ."]
    package = tmp_path / name
    assert "my_" not in "".join(path.read_text("utf-8") for path in package.rglob("*") if path.is_file())
    _install(package)
    airtoll = str(Path(sys.executable).with_name("airtoll"))
    show, run, test = (step.split() for step in steps[2:])
    assert listing in _run(package, airtoll, *show[1:])
    assert " passed" in _run(package, sys.executable, *test[1:])
    digests = set()
    for placement in ("in-process", "processes"):
        _run(package, airtoll, *run[1:], "--placement", placement, "--out", placement)
        digests.add(json.loads((package / placement / "summary.json").read_text("utf-8"))["trace_digest"])
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("scheme", "My-Scheme"), "must be a Python name in lower case"),
        (("scheme", "class"), "must be a Python name in lower case"),
        (("scheme", "../evil/x"), "the part before / must be lower-case letters"),
        (("scheme", "numpy"), "a package of this name is installed; choose another name"),
        (("scheme", "li2020/sla"), "there is such a scheme already"),
        (("scheme", "mine", "--world", "pond"), "no world named 'pond'"),
        (("scheme", "mine", "--world", "pond"), "must be installed first: pip install --editable DIR"),
        (("world", "conflict_graph"), "there is such a world already"),
        (("world", "schemes"), "a package of this name is installed"),
    ],
)
def test_a_name_that_cannot_be_used_is_rejected(
    words: tuple[str, ...], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _new(*words)
    assert (result.exit_code, reason in result.stderr) == (2, True), result.output
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    result = _new("world", "pond", "--out", tmp_path / "here")
    assert (result.exit_code, "exists already; choose another name, or --out DIR" in result.stderr) == (2, True)
    assert list((tmp_path / "here").iterdir()) == []
    blocked = _new("world", "pond", "--out", "/dev/null/pond")
    assert (blocked.exit_code, "choose another folder with --out DIR" in blocked.stderr) == (2, True)


def test_the_tests_of_a_new_scheme_hold_for_one_that_sends_nothing(tmp_path: Path) -> None:
    """A newcomer's first change."""
    assert _new("scheme", "quiet", "--out", tmp_path / "quiet").exit_code == 0
    module = tmp_path / "quiet" / "src" / "quiet" / "quiet.py"
    text = module.read_text("utf-8")
    sends = text[text.index('    sends="') : text.index("    fallback=")]
    silent = text.replace(sends, '    sends="nothing",\n').replace(
        "(agents_exchange(), agents_act())", "(agents_act(),)"
    )
    module.write_text(silent, "utf-8")
    _install(tmp_path / "quiet")
    assert " passed" in _run(tmp_path / "quiet", sys.executable, "-m", "pytest", "-k", "toll")
