"""A run's signalling overhead in two parts: what training costs, and what execution costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from controller.config.schedule import EXECUTION_PHASES, TRAINING_PHASES, completed_slots
from protocol.messages.plan import PhasePlan

_TRAINING_KINDS = ("history", "weights", "ack")
_COUNTS = ("notes", "note_bytes", "payload_bits")

Tolls = Mapping[str, Mapping[str, int]]


def overhead(
    by_phase: Mapping[str, Tolls], schedule: Sequence[PhasePlan], *, slots: int, agents: int
) -> dict[str, Any]:
    """`training` and `execution`, each with its slots, notes, bytes, payload bits, bytes per slot and node, and the
    same counts by kind.

    Training: all notes of warmup and train, and the histories, weights and acknowledgements that are still sent in
    eval, which are its last (`late_bytes`). Execution: all other notes of eval. `slots`: those that are done.
    """
    in_eval = _phases(by_phase, EXECUTION_PHASES)
    late = {kind: toll for kind, toll in in_eval.items() if kind in _TRAINING_KINDS}
    before = _phases(by_phase, TRAINING_PHASES)
    training = {kind: _sum([part[kind] for part in (before, late) if kind in part]) for kind in [*before, *late]}
    execution = {kind: toll for kind, toll in in_eval.items() if kind not in late}
    return {
        "training": _part(training, completed_slots(schedule, slots, of=TRAINING_PHASES), agents)
        | {"late_bytes": sum(toll["note_bytes"] for toll in late.values())},
        "execution": _part(execution, completed_slots(schedule, slots, of=EXECUTION_PHASES), agents),
    }


def _part(kinds: Tolls, slots: int, agents: int) -> dict[str, Any]:
    total = _sum(list(kinds.values()))
    rate = total["note_bytes"] / (slots * agents) if slots else None
    return {"slots": slots, **total, "bytes_per_slot_per_node": rate, "kinds": kinds}


def _phases(by_phase: Mapping[str, Tolls], phases: Sequence[str]) -> dict[str, dict[str, int]]:
    parts = [by_phase[phase] for phase in phases if phase in by_phase]
    kinds = dict.fromkeys(kind for part in parts for kind in part)
    return {kind: _sum([part[kind] for part in parts if kind in part]) for kind in kinds}


def _sum(tolls: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {key: sum(toll[key] for toll in tolls) for key in _COUNTS}
