"""The runs that the tests of this folder submit."""

import json
from pathlib import Path
from typing import Any

from airtoll.client import Controller
from controller.config.formats import parse_yaml
from tests.containers.engine import ROOT, until

EXAMPLE = parse_yaml(Path(ROOT, "examples", "d2d-maac.yaml").read_text("utf-8"))
# The example, shorter, and without the schemes that it is compared with.
LEARNING: dict[str, Any] = {key: value for key, value in EXAMPLE.items() if key != "baselines"} | {
    "phases": {"warmup": 300, "train": 1500, "eval": 200},
    "placement": "pool",
}
PLAIN: dict[str, Any] = {
    "world": {"name": "d2d_underlay", "pairs": 10},
    "scheme": "li2020/sla",
    "slots": 6000,
    "placement": "pool",
}
_twins: dict[str, dict[str, Any]] = {}


def finished(client: Controller, config: dict[str, Any]) -> dict[str, Any]:
    """A run that is carried out to its good end."""
    run = client.wait(client.submit(config)["id"])
    assert run["state"] == "SUCCEEDED", run["reason"]
    return run


def in_one_process(client: Controller, config: dict[str, Any]) -> dict[str, Any]:
    """The same run in one process of the controller's container; carried out once for all tests."""
    alone = config | {"placement": "in-process"}
    name = json.dumps(alone, sort_keys=True)
    if name not in _twins:
        _twins[name] = finished(client, alone)
    return _twins[name]


def at_slot(client: Controller, run_id: str, slot: int) -> None:
    """Wait until a run has come so far."""

    def there() -> bool:
        run = client.show(run_id)
        assert run["state"] in ("PENDING", "RUNNING"), run
        return bool(run["slot"] >= slot)

    until(there, f"{run_id} is at slot {slot}")
