"""Runs from Python: the same configuration, the same run, the same folder as `airtoll run`.

What puts a run together is imported only when it is asked for: processes that a run starts may import the script that
started it, and with it this package, and a node shall load neither pydantic nor a learner.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controller.checkpoints import Checkpoint
    from controller.configuration import RunConfig
    from controller.run_folder import RunFolder
    from protocol.plan import PastEvent
    from protocol.telemetry import Telemetry


def run(
    config: str | Path | Mapping[str, Any], *, folder: str | Path | None = None, **overrides: Any
) -> dict[str, Any]:
    """Carry out a run and return its summary (the content of summary.json).

    `config`: a YAML file or a mapping. `overrides`: settings that win over it, nested ones as mappings, such as
    world={"pairs": 20}. `folder`: the run's folder itself instead of a new one under `out`.
    ConfigError when no run can be put together; a run that failed says so in the summary's `state` and `reason`.
    """
    from controller import layers
    from controller.configuration import load
    from controller.run_folder import RunFolder

    source = Path(config) if isinstance(config, str | Path) else config
    over = layers.from_mapping(overrides, Path.cwd())
    resolved = load(source, environment=os.environ, overrides=[over])
    at = None if folder is None else Path(folder)
    made = RunFolder.create(resolved, at=at)
    summary = carry_out(resolved, made, _unwatched)
    return summary | {"beside": carry_out_beside(resolved, made)} if resolved.beside else summary


def _unwatched(telemetry: "Telemetry") -> None:
    """Nobody looks on."""


def carry_out(
    config: "RunConfig",
    folder: "RunFolder",
    watch: "Callable[[Telemetry], None]",
    *,
    replay: "tuple[PastEvent, ...] | None" = None,
    checkpoint: "Checkpoint | None" = None,
) -> dict[str, Any]:
    """Execute the run into its folder, from the beginning or from a checkpoint of it; the summary.

    An interrupted run has its summary written before it is raised.
    """
    from controller.runs import execute

    plan = config.plan(folder.meta["run_id"], replay=replay)
    with folder.at_work():
        try:
            execute(plan, config.placement, folder, watch, checkpoint)
        except KeyboardInterrupt:
            folder.summarise()
            raise
        return folder.summarise()


def carry_out_beside(config: "RunConfig", folder: "RunFolder") -> dict[str, Any]:
    """Execute the runs to compare with, each in a folder inside; their summaries by name."""
    from controller.run_folder import RunFolder

    summaries: dict[str, Any] = {}
    for name, other in config.others.items():
        inside = RunFolder.create(other, at=folder.path / "beside" / re.sub(r"[^\w.=-]", "_", name))
        summaries[name] = carry_out(other, inside, _unwatched)
    return summaries
