"""What khan2020's schemes send per slot (table III), by measurement: the rows of the air book of short runs.

Execution is the mean of the evaluation's last slots, training that of its slots. A note to several BSs crosses a wire
to each and is charged for each. `scalars` of a CSI, decision, neighbour or feedback note are its bits over those of the
number format.

    python -m reproduction.khan2020.exchange > reproduction/khan2020/results/exchange.csv
"""

from protocol.determinism import threads

threads.pin()

import csv  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Iterator, Mapping  # noqa: E402
from dataclasses import fields  # noqa: E402
from typing import Any  # noqa: E402

from airtoll.testing.recording import in_process  # noqa: E402
from channel_server.worlds.downlink_cells import KIN  # noqa: E402
from controller.config.resolved import load  # noqa: E402
from protocol.messages.kinds import Kind  # noqa: E402
from schemes.contract import load as scheme_named  # noqa: E402

NETWORKS: Mapping[str, Mapping[str, Any]] = {"3 cells": {}, "7 cells": KIN["khan2020, 7 cells"]}
SCHEMES = ("max_power", "strongest_user", "fp", "wmmse", "trpo_central", "trpo_partial", "trpo_full")
BITS = {"float32": 32, "float16": 16, "int8": 8}
TRAIN, EVAL, SETTLED = 10, 10, 4  # slots; the first ones of an evaluation still carry what training has left
Row = tuple[str, str, str, str, str, float, float | str]


def measured(network: str, scheme: str, precision: str) -> Iterator[Row]:
    """Network, scheme, format, phase, kind, bits per slot, scalars per slot."""
    described = scheme_named(f"khan2020/{scheme}")
    known = {field.name for field in fields(described.params)}
    small = {"rows_per_iteration": 1}
    params = {"csi": precision, "powers": precision} | small
    run = {
        "world": {"name": "downlink_cells", **NETWORKS[network]},
        "scheme": {"name": f"khan2020/{scheme}"} | {key: value for key, value in params.items() if key in known},
        "phases": {"train": TRAIN if described.learns else 0, "eval": EVAL},
    }
    air = in_process(load(run).plan_for("exchange")).air
    began = TRAIN if described.learns else 0
    phases = {"training": range(1, TRAIN), "execution": range(began + SETTLED, began + EVAL)}
    for phase, slots in phases.items():
        bits: Counter[Kind] = Counter()
        for row in air:
            if row.slot in slots:
                bits[row.kind] += row.payload_bits
        if phase == "execution" or described.learns:
            for kind in (*sorted(bits),) or (None,):
                per_slot = bits[kind] / len(slots) if kind is not None else 0.0
                name = "nothing" if kind is None else kind.name.lower()
                yield network, scheme, precision, phase, name, per_slot, _scalars(name, per_slot, precision)


def _scalars(kind: str, bits: float, precision: str) -> float | str:
    match kind:
        case "csi" | "decision" | "neighbour":
            return bits / BITS[precision]
        case "feedback":
            return bits / BITS["float32"]
        case "nothing":
            return 0.0
        case _:
            return ""


if __name__ == "__main__":
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["network", "scheme", "format", "phase", "kind", "bits_per_slot", "scalars_per_slot"])
    for network in NETWORKS:
        for scheme in SCHEMES:
            with_notes = scheme not in ("max_power", "strongest_user", "trpo_full")
            for precision in BITS if with_notes else ("float32",):
                table.writerows(measured(network, scheme, precision))
                sys.stdout.flush()
