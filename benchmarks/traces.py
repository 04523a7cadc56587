"""Digests of every scheme's trace and its toll in payload bits, to compare two states of the project.

    python -m benchmarks.traces record before.json          at one commit
    python -m benchmarks.traces record after.json           at another
    python -m benchmarks.traces compare before.json after.json

Each scheme runs in every world that its card names, with seeds 1 to 3, under ideal and impaired signalling, in one
process; schemes that learn have slots of warmup, training and eval, small networks and delayed weights. `compare` names
what differs and exits with 1 if anything does: the trace, the trace without the encoded notes (measurements, actions,
rewards, metrics), the payload bits of each kind of note.
"""

import dataclasses
import json
import sys
import tempfile
from collections import Counter
from hashlib import blake2b
from importlib import import_module
from itertools import product
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from protocol.determinism import threads

threads.pin()

import msgpack  # noqa: E402
from xxhash import xxh3_128_hexdigest  # noqa: E402

import schemes  # noqa: E402
from airtoll.api import run  # noqa: E402
from protocol.accounting.trace import TraceField, read_rows  # noqa: E402
from schemes.contract import EVERY_WORLD  # noqa: E402

SEEDS = (1, 2, 3)
SIGNALLING: dict[str, Any] = {
    "ideal": "ideal",
    "impaired": {
        "all": {"delay_slots": 1, "loss": 0.1, "bits_per_slot": 2000, "ack": {"delay_slots": 0}},
        "priorities": ["feedback"],
    },
}
WORLDS: dict[str, dict[str, Any]] = {
    "d2d_underlay": {"name": "d2d_underlay", "pairs": 4, "rbs": 3},
    "conflict_graph": {"name": "conflict_graph"},
    "traffic_cells": {"name": "traffic_cells", "rings": 1, "devices_per_cell": 2, "subbands": 2},
}
SMALL_NETWORKS = {
    "actor_hidden": [32, 16],
    "critic_hidden": [32, 32, 16],
    "hidden": [32, 16],
    "batch": 16,
    "upload_every_slots": 5,
    "push_every_slots": 10,
}
_KIND, _PAYLOAD_BITS = 5, 8  # columns of the air book
_PARTS = ("trace_digest", "digest_without_notes", "payload_bits")


def record() -> dict[str, dict[str, Any]]:
    """Per scheme, world, seed and signalling model: the trace's digest and the payload bits of each kind of note."""
    recorded = {}
    for scheme, seed, model in product(_schemes(), SEEDS, SIGNALLING):
        for world in scheme.card.worlds if scheme.card.worlds != EVERY_WORLD else ():
            key = f"{scheme.card.name} in {world}, seed {seed}, {model}"
            recorded[key] = _recorded(scheme, WORLDS.get(world, {"name": world}), seed, SIGNALLING[model])
            print(key, recorded[key]["trace_digest"], flush=True)
    return recorded


def _schemes() -> list[Any]:
    """Every scheme, found in the package `schemes`, so that states with another catalogue can be compared."""
    papers = [m for m in iter_modules(schemes.__path__) if m.ispkg and m.name != "parts"]
    names = [
        f"schemes.{paper.name}.{module.name}"
        for paper in papers
        for module in iter_modules(import_module(f"schemes.{paper.name}").__path__)
        if not module.name.startswith("learner")
    ]
    modules = [import_module(name) for name in names]
    return [module.SCHEME for module in modules if hasattr(module, "SCHEME")]


def _recorded(scheme: Any, world: dict[str, Any], seed: int, signalling: Any) -> dict[str, Any]:
    known = {field.name for field in dataclasses.fields(scheme.params)}
    params = {key: value for key, value in SMALL_NETWORKS.items() if key in known}
    config: dict[str, Any] = {"world": world, "scheme": {"name": scheme.card.name} | params, "seed": seed}
    config |= {"signalling": signalling, "placement": "in-process"}
    if scheme.learns:
        config |= {"phases": {"warmup": 60, "train": 180, "eval": 60}, "train_delay_slots": 3}
    else:
        config |= {"slots": 300}
    with tempfile.TemporaryDirectory() as folder:
        run(config, folder=folder)
        return {
            "trace_digest": blake2b((Path(folder) / "trace.bin").read_bytes(), digest_size=16).hexdigest(),
            "digest_without_notes": _digest_without_notes(Path(folder)),
            "payload_bits": _payload_bits(Path(folder)),
        }


def _digest_without_notes(folder: Path) -> str:
    rows = read_rows((folder / "trace.bin").read_bytes())
    return xxh3_128_hexdigest(rows[rows["field"] != TraceField.NOTES].tobytes())


def _payload_bits(folder: Path) -> dict[str, int]:
    bits: Counter[str] = Counter()
    book = folder / "air_book.msgpack"
    for row in msgpack.Unpacker(book.open("rb")) if book.exists() else ():
        bits[str(row[_KIND])] += row[_PAYLOAD_BITS]
    return dict(sorted(bits.items()))


def compare(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Print what is equal and what differs; whether all is equal."""
    same = 0
    for key in sorted(before.keys() | after.keys()):
        parts = [part for part in _PARTS if _part(before, key, part) != _part(after, key, part)]
        for part in parts:
            print(f"{key}: {part} {_part(before, key, part)} before, {_part(after, key, part)} after")
        same += not parts
    print(f"{same} of {len(before.keys() | after.keys())} runs are equal in trace and toll")
    return same == len(before) == len(after)


def _part(recorded: dict[str, Any], key: str, part: str) -> Any:
    return recorded.get(key, {}).get(part)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", out]:
            Path(out).write_text(json.dumps(record(), indent=1) + "\n", "utf-8")
        case ["compare", before, after]:
            sys.exit(not compare(*(json.loads(Path(file).read_bytes()) for file in (before, after))))
        case _:
            sys.exit(__doc__)
