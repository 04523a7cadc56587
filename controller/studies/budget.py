"""On what footing a study compares schemes that learn: as many updates, bytes or slots of training.

The study's file states it, and the results are checked against it at each point of the grid and for each seed. Amounts
that differ by at most 1 % are equal. Schemes that do not learn have no budget.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.studies.cells import StudyCell
from controller.studies.measures import TRAINING_BYTES, TRAINING_SLOTS, UPDATES
from controller.studies.study_file import SCHEME, TRAIN, Study

_TOLERANCE = 0.01
_UNITS = {"equal updates": "updates", "equal bytes": "bytes/node", "equal slots": "slots"}

Labels = Mapping[str, str]
_Point = tuple[str, frozenset[tuple[str, str]]]  # a sweep, and the labels of the axes that are not compared


@dataclass(frozen=True)
class BudgetCheck:
    """Whether the budget is kept: a line per point at which schemes were trained, empty where it is."""

    stated: str
    faults: Mapping[_Point, str]

    def at(self, sweep: str, labels: Labels) -> str:
        """`equal updates`; `NOT equal updates: ...` where it is not kept; empty where nothing was trained."""
        for name in (sweep, TRAIN):  # an evaluation has the budget of its training
            for (of, point), fault in self.faults.items():
                if of == name and point <= set(labels.items()):
                    return fault or self.stated
        return ""

    @property
    def remark(self) -> str:
        """One line for the study."""
        broken = [f"{sweep}{_at(point)}: {fault}" for (sweep, point), fault in self.faults.items() if fault]
        if not broken:
            return f"{self.stated}, within {_TOLERANCE:.0%}" if self.faults else ""
        return broken[0] + (f", and at {len(broken) - 1} more points" if broken[1:] else "")


NO_BUDGET = BudgetCheck("", {})


def check_budget(study: Study, cells: Iterable[StudyCell], rows: Sequence[Mapping[str, str]]) -> BudgetCheck:
    """Compare what the schemes of each point were trained with, seed by seed."""
    compared = tuple(study.compare_to) or (SCHEME, f"{SCHEME}.name")
    done = {row["cell"]: row for row in rows if row["state"] == "SUCCEEDED"}
    amounts: dict[_Point, dict[int, dict[str, float | None]]] = {}
    for cell in cells if study.budget else ():
        row = done.get(cell.digest)
        if row is None or not cell.run.learns or cell.trained_by or not _trains(cell):
            continue
        point = (cell.sweep, frozenset(pair for pair in cell.labels.items() if pair[0] not in compared))
        who = ", ".join(label for axis, label in cell.labels.items() if axis in compared)
        amounts.setdefault(point, {}).setdefault(cell.run.config.seed, {})[who] = _amount(study.budget, cell, row)
    faults = {point: _fault(study.budget, seeds) for point, seeds in amounts.items()}
    return BudgetCheck(study.budget, faults)


def _trains(cell: StudyCell) -> bool:
    return any(phase.name == "train" for phase in cell.run.plan.phases)


def _amount(budget: str, cell: StudyCell, row: Mapping[str, str]) -> float | None:
    """None where a row of an earlier version lacks the number."""
    factors = {
        "equal updates": (row.get(UPDATES),),
        "equal bytes": (row.get(TRAINING_BYTES), row.get(TRAINING_SLOTS)),
        "equal slots": (row.get(TRAINING_SLOTS), str(cell.run.plan.replicas)),
    }[budget]
    product = 1.0
    for factor in factors:
        if not factor:
            return None
        product *= float(factor)
    return product


def _fault(budget: str, seeds: Mapping[int, Mapping[str, float | None]]) -> str:
    for seed, by_scheme in seeds.items():
        known = {who: amount for who, amount in by_scheme.items() if amount is not None}
        if unknown := [who for who in by_scheme if who not in known]:
            return (
                f"unknown whether {budget}: {unknown[0]}, seed {seed}, has no count of them: run it in another folder"
            )
        if max(known.values()) > (1 + _TOLERANCE) * min(known.values()):
            each = ", ".join(f"{who} {amount:,.0f}" for who, amount in known.items())
            return f"NOT {budget}: {each} {_UNITS[budget]} (seed {seed})"
    return ""


def _at(point: Iterable[tuple[str, str]]) -> str:
    named = ", ".join(f"{axis}={label}" for axis, label in sorted(point))
    return f", {named}" if named else ""
