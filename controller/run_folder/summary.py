"""A run's results on one page, from what is in its folder."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from controller.config.schedule import spans
from controller.run_folder.meta import COUNTED
from controller.run_folder.reader import RunFolder
from controller.run_folder.toll import summarised
from protocol.accounting.wire_book import totals
from protocol.messages.telemetry import Window

_OF_META = (
    *("run_id", "seed", "world", "scheme", "placement", "replicas", "slots", "wall_s", "fingerprint", "trace_digest"),
    *("probes", "reason", "dropped", "missed", "paced", *COUNTED.values()),
)


def summarise(folder: RunFolder) -> dict[str, Any]:
    """The content of summary.json. ValueError for a damaged file."""
    meta = folder.meta
    slots_per_s = meta.slots / meta.wall_s if meta.slots and meta.wall_s else 0.0
    return {
        **{key: getattr(meta, key) for key in _OF_META},
        "state": meta.state.value,
        "untrained": meta.untrained,
        "slots_per_s": round(slots_per_s, 1),
        "metrics": means_over_eval(folder.windows()),
        **_tolls(folder),
        "wire": _wire_totals(folder),
        **({"signalling": stats} if (stats := folder.delivery_stats()) else {}),
    }


def means_over_eval(windows: Sequence[Window]) -> dict[str, float | None]:
    """Each metric's sum over its count in the eval phase; None where nothing was counted."""
    rows = [window for window in windows if window.phase == "eval"]
    means: dict[str, float | None] = {}
    for name in rows[0].sums if rows else ():
        # numpy sums pairwise: the mean does not drift with the number of windows
        total, count = (float(np.sum([part[name] for part in parts])) for parts in _parts(rows))
        means[name] = total / count if count else None
    return means


def _parts(rows: Sequence[Window]) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    return [row.sums for row in rows], [row.counts for row in rows]


def _tolls(folder: RunFolder) -> dict[str, Any]:
    table, phases = folder.toll, [span.phase for span in spans(folder.meta.schedule)]
    by_phase = {phase: summarised(table.by("kind", [phase])) for phase in phases}
    return {"toll": summarised(table.by("kind")), "toll_by_phase": by_phase}


def _wire_totals(folder: RunFolder) -> dict[str, int] | None:
    """Sums over connections; None where there were none."""
    connections = folder.wire_book()
    sums: dict[str, int] | None = msgspec.to_builtins(totals(connections)) if connections else None
    return sums
