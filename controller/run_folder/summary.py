"""A run's results on one page, from what is in its folder."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from controller.config.schedule import PhaseSpan, completed_slots, spans
from controller.run_folder.distributions import Histogram, percentiles
from controller.run_folder.meta import COUNTED, RunMeta
from controller.run_folder.overhead import overhead
from controller.run_folder.reader import RunFolder
from controller.run_folder.toll import TollTable, summarised
from controller.run_folder.warnings import warnings
from protocol.accounting.wire_book import totals
from protocol.messages.telemetry import Window

_OF_META = (
    *("run_id", "seed", "world", "scheme", "placement", "replicas", "slots", "wall_s", "fingerprint", "trace_digest"),
    *("probes", "reason", "dropped", "missed", "paced", "trace", "air_rows_left_out", *COUNTED.values()),
)


def summarise(folder: RunFolder) -> dict[str, Any]:
    """The content of summary.json, without what only the baselines add (`comparison`). ValueError for a damaged file.

    Of a run that has not ended it has the results so far.
    """
    meta, windows = folder.meta, folder.windows()
    slots = meta.slots if meta.slots is not None else windows[-1].last + 1 if windows else 0
    tolls = _tolls(folder)
    slots_per_s = meta.slots / meta.wall_s if meta.slots and meta.wall_s else 0.0
    return {
        **{key: getattr(meta, key) for key in _OF_META},
        "state": meta.state.value,
        "untrained": meta.untrained,
        "start": msgspec.to_builtins(meta.start),
        "slots_per_s": round(slots_per_s, 1),
        "units": meta.units,
        "metrics": last_evaluation(meta, windows),
        "percentiles": _last_percentiles(meta, folder.histograms()),  # of the world's distributions
        "phases": _phases(folder),
        **tolls,
        "overhead": overhead(tolls["toll_by_phase"], meta.schedule, slots=slots, agents=meta.agents),
        "warnings": warnings(folder, slots),
        "comparison": [],
        "wire": _wire_totals(folder),
        **({"signalling": stats} if (stats := folder.delivery_stats()) else {}),
    }


def last_evaluation(meta: RunMeta, windows: Sequence[Window]) -> dict[str, float | None]:
    """The metrics' means over the last eval phase that has windows; empty if none has."""
    played = [rows for span in spans(meta.schedule) if span.phase == "eval" and (rows := _within(span, windows))]
    return means(played[-1]) if played else {}


def _last_percentiles(meta: RunMeta, histograms: Sequence[Histogram]) -> dict[str, float]:
    """Those of the world's distributions over the last eval phase that has values."""
    for span in reversed(spans(meta.schedule)):
        played = [part for part in histograms if span.first <= part.first < span.after]
        if span.phase == "eval" and played:
            return percentiles(played)
    return {}


def means(rows: Sequence[Window]) -> dict[str, float | None]:
    """Each metric's sum over its count in these windows, of which there is one at least; None where nothing was
    counted."""
    found: dict[str, float | None] = {}
    for name in rows[0].sums:
        # numpy sums pairwise: the mean does not drift with the number of windows
        total, count = (float(np.sum([part[name] for part in parts])) for parts in _parts(rows))
        found[name] = total / count if count else None
    return found


def _parts(rows: Sequence[Window]) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    return [row.sums for row in rows], [row.counts for row in rows]


def _phases(folder: RunFolder) -> list[dict[str, Any]]:
    """Each phase that has windows: its round, slots, metrics and toll; `trained_slots`: those of training up to its
    end. The eval phases are the learning curve."""
    windows, table, schedule = folder.windows(), folder.toll, folder.meta.schedule
    found = []
    for span in spans(schedule):
        if not (rows := _within(span, windows)):
            continue
        toll = TollTable(tuple(row for row in table.rows if span.first <= row.first < span.after), table.names)
        last = rows[-1].last
        of_phase = {"phase": span.phase, "round": span.round, "first": span.first, "last": last}
        trained = {"trained_slots": completed_slots(schedule, last + 1, of=["train"])}
        found.append(of_phase | trained | {"metrics": means(rows), "toll": summarised(toll.by("kind"))})
    return found


def _within(span: PhaseSpan, windows: Sequence[Window]) -> list[Window]:
    return [w for w in windows if w.phase == span.phase and span.first <= w.first < span.after]


def _tolls(folder: RunFolder) -> dict[str, Any]:
    table, phases = folder.toll, dict.fromkeys(span.phase for span in spans(folder.meta.schedule))
    by_phase = {phase: summarised(table.by("kind", [phase])) for phase in phases}
    return {"toll": summarised(table.by("kind")), "toll_by_phase": by_phase}


def _wire_totals(folder: RunFolder) -> dict[str, int] | None:
    """Sums over connections; None where there were none."""
    connections = folder.wire_book()
    sums: dict[str, int] | None = msgspec.to_builtins(totals(connections)) if connections else None
    return sums
