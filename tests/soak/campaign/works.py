"""The runs at work while faults are injected, and their traces when nobody disturbs them."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import airtoll

_CELL = {"name": "d2d_underlay", "pairs": 3, "rbs": 2}
_SMALL = {"actor_hidden": [16, 8], "critic_hidden": [16, 16, 8], "batch": 8, "upload_every_slots": 5}
_LOSS = {"on_node_loss": {"lost_after_s": 30, "trainer_lost_after_s": 60}}  # longer than a busy machine's worst moments
RUNS: dict[str, dict[str, Any]] = {  # five to ten seconds each on an idle machine
    "one process": {"world": _CELL, "scheme": "li2020/sla", "slots": 6000, "placement": "in-process"},
    "processes": {"world": _CELL, "scheme": "li2020/sla", "slots": 3500, "checkpoint_every": 500} | _LOSS,
    "learning": {
        "world": _CELL,
        "scheme": {"name": "li2020/maac", "push_every_slots": 20, **_SMALL},
        "phases": {"warmup": 50, "train": 450, "eval": 300},
        "train_delay_slots": 3,
        "checkpoint_every": 200,
        "on_channel_server_loss": "rollback",
    }
    | _LOSS,
    "scheduling": {"world": "conflict_graph", "scheme": "zhang2025/llq", "slots": 2500} | _LOSS,
    "impaired": {
        "world": _CELL,
        "scheme": "li2020/greedy_central",
        "slots": 1800,
        "signalling": {"all": {"loss": 0.1}, "uplink": {"delay_slots": 2}},
    }
    | _LOSS,
    "paced": {"world": _CELL, "scheme": "li2020/random", "slots": 400, "clock": {"slot_ms": 10}} | _LOSS,
    "pooled": {
        "world": _CELL,
        "scheme": "li2020/sla",
        "slots": 3000,
        "placement": "pool",
        "checkpoint_every": 500,
        "on_channel_server_loss": "rollback",
    }
    | _LOSS,
    # after each fault: does the service still run runs, here and in the pool?
    "canary": {"world": _CELL, "scheme": "li2020/sla", "slots": 60, "placement": "in-process"},
    "pooled canary": {"world": _CELL, "scheme": "li2020/sla", "slots": 60, "placement": "pool"},
    # waits in the queue, or until it is stopped
    "endless": {"world": _CELL, "scheme": "li2020/sla", "slots": 10**8, "placement": "in-process"},
}
AT_WORK = ("one process", "processes", "learning", "scheduling", "impaired", "paced", "pooled")


@dataclass
class Work:
    """A run that was submitted. A fault may allow other ends than success, another trace, that it is not in the index
    any more (`may_vanish`), or that its folder does not agree with the index (`tampered`)."""

    id: str
    name: str
    config: dict[str, Any]
    ends: set[str] = field(default_factory=lambda: {"SUCCEEDED"})
    same_trace: bool = True
    may_vanish: bool = False
    tampered: bool = False

    def allow(self, *ends: str) -> None:
        """It may also end in these states, and with another trace."""
        self.ends |= set(ends)
        self.same_trace = False

    @property
    def is_repeatable(self) -> bool:
        """Whether its trace is that of the run left alone: a paced run's depends on wall time."""
        return self.same_trace and "clock" not in self.config


def trace_alone(config: dict[str, Any]) -> str:
    """The digest of the trace of a run that is left alone, in this process."""
    return _trace_alone(json.dumps(config | {"placement": "in-process", "checkpoint_every": 0}))


@cache
def _trace_alone(config: str) -> str:
    with TemporaryDirectory() as folder:
        return str(airtoll.run(json.loads(config), folder=Path(folder) / "run")["trace_digest"])
