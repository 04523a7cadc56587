"""A run's answer over REST: the parts of its summary.json that a person looks for first."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from pydantic import ConfigDict

from controller.run_folder.files import DamagedFileError
from controller.run_folder.layout import SUMMARY
from controller.run_folder.reader import RunFolder
from controller.service.queries import with_live_status
from controller.service.store import ANSWER, Run


@dataclass(frozen=True)
class Answer:
    """`units`: of the metrics; `phases`: each with its round, slots, metrics and toll; `comparison`: a row per scheme,
    the run's own last, empty until its baselines have ended; `overhead`: of training and of execution; `warnings`: what
    to know before trusting the results."""

    units: dict[str, str]
    phases: list[dict[str, Any]]
    comparison: list[dict[str, Any]]
    overhead: dict[str, Any]
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class RunWithAnswer(Run):
    """One run with its configuration, its folder on the controller's machine and, once it has ended, its answer. While
    its baselines run it has the answer already, without `comparison`."""

    __pydantic_config__: ClassVar[ConfigDict] = ANSWER

    answer: Answer | None = None


def with_answer(run: Run) -> RunWithAnswer:
    """The run as it is now. It reads files: call it from a thread. A damaged summary is the answer's one warning."""
    live = with_live_status(run)
    return RunWithAnswer(**{one.name: getattr(live, one.name) for one in fields(live)}, answer=_answer(run))


def _answer(run: Run) -> Answer | None:
    if not (run.folder / SUMMARY).is_file():
        return None
    try:
        summary = RunFolder(run.folder).summary
        return Answer(**{one.name: summary[one.name] for one in fields(Answer)})
    except (DamagedFileError, KeyError) as damage:
        return Answer({}, [], [], {}, [f"{run.folder / SUMMARY} has no answer that can be read: {damage}"])
