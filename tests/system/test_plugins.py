"""Worlds and schemes of another installed package: listed, run in every placement, and missed with a clear error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from protocol import plugins
from schemes.contract import load
from tests.docs.pages import block

ENTRY_POINTS = """\
[airtoll.worlds]
slotted_aloha = aloha_kit.channel:WORLD

[airtoll.schemes]
aloha1970/polite = aloha_kit.polite:SCHEME
aloha1970/broken = aloha_kit.broken:SCHEME
li2020/random = aloha_kit.polite:SCHEME
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with an installed package that is not airtoll's; one of its schemes cannot be imported, one has a name
    that is taken."""
    (tmp_path / "aloha_kit").mkdir()
    for name, text in (
        ("__init__.py", ""),
        ("channel.py", block("add-a-world.md", "# channel_server/worlds/slotted_aloha.py")),
        ("polite.py", block("add-a-scheme.md", "# schemes/aloha1970/polite.py")),
        ("broken.py", "import a_package_that_nobody_has\n"),
    ):
        (tmp_path / "aloha_kit" / name).write_text(text, "utf-8")
    about = tmp_path / "aloha_kit-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: aloha-kit\nVersion: 1.0\n", "utf-8")
    (about / "entry_points.txt").write_text(ENTRY_POINTS, "utf-8")
    return tmp_path


def _airtoll(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("airtoll")), *arguments]
    environment = os.environ | {"PYTHONPATH": str(packages), "COLUMNS": "200"}
    return subprocess.run(command, cwd=packages, env=environment, capture_output=True, text=True, timeout=120)


def test_they_are_listed_and_give_one_trace_in_every_placement(packages: Path) -> None:
    listed = _airtoll(packages, "schemes")
    assert "aloha1970/polite" in listed.stdout
    assert "warning: aloha-kit: scheme 'aloha1970/broken' of aloha-kit cannot be loaded: Module" in listed.stderr
    assert "warning: aloha-kit: airtoll has a 'li2020/random' of its own" in listed.stderr
    (packages / "polite.yaml").write_text("{world: slotted_aloha, scheme: aloha1970/polite, slots: 50}", "utf-8")
    digests = set()
    for placement in ("in-process", "processes"):
        ran = _airtoll(packages, "run", "polite.yaml", "--placement", placement, "--out", placement)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        digests.add(json.loads((packages / placement / "summary.json").read_text("utf-8"))["trace_digest"])
    assert len(digests) == 1


def test_what_is_not_installed_here_is_named() -> None:
    with pytest.raises(ValueError, match="no scheme 'aloha1970/polite' is installed here: install the package"):
        load("aloha1970/polite")
    with pytest.raises(ValueError, match="no world 'slotted_aloha' is installed here"):
        plugins.load("airtoll.worlds", "slotted_aloha")
