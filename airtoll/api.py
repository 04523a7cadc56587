"""Runs from Python: the same configuration, the same run, the same folder as `airtoll run`.

What executes a run is imported only when it is called: processes that a run starts may import the script that started
it, and with it this package, and a node must load neither pydantic nor a learner.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airtoll.client import Controller
    from airtoll.environments.gymnasium import AirtollAgentEnv
    from airtoll.environments.pettingzoo import AirtollEnv
    from airtoll.environments.sense import MakeSense


def run(
    config: str | Path | Mapping[str, Any], *, folder: str | Path | None = None, **overrides: Any
) -> dict[str, Any]:
    """Execute a run and return its summary (the content of summary.json).

    `config`: a YAML file or a mapping. `overrides`: settings that win over it, nested ones as mappings, such as
    world={"pairs": 20}. `folder`: the run's folder itself instead of a new one under `out`. With `baselines`, the
    summary has their summaries under the key `baselines`, by name.
    ConfigError for invalid settings; of a run that failed, the summary has the `state` and the `reason`.
    """
    from controller.config import layers
    from controller.config.resolved import load
    from controller.execution.run import check_placement, ignore_telemetry, run_baselines
    from controller.execution.run import run as execute
    from controller.run_folder.writer import RunWriter

    source = Path(config) if isinstance(config, str | Path) else config
    over = layers.from_mapping(overrides, Path.cwd())
    resolved = load(source, environment=os.environ, overrides=[over])
    check_placement(resolved)
    at = None if folder is None else Path(folder)
    writer = RunWriter.create(resolved, at=at)
    summary = execute(resolved, writer, ignore_telemetry)
    if not resolved.baselines:
        return summary
    baselines = run_baselines(resolved, writer.folder)
    return writer.folder.summary | {"baselines": baselines}


def connect(url: str | None = None, token: str | None = None) -> "Controller":
    """The controller at `url`; by default the URL and the token are those of AIRTOLL_URL and AIRTOLL_TOKEN."""
    from airtoll.client import Controller

    return Controller(url, token)


def parallel_env(
    config: str | Path | Mapping[str, Any],
    *,
    sense: "MakeSense | None" = None,
    agents: Iterable[str] | None = None,
    view: str | None = None,
    render_mode: str | None = None,
    folder: str | Path | None = None,
    **overrides: Any,
) -> "AirtollEnv":
    """A run as a PettingZoo parallel environment, whose agents are played by the caller.

    `config`, `overrides`: as for `run`; the scheme says when the agents act, what they measure then, and which notes
    are sent before. `sense`: what an agent observes, by default its measurement. `agents`: those that the caller plays,
    by default all; the others follow the scheme. `view`: what they measure, if not what the scheme says. `folder`: each
    run leaves its folder in it, run-1, run-2, ...
    ConfigError for invalid settings, ValueError for a scheme whose agents do not act at once.
    """
    from airtoll.environments.pettingzoo import AirtollEnv
    from airtoll.environments.sense import Measured

    return AirtollEnv(
        config,
        overrides,
        sense=sense or Measured,
        agents=None if agents is None else tuple(agents),
        view=view,
        render_mode=render_mode,
        folder=folder,
    )


def gym_env(
    config: str | Path | Mapping[str, Any],
    agent: str | None = None,
    *,
    sense: "MakeSense | None" = None,
    view: str | None = None,
    render_mode: str | None = None,
    folder: str | Path | None = None,
    **overrides: Any,
) -> "AirtollAgentEnv":
    """One agent of a run as a Gymnasium environment; the other agents follow the scheme. `agent`: None if the world has
    no other. The rest as for `parallel_env`."""
    from airtoll.environments.gymnasium import AirtollAgentEnv
    from airtoll.environments.sense import Measured

    return AirtollAgentEnv(
        config, agent, sense=sense or Measured, view=view, render_mode=render_mode, folder=folder, **overrides
    )
