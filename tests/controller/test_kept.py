"""What a run keeps of its trace and of its air book, and that nothing that counts depends on it."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import airtoll
from airtoll.analysis.diff import compare
from airtoll.cli.commands import app
from controller.execution.in_process import run_in_process
from controller.run_folder.reader import RunFolder
from protocol.accounting.trace import TraceDigest, digest_of
from tests.recording import CELL, Checkpointed, plan_for

RUN: dict[str, Any] = {
    "world": CELL,
    "scheme": "li2020/sla",
    "phases": {"train": 20, "eval": 15, "rounds": 2},
    "placement": "in-process",
}


def _run(folder: Path, **record: Any) -> RunFolder:
    airtoll.run(RUN | {"record": record}, folder=folder)
    return RunFolder.open(folder)


def test_a_trace_is_kept_whole_in_eval_or_not_at_all_and_its_digest_is_the_same(tmp_path: Path) -> None:
    whole, evaluation, nothing = (_run(tmp_path / kept, trace=kept) for kept in ("all", "eval", "none"))
    rows = whole.trace_rows()
    in_eval = [slot % 35 >= 20 or slot >= 70 for slot in rows["slot"].tolist()]
    assert evaluation.trace_rows().tolist() == rows[in_eval].tolist()
    assert nothing.read("trace.bin") == b""
    assert len({folder.meta.trace_digest for folder in (whole, evaluation, nothing)}) == 1
    assert [folder.summary["trace"] for folder in (whole, evaluation, nothing)] == ["all", "eval", "none"]


def test_a_comparison_says_when_there_are_no_rows(tmp_path: Path) -> None:
    whole, nothing = _run(tmp_path / "a", trace="all"), _run(tmp_path / "b", trace="none")
    verdict = compare(whole, nothing)
    assert verdict.equal
    assert verdict.lines == (
        "equal: the digests of the whole traces; there are no rows to compare (all and none kept)",
    )
    airtoll.run(RUN | {"seed": 2, "record": {"trace": "none"}}, folder=tmp_path / "c")
    unlike = compare(nothing, RunFolder(tmp_path / "c"))
    assert not unlike.equal
    assert "run both with record.trace: all to see where" in unlike.lines[0]
    nothing.meta.changed(trace_digest=None).write(nothing.path)
    with pytest.raises(ValueError, match="was cut off and keeps only none of its trace"):
        compare(nothing, whole)


def test_a_difference_outside_eval_is_found_where_only_eval_is_kept(tmp_path: Path) -> None:
    a, b = _run(tmp_path / "a", trace="eval"), _run(tmp_path / "b", trace="eval")
    assert compare(a, b).lines[0].startswith("equal: ")
    b.meta.changed(trace_digest="0" * 32).write(b.path)
    assert compare(a, b).lines == (
        "traces differ before eval or between its rounds: no rows are kept there (record.trace: eval)",
    )


@pytest.mark.parametrize("kept", ["eval", "none"])
def test_a_replay_verifies_a_run_without_its_rows(tmp_path: Path, kept: str) -> None:
    _run(tmp_path / "run", trace=kept)
    done = CliRunner().invoke(app, ["replay", str(tmp_path / "run"), "--out", str(tmp_path / "again")])
    assert done.exit_code == 0, done.output
    assert "equal: " in done.output


def test_the_digest_of_a_resumed_run_without_rows_is_that_of_the_whole() -> None:
    plan = plan_for("li2020/sla", slots=60, checkpoint_every=25, record={"trace": "none", "air_book_rows": 5})
    kept = Checkpointed()
    run_in_process(plan, kept)
    past, after = kept.pasts[-1]
    run_in_process(plan, after, past=past)
    whole = Checkpointed()
    run_in_process(plan_for("li2020/sla", slots=60), whole)
    assert kept.ended is not None
    assert after.ended is not None
    assert after.ended.trace_digest == kept.ended.trace_digest == digest_of(whole.trace)
    assert after.ended.air_rows_left_out == kept.ended.air_rows_left_out == len(whole.air) - 5
    assert kept.air == after.air == whole.air[:5]


def test_the_digest_does_not_depend_on_how_the_rows_come() -> None:
    rows = bytes(range(256)) * 700  # more than two blocks
    digest = TraceDigest()
    for first in range(0, len(rows), 999):
        other = TraceDigest()
        other.restore(digest.snapshot())
        other.update(rows[first : first + 999])
        digest = other
    assert digest.hexdigest() == digest_of(rows) != digest_of(rows[:-1])


def test_an_air_book_that_is_full_leaves_the_toll_exact_and_the_summary_says_so(tmp_path: Path) -> None:
    whole, short = _run(tmp_path / "a"), _run(tmp_path / "b", air_book_rows=10)
    assert list(short.air_rows()) == list(whole.air_rows())[:10]
    assert short.read("toll.csv") == whole.read("toll.csv")
    assert short.summary["toll"] == whole.summary["toll"]
    assert short.summary["air_rows_left_out"] == len(list(whole.air_rows())) - 10
    assert whole.summary["air_rows_left_out"] == 0
    assert [event.reason for event in short.events()] == [
        "the air book is full (record.air_book_rows): from here on only the toll counts notes, in full"
    ]
