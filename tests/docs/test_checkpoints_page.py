"""docs/checkpoints.md against the code: its run, the files that the run leaves, the policies of its table."""

import re
from pathlib import Path
from typing import get_args

import airtoll
from controller.config.formats import parse_yaml
from controller.run_folder.reader import RunFolder
from protocol.messages.plan import LossPlan, OnLoss
from tests.docs.pages import block, page, table

PAGE = "checkpoints.md"


def test_the_run_leaves_the_files_that_the_page_lists(tmp_path: Path) -> None:
    settings = parse_yaml(block(PAGE, "# kept.yaml"))
    airtoll.run(settings, folder=tmp_path / "run", placement="in-process")
    folder = RunFolder.open(tmp_path / "run")
    assert folder.checkpoints.slots == [40, 20]
    listed = re.findall(r"^    DIR/(checkpoints/\S+)", page(PAGE), re.MULTILINE)
    there = {str(path.relative_to(folder.path)) for path in (folder.path / "checkpoints" / "40").iterdir()}
    assert there == {*listed, "checkpoints/40/node-1"}


def test_the_table_has_every_policy_for_a_loss() -> None:
    assert [row[0] for row in table(PAGE, "`on_node_loss.action`")] == list(get_args(OnLoss))
    plan = LossPlan("fail", "hold", 10.0, 600.0)
    does = dict(table(PAGE, "`on_node_loss.action`"))
    assert {"max_restarts", f"({plan.max_restarts})"} <= set(re.split(r"[\s;,]+", does["restart"]))
    assert {"pause_s", f"({plan.pause_s:g})"} <= set(does["pause"].split())
